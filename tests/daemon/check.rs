//! `ostler check` finds what `ostlerd --check` finds, as far as the caller may see, and says what was not seen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{AppFile, Said, Site, WSGI, is_root, program, readable, usual_user};

/// A user that nobody is.
const SOMEBODY: &str = "61234";

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI)
}

/// Both refuse in the same words.
#[track_caller]
fn both_refuse(app: impl Fn(&Site, AppFile) -> AppFile, words: &[&str]) {
    let site = Site::new();
    app(&site, shop(&site)).write();
    let (daemon, command) = (site.check().exits(78).says(words), site.ostler_check().exits(78).says(words));
    assert_eq!((command.out, command.err), (daemon.out, daemon.err));
}

#[test]
fn what_a_file_names_and_is_not_there_is_found() {
    both_refuse(
        |_, app| app.python("/nonexistent/bin/python"),
        &["/nonexistent/bin/python", "python3 -m venv"],
    );
    both_refuse(
        |site, app| app.key(&format!("env_files = [{:?}]", site.path("no.env"))),
        &["no.env", "env_files"],
    );
    both_refuse(
        |_, mut app| {
            app.directory = "/nonexistent/shop".into();
            app
        },
        &["/nonexistent/shop", "deploy the release there"],
    );
    both_refuse(|_, app| app.user(Some("no-such-user")), &["no-such-user"]);
    both_refuse(|_, app| app.args(&["--no-such-option"]), &["--no-such-option"]);
    both_refuse(
        |site, app| {
            let bare = site.path("bare");
            let made =
                Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(&bare).status();
            assert!(made.expect("python3 runs").success());
            app.python(bare.join("bin/python"))
        },
        &["gunicorn"],
    );
}

#[test]
fn what_can_be_run_is_said_to_be_ok() {
    let site = Site::new();
    shop(&site).write();
    let said = site.ostler_check().exits(0).says(&["ostler.toml: ok, 1 app: shop"]);
    assert!(!said.all().contains("not checked"), "{said}");
    let said = site.ostler(&["check", "--json", &site.config().to_string_lossy()]).exits(0);
    let told: serde_json::Value = serde_json::from_str(said.out.trim()).expect("one line, one object");
    assert_eq!(
        (&told["valid"], &told["apps"][0], &told["unchecked"]),
        (&true.into(), &"shop".into(), &().into())
    );
}

/// `ostler check` by somebody who is neither root nor the app's user.
fn somebody_checks(site: &Site, json: bool) -> Said {
    for name in ["ostler", "ostlerd"] {
        let built = Path::new(env!("CARGO_BIN_EXE_ostler")).with_file_name(name);
        program::copy(built, &site.path(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups"]);
    command.arg(site.path("ostler")).arg("check").arg(site.config()).current_dir("/");
    Said::of(if json { command.arg("--json") } else { &mut command })
}

#[test]
fn what_the_caller_may_not_see_is_named_app_by_app() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let site = Site::new();
    let secrets = site.path("shop.env");
    fs::write(&secrets, "SECRET=1\n").expect("the folder is ours");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let user = usual_user().expect("root has one");
    let app = shop(&site).key(&format!("env_files = [{secrets:?}]")).write();
    readable(&app.file);
    let said = somebody_checks(&site, false).exits(0).says(&[
        "not checked: shop: ",
        "shop.env: Permission denied",
        &format!("only root and {user} run it"),
        "sudo ostler check",
        "ok, 1 app: shop",
    ]);
    assert!(!said.all().contains("SECRET"), "{said}");
    let told = somebody_checks(&site, true).exits(0);
    let told: serde_json::Value = serde_json::from_str(told.out.trim()).expect("one line, one object");
    assert_eq!(
        (&told["valid"], told["unchecked"].as_array().map(Vec::len)),
        (&true.into(), Some(2)),
        "{told}"
    );
    assert_eq!(told["unchecked"][0]["app"], "shop");

    // What is seen is judged all the same.
    let gone = app.clone().user(Some("no-such-user")).write();
    somebody_checks(&site, false).exits(78).says(&["shop: there is no user no-such-user"]);
    let text = gone.text().replace("no-such-user", user).replace("app:application", "app:application:x");
    fs::write(&gone.file, text).expect("the folder is ours");
    somebody_checks(&site, false).exits(78).says(&["shop.toml", "app:application:x"]);
    app.clone().python("/nonexistent/python").write();
    somebody_checks(&site, false).exits(78).says(&["/nonexistent/python", "not checked: shop: "]);

    // Nor are files that are not the caller's to read called wrong.
    fs::set_permissions(&app.file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    somebody_checks(&site, false).exits(77).says(&["shop.toml: Permission denied", "root may read it"]);
}

#[test]
fn what_no_worker_can_write_its_log_to_is_found() {
    let there = |make: &'static str| {
        move |site: &Site, app: AppFile| {
            let place = site.path("log");
            let made = Command::new("/bin/sh").args(["-c", make]).arg(&place).status();
            assert!(made.expect("sh runs").success());
            app.key(&format!("log_file = {place:?}"))
        }
    };
    both_refuse(there("mkdir $0"), &["/log is a directory", "let `log_file` name a file"]);
    both_refuse(there("mkdir $0.d && ln -s $0.d $0"), &["/log is a directory"]);
    both_refuse(there("mkfifo $0"), &["/log is a named pipe (FIFO)", "leave it out"]);
    both_refuse(
        there("/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' $0"),
        &["/log is a socket"],
    );
    if is_root() {
        both_refuse(there("mknod $0 b 7 250"), &["/log is a disk"]);
    }
    let below = |name: &'static str| {
        move |site: &Site, app: AppFile| app.key(&format!("log_file = {:?}", site.path(name).join("log")))
    };
    both_refuse(below("nowhere"), &["cannot be made: there is no directory", "/nowhere;"]);
    both_refuse(below("releases/shop/app.py"), &["cannot be made: ", "app.py is not a directory"]);
}

#[test]
fn a_log_file_that_is_not_there_yet_and_a_device_that_takes_anything_are_ok() {
    for file in ["/dev/null", "/dev/stdout", ""] {
        let site = Site::new();
        let new = site.path("new.log").display().to_string();
        let file = if file.is_empty() { &new } else { file };
        shop(&site).key(&format!("log_file = {file:?}")).write();
        site.check().exits(0);
        site.ostler_check().exits(0);
        assert!(!Path::new(&new).exists(), "it is only looked at");
    }
}
