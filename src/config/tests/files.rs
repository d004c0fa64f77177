use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

/// A folder with a configuration.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Config, Problems> {
        load(&self.path("ostler.toml"), true)
    }

    /// What is printed, with the folder's name as `/etc/ostler`.
    fn refused(&self) -> String {
        self.printed(self.load().expect_err("accepted"))
    }

    fn printed(&self, told: impl ToString) -> String {
        told.to_string().replace(self.0.path().to_str().unwrap(), "/etc/ostler")
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("ostler.toml")
    }
}

fn listening(address: &str) -> String {
    ENOUGH.replace("127.0.0.1:8000", address)
}

#[test]
fn an_empty_main_file_is_enough_where_apps_d_has_an_app() {
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/shop.toml", ENOUGH)]);
    let config = folder.load().unwrap();
    assert_eq!(config.file, folder.path("ostler.toml"));
    assert_eq!(config.apps.keys().map(AppName::as_str).collect::<Vec<_>>(), ["shop"]);
}

#[test]
fn apps_may_stand_in_the_main_file_too() {
    let main = format!("[apps.blog]{}\n[apps.blog.limits]\nnofile = 4096\n", listening("127.0.0.1:9000"));
    let folder = Folder::new(&[("ostler.toml", &main), ("apps.d/shop.toml", ENOUGH)]);
    let config = folder.load().unwrap();
    let names: Vec<&str> = config.apps.keys().map(AppName::as_str).collect();
    assert_eq!(names, ["blog", "shop"]);
    assert_eq!(config.apps[&"blog".parse().unwrap()].limits.process.nofile, Some(4096));
    assert_eq!(config.apps[&"blog".parse().unwrap()].file, folder.path("ostler.toml"));
}

#[test]
fn what_editors_and_packages_leave_behind_is_not_read() {
    let rubbish = "this is not TOML";
    let folder = Folder::new(&[
        ("ostler.toml", ""),
        ("apps.d/shop.toml", ENOUGH),
        ("apps.d/.shop.toml.swp", rubbish),
        ("apps.d/.#shop.toml", rubbish),
        ("apps.d/.hidden.toml", rubbish),
        ("apps.d/shop.toml~", rubbish),
        ("apps.d/shop.toml.bak", rubbish),
        ("apps.d/shop.toml.dpkg-old", rubbish),
        ("apps.d/shop.toml.rpmnew", rubbish),
        ("apps.d/#shop.toml#", rubbish),
        ("apps.d/README", rubbish),
    ]);
    assert_eq!(folder.load().unwrap().apps.len(), 1);
}

#[test]
fn no_app_at_all_is_no_error_and_is_told_where_to_put_one() {
    let folder = Folder::new(&[("ostler.toml", "")]);
    assert!(folder.load().unwrap().apps.is_empty());
    same(
        &folder.printed(no_app_left(&folder.main())),
        r"
error: no app is configured
 --> /etc/ostler/ostler.toml
  = help: write /etc/ostler/apps.d/NAME.toml with directory, python, app, listen and user (or a table [apps.NAME] in /etc/ostler/ostler.toml)

1 problem in 1 file
",
    );
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/shop.conf", "")]);
    let told = folder.printed(no_apps_yet(&folder.main()));
    says(
        &told,
        &[
            "no apps yet: write /etc/ostler/apps.d/NAME.toml",
            "only *.toml counts; /etc/ostler/apps.d has shop.conf",
        ],
    );
}

#[test]
fn an_empty_app_file_says_all_that_it_must_have() {
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/shop.toml", "")]);
    let keys = ["`directory` is missing", "`python` is missing", "`app` is missing", "`user` is missing"];
    says(&folder.refused(), &keys);
}

#[test]
fn two_apps_on_one_address_are_shown_side_by_side() {
    let folder =
        Folder::new(&[("ostler.toml", ""), ("apps.d/blog.toml", ENOUGH), ("apps.d/shop.toml", ENOUGH)]);
    same(
        &folder.refused(),
        r#"
error: `shop` and `blog` both listen on 127.0.0.1:8000
 --> /etc/ostler/apps.d/shop.toml:5:10
  |
5 | listen = "127.0.0.1:8000"
  |          ^^^^^^^^^^^^^^^^ an address belongs to one listener
 ::: /etc/ostler/apps.d/blog.toml:5:10
  |
5 | listen = "127.0.0.1:8000"
  |          ---------------- `blog` has it here
  = help: give one of the two apps another address

1 problem in 1 file
"#,
    );
}

#[test]
fn addresses_that_overlap_are_one_address() {
    let pairs = [
        ("0.0.0.0:8000", "127.0.0.1:8000", "which overlap"),
        ("[::]:8000", "[::1]:8000", "which overlap"),
        ("unix:/run//shop.sock", "unix:/run/shop.sock", "both listen on"),
        ("systemd:web", "systemd:web", "both listen on"),
    ];
    for (one, other, words) in pairs {
        let (one, other) = (listening(one), listening(other));
        let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/a.toml", &one), ("apps.d/b.toml", &other)]);
        says(&folder.refused(), &[words]);
    }
    let twice = ENOUGH.replace("\"127.0.0.1:8000\"", "[\"[::1]:80\", \"[::1]:80\"]");
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/shop.toml", &twice)]);
    says(&folder.refused(), &["`shop` listens on [::1]:80 twice", "leave one of the two out"]);
}

#[test]
fn an_app_that_is_defined_twice_is_shown_in_both_files() {
    let main = format!("[apps.shop]{ENOUGH}");
    let folder = Folder::new(&[("ostler.toml", &main), ("apps.d/shop.toml", ENOUGH)]);
    same(
        &folder.refused(),
        r"
error: app `shop` is defined twice
 --> /etc/ostler/apps.d/shop.toml
 ::: /etc/ostler/ostler.toml:1:7
  |
1 | [apps.shop]
  |       ---- first here
  = help: keep one of the two

1 problem in 1 file
",
    );
}

#[test]
fn the_problems_of_every_file_are_shown_at_once() {
    let folder = Folder::new(&[
        ("ostler.toml", "workers = 4\n[daemon]\n[apps.\"a b\"]\n[apps]\nx = 5\n"),
        ("apps.d/a.toml", "directory = 5"),
        ("apps.d/b.toml", "="),
        ("apps.d/c d.toml", ""),
    ]);
    says(
        &folder.refused(),
        &[
            "`workers` belongs to an app, not to the main file\n --> /etc/ostler/ostler.toml:1:1",
            "move it into /etc/ostler/apps.d/NAME.toml, or below [apps.NAME] in this file",
            "unknown key `daemon`\n --> /etc/ostler/ostler.toml:2:2",
            "`directory` is an integer\n --> /etc/ostler/apps.d/a.toml:1:13",
            "not TOML: ",
            "\"c d\" is no app name: 1 to 64 of a-z",
            "in 4 files\n",
        ],
    );
}

#[test]
fn a_directory_where_a_file_should_be_is_called_one() {
    let folder =
        Folder::new(&[("ostler.toml", ""), ("apps.d/shop.toml/x", ""), ("apps.d/blog.toml", ENOUGH)]);
    same(
        &folder.refused(),
        r"
error: this is a directory, not a file
 --> /etc/ostler/apps.d/shop.toml
  = help: move it away, or put a file in its place

1 problem in 1 file
",
    );
    let folder = Folder::new(&[("ostler.toml/x", "")]);
    says(&folder.refused(), &["error: this is a directory, not a file\n --> /etc/ostler/ostler.toml\n"]);
}

#[test]
fn a_file_where_apps_d_should_be_is_refused() {
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d", "")]);
    says(
        &folder.refused(),
        &["the directory of apps cannot be read: Not a directory", "make it a directory"],
    );
}

#[test]
fn a_pipe_where_a_file_should_be_does_not_block() {
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/blog.toml", ENOUGH)]);
    nix::unistd::mkfifo(&folder.path("apps.d/shop.toml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    says(&folder.refused(), &["error: this is no regular file\n --> /etc/ostler/apps.d/shop.toml"]);
}

#[test]
fn a_missing_main_file_is_told_what_to_do() {
    let folder = Folder::new(&[("apps.d/shop.toml", ENOUGH)]);
    says(&folder.refused(), &["the file cannot be read: No such file or directory", "create it", "--config"]);
}

#[test]
fn a_link_to_nothing_is_called_one() {
    let folder = Folder::new(&[("ostler.toml", ""), ("apps.d/blog.toml", ENOUGH)]);
    symlink("/nonexistent/shop.toml", folder.path("apps.d/shop.toml")).unwrap();
    says(&folder.refused(), &["apps.d/shop.toml", "it is a link to a file that is gone"]);
}

#[test]
fn what_is_not_utf8_is_shown_where_it_begins() {
    let folder = Folder::new(&[("ostler.toml", "")]);
    fs::create_dir(folder.path("apps.d")).unwrap();
    fs::write(folder.path("apps.d/shop.toml"), b"# shop\nuser = \"gr\xfcn\"\n").unwrap();
    same(
        &folder.refused(),
        "
error: the byte 0xfc is not UTF-8
 --> /etc/ostler/apps.d/shop.toml:2:11
  |
2 | user = \"gr\u{fffd}n\"
  |           ^ TOML is UTF-8
  = help: save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`

1 problem in 1 file
",
    );
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let long = "#".repeat(1024 * 1024 + 1);
    let folder = Folder::new(&[("ostler.toml", &long)]);
    says(&folder.refused(), &["the file is over 1024 KiB long"]);
}
