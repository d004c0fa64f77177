use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use nix::unistd::geteuid;

use crate::config::parse_app;

use super::*;

/// `/srv/shop` in a folder of its own, with `current -> releases/42`.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Shop {
        let shop = Shop(tempfile::tempdir().unwrap());
        for release in ["41", "42"] {
            shop.file(&format!("releases/{release}/shop/wsgi.py"), "application = 1\n");
            fs::create_dir_all(shop.path(&format!("releases/{release}/venv/bin"))).unwrap();
            symlink("/usr/bin/env", shop.path(&format!("releases/{release}/venv/bin/python"))).unwrap();
        }
        shop.link("42");
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        // The folder for temporary files may itself be a link.
        fs::canonicalize(self.0.path()).unwrap().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn link(&self, release: &str) {
        let new = self.path("current.new");
        symlink(format!("releases/{release}"), &new).unwrap();
        fs::rename(new, self.path("current")).unwrap();
    }

    fn app(&self, directory: &str, python: &str, more: &str) -> AppConfig {
        let text = format!(
            "directory = {:?}\npython = {:?}\napp = \"shop.wsgi\"\n{more}",
            self.path(directory),
            self.path(python)
        );
        parse_app(&"shop".parse().unwrap(), &text, Path::new("/etc/shop.toml"), false)
            .unwrap_or_else(|problems| panic!("{problems}"))
    }
}

#[track_caller]
fn says(refusal: &Refusal, parts: &[&str]) {
    for part in parts {
        assert!(refusal.reason.contains(part), "{part:?} is missing from: {}", refusal.reason);
    }
}

#[test]
fn a_release_is_pinned_with_all_that_lies_below_its_link() {
    let shop = Shop::new();
    let more = format!(
        "env_files = [{:?}, \"/etc/ostler/shop.env\"]\nlog_file = {:?}",
        shop.path("current/.env"),
        shop.path("log/shop.log")
    );
    let paths = resolve(&shop.app("current", "current/venv/bin/python", &more)).unwrap();
    let expected = ReleasePaths {
        directory: shop.path("releases/42"),
        python: shop.path("releases/42/venv/bin/python"),
        env_files: vec![shop.path("releases/42/.env"), PathBuf::from("/etc/ostler/shop.env")],
        log_file: Some(shop.path("log/shop.log")),
        image: None,
    };
    assert_eq!(paths, expected);
    shop.link("41");
    let moved = resolve(&shop.app("current", "current/venv/bin/python", "")).unwrap();
    assert_eq!(moved.python, shop.path("releases/41/venv/bin/python"));
}

#[test]
fn a_directory_below_the_link_pins_what_lies_beside_it() {
    let shop = Shop::new();
    let paths = resolve(&shop.app("current/shop", "current/venv/bin/python", "")).unwrap();
    assert_eq!(paths.directory, shop.path("releases/42/shop"));
    assert_eq!(paths.python, shop.path("releases/42/venv/bin/python"));
}

#[test]
fn the_interpreter_itself_is_never_followed() {
    let shop = Shop::new();
    fs::create_dir_all(shop.path("venvs/7/bin")).unwrap();
    symlink("/usr/bin/env", shop.path("venvs/7/bin/python")).unwrap();
    symlink("venvs/7", shop.path("venv")).unwrap();
    let paths = resolve(&shop.app("current", "venv/bin/python", "")).unwrap();
    assert_eq!(paths.python, shop.path("venv/bin/python"));
}

#[test]
fn a_directory_that_is_not_there_is_named_with_its_link() {
    let shop = Shop::new();
    says(
        &resolve_directory(&shop.path("nowhere")).unwrap_err(),
        &["the directory /", "/nowhere: No such file or directory; deploy the release there"],
    );
    shop.link("43");
    says(
        &resolve_directory(&shop.path("current")).unwrap_err(),
        &["/current is a link to releases/43: No such file or directory"],
    );
    let file = shop.file("file", "");
    says(&resolve_directory(&file).unwrap_err(), &["/file is not a directory", "imported from"]);
}

#[test]
fn an_interpreter_that_cannot_run_is_refused_with_the_reason() {
    let shop = Shop::new();
    let python = |name: &str| {
        let app = shop.app("current", name, "");
        resolve(&app).expect_err("accepted")
    };
    says(
        &python("venv/bin/python"),
        &["the interpreter /", "/venv/bin/python: No such file or directory", "python3 -m venv"],
    );
    fs::create_dir_all(shop.path("venv/bin")).unwrap();
    symlink("/usr/bin/python9", shop.path("venv/bin/python")).unwrap();
    says(&python("venv/bin/python"), &["/venv/bin/python is a link to /usr/bin/python9: No such file"]);
    says(&python("venv"), &["/venv is a directory", "for example /", "/venv/bin/python"]);
    let bin = python("venv/bin");
    says(&bin, &["/venv/bin is a directory", "/venv/bin/python"]);
    assert!(!format!("{bin:?}").contains("bin/bin"), "{bin:?}");
    let plain = shop.file("plain", "");
    fs::set_permissions(plain, fs::Permissions::from_mode(0o644)).unwrap();
    says(&python("plain"), &["/plain is not executable", "chmod +x"]);
}

#[test]
fn a_fingerprint_changes_with_the_sources_and_with_nothing_else() {
    let shop = Shop::new();
    let release = shop.path("releases/42");
    let before = fingerprint(&release);
    assert_eq!(before.files, 1);
    assert!(before.newest > 1_600_000_000_000_000_000, "{before:?}");

    let venv = shop.file("releases/42/env2/pyvenv.cfg", "");
    shop.file("releases/42/env2/lib/x.py", "");
    shop.file("releases/42/.git/x.py", "");
    shop.file("releases/42/node_modules/x.py", "");
    shop.file("releases/42/shop/__pycache__/x.py", "");
    shop.file("releases/42/shop/readme.txt", "");
    symlink(shop.path("releases"), release.join("loop")).unwrap();
    assert_eq!(fingerprint(&release), before);

    fs::remove_file(venv).unwrap();
    assert_eq!(fingerprint(&release).files, 2);
    shop.file("releases/42/shop/new.py", "");
    assert_eq!(fingerprint(&release).files, 3);
    assert_eq!(fingerprint(&shop.path("nowhere")), Fingerprint::default());
}

#[test]
fn a_fingerprint_of_a_huge_tree_comes_to_an_end() {
    let shop = Shop::new();
    for file in 0..60 {
        shop.file(&format!("huge/{}/{file}.py", file % 3), "");
    }
    let mark = fingerprint_within(&shop.path("huge"), 40);
    assert_eq!(mark.files, 40 - 3);
    assert_eq!(fingerprint_within(&shop.path("huge"), 40), mark);
    assert_eq!(fingerprint(&shop.path("huge")).files, 60);
}

#[test]
fn what_the_first_import_writes_changes_the_fingerprint_of_no_tree_however_large() {
    let shop = Shop::new();
    for file in 0..5 {
        shop.file(&format!("huge/a/{file}.py"), "");
    }
    let mark = fingerprint_within(&shop.path("huge"), 6);
    assert_eq!(mark.files, 5);
    for written in ["huge/__pycache__/x.pyc", "huge/a/__pycache__/x.pyc", "huge/app.log", "huge/a/0.json"] {
        shop.file(written, "");
        assert_eq!(fingerprint_within(&shop.path("huge"), 6), mark, "{written}");
    }
}

#[test]
fn files_of_environment_are_read_in_their_order() {
    let shop = Shop::new();
    let files = [shop.file("a.env", "A=1\nB='two'\n"), shop.file("b.env", "A=2")];
    let read = read_env_files(&files, None).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(read[0], (files[0].clone(), vec![pair("A", "1"), pair("B", "two")]));
    assert_eq!(read[1].1, [pair("A", "2")]);
}

#[test]
fn a_bad_file_of_environment_is_refused_without_its_text() {
    let shop = Shop::new();
    let refused = |file: PathBuf| Refusal::from(read_env_files(&[file], None).unwrap_err());
    let slip = refused(shop.file("a.env", "A=1\nhunter2\n"));
    says(&slip, &["the file with environment /", "/a.env:2:1: a line without `=`"]);
    assert!(!format!("{slip:?}").contains("hunter2"));
    says(&refused(shop.path("b.env")), &["/b.env cannot be read: No such file or directory", "`env_files`"]);
    says(&refused(shop.path("releases")), &["/releases is no regular file"]);
    let fifo = shop.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    says(&refused(fifo), &["/fifo is no regular file"]);
    let latin = shop.path("c.env");
    fs::write(&latin, b"A=\xfc").unwrap();
    says(&refused(latin), &["/c.env is not UTF-8"]);
    let long = shop.file("d.env", &"#".repeat(1024 * 1024 + 1));
    says(&refused(long), &["/d.env is over 1 MiB long"]);
}

#[test]
fn an_app_s_user_cannot_have_somebody_else_s_secrets_read_to_him() {
    if !geteuid().is_root() {
        return;
    }
    let shop = Shop::new();
    let user = Account { name: "mallory".into(), uid: 4711, gid: 4711, groups: vec![4711], home: "/".into() };
    let secret = shop.file("secrets/other.env", "TOKEN=1");
    assert!(read_env_files(std::slice::from_ref(&secret), Some(&user)).is_ok());

    let link = shop.path("releases/42/.env");
    symlink(&secret, &link).unwrap();
    chown(shop.path("releases/42"), Some(4711), None).unwrap();
    let through_link = shop.path("current/.env");
    let refusal = Refusal::from(read_env_files(&[link.clone(), through_link], Some(&user)).unwrap_err());
    says(
        &refusal,
        &["/.env is not mallory's own, but mallory could point it elsewhere", "give the file to mallory"],
    );

    fs::remove_file(&link).unwrap();
    let own = shop.file("releases/42/.env", "TOKEN=2");
    chown(&own, Some(4711), None).unwrap();
    assert!(read_env_files(&[own], Some(&user)).is_ok());
}

#[test]
fn a_project_of_django_s_is_known_by_its_manage_py() {
    let shop = Shop::new();
    let app = shop.app("current", "current/venv/bin/python", "");
    assert!(!has_manage_py(&resolve(&app).unwrap()));
    fs::create_dir(shop.path("current/manage.py")).unwrap();
    assert!(!has_manage_py(&resolve(&app).unwrap()), "a folder is no program");
    fs::remove_dir(shop.path("current/manage.py")).unwrap();
    shop.file("releases/42/manage.py", "");
    assert!(has_manage_py(&resolve(&app).unwrap()));
}
