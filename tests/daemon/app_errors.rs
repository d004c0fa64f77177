//! Apps that cannot be prepared or cannot listen: the reason, exit status 78, and the other apps serve.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use ostler::supervise::AppState;

use crate::harness::{AppFile, Said, Site, WSGI, free_address, is_root, program};
use crate::load::{Target, get};

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI)
}

/// As the only app it ends ostlerd with 78; beside a good one it is shown as failed and the other serves.
#[track_caller]
fn cannot_be_prepared(app: impl Fn(&Site, AppFile) -> AppFile, words: &[&str]) {
    let site = Site::new();
    app(&site, shop(&site)).write();
    site.start_in_vain().exits(78).says(words);
    assert!(!site.socket().exists(), "the control socket was taken away");

    let good = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("blog");
    get(&good.target(), "/").expect("the good one serves");
    let bad = ostlerd.wait("shop", "has failed", |app| app.state == AppState::Failed);
    assert!(bad.problem.is_some(), "{bad:#?}");
    ostlerd.ostler(&["status"]).exits(1).says(words);
    let said = ostlerd.ostler(&["restart", "shop"]);
    assert_eq!(said.code, Some(78), "{said}");
    said.says(words);
}

#[test]
fn a_missing_interpreter_is_named() {
    cannot_be_prepared(|_, app| app.python("/nonexistent/python"), &["/nonexistent/python"]);
}

#[test]
fn an_interpreter_that_is_no_program_is_named() {
    cannot_be_prepared(|site, app| app.python(site.config()), &["ostler.toml"]);
}

#[test]
fn an_environment_without_gunicorn_is_named() {
    fn bare(site: &Site) -> PathBuf {
        let folder = site.path("bare");
        if !folder.exists() {
            let mut venv = Command::new("/usr/bin/python3");
            Said::of(venv.args(["-m", "venv", "--without-pip"]).arg(&folder)).exits(0);
        }
        folder.join("bin/python")
    }
    cannot_be_prepared(|site, app| app.python(bare(site)), &["gunicorn", "bare/bin/python"]);
}

#[test]
fn a_worker_class_that_is_not_supported_is_named() {
    let eventlet = |_: &Site, app: AppFile| app.args(&["-k", "eventlet"]);
    cannot_be_prepared(eventlet, &["eventlet"]);
    let site = Site::new();
    eventlet(&site, shop(&site)).write();
    site.ostler_check().exits(78).says(&["shop: the worker class \"eventlet\" is not supported: use gevent"]);
}

#[test]
fn an_argument_that_gunicorn_does_not_know_is_named() {
    cannot_be_prepared(|_, app| app.args(&["--no-such-flag"]), &["--no-such-flag"]);
}

#[test]
fn an_error_in_gunicorn_conf_py_is_shown() {
    cannot_be_prepared(|_, app| app.with("gunicorn.conf.py", "workers = 1 / 0\n"), &["ZeroDivisionError"]);
}

#[test]
fn a_missing_directory_is_named() {
    let gone = |_: &Site, app: AppFile| {
        if app.directory.exists() {
            fs::remove_dir_all(&app.directory).expect("the site is ours");
        }
        app
    };
    cannot_be_prepared(gone, &["releases/shop"]);
}

#[test]
fn a_port_in_use_is_named_with_its_holder_and_had_as_soon_as_it_is_free() {
    let site = Site::new();
    let app = shop(&site).write();
    let Target::Tcp(address) = app.target() else { panic!("a TCP address") };
    let taken = TcpListener::bind(address).expect("the address is free");
    let holder = std::process::id().to_string();
    let ostlerd = site.start();
    ostlerd.wait("shop", "says so", |app| {
        let words = [&address.to_string(), "in use", &holder];
        app.problem.as_ref().is_some_and(|it| words.iter().all(|word| it.contains(*word)))
    });
    ostlerd.ostler(&["wait", "shop"]).exits(1).says(&["in use", &holder]);
    drop(taken);
    ostlerd.serving("shop");
    get(&app.target(), "/").expect("it serves");
    let said = format!("cannot listen on {address}: the port is in use");
    assert_eq!(ostlerd.log().matches(&said).count(), 1, "said once:\n{}", ostlerd.log());
}

#[test]
fn an_app_whose_port_is_in_use_is_no_trouble_to_another() {
    let site = Site::new();
    let app = shop(&site).write();
    let Target::Tcp(address) = app.target() else { panic!("a TCP address") };
    let _taken = TcpListener::bind(address).expect("the address is free");
    let good = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("blog");
    get(&good.target(), "/").expect("the good one serves");
    ostlerd.wait("shop", "says so", |app| {
        app.problem.as_ref().is_some_and(|it| it.contains(&address.to_string()))
    });
}

#[test]
fn a_unix_socket_that_somebody_serves_is_not_taken() {
    let site = Site::new();
    let path = site.path("shop.sock");
    site.app("shop").unix().workers(1).with("app.py", WSGI).write();
    let taken = UnixListener::bind(&path).expect("the site is ours");
    let holder = format!("(pid {}) of ", std::process::id());
    let ostlerd = site.start();
    ostlerd.wait("shop", "says so", |app| {
        let words = ["shop.sock", "another process", &holder];
        app.problem.as_ref().is_some_and(|it| words.iter().all(|word| it.contains(word)))
    });
    assert!(path.exists(), "it is still theirs");
    drop(taken);
    ostlerd.serving("shop");
}

#[test]
fn a_unix_socket_that_nobody_serves_is_taken_over() {
    let site = Site::new();
    let path = site.path("shop.sock");
    let app = site.app("shop").unix().workers(1).with("app.py", WSGI).write();
    drop(UnixListener::bind(&path).expect("the site is ours"));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn a_file_where_the_unix_socket_should_be_is_not_touched() {
    let site = Site::new();
    let path = site.path("shop.sock");
    site.app("shop").unix().workers(1).with("app.py", WSGI).write();
    fs::write(&path, "precious").expect("the site is ours");
    site.start_in_vain().exits(78).says(&["shop.sock"]);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn a_privileged_port_is_not_permitted_to_others() {
    let lowest = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if !is_root() || lowest.trim() != "1024" {
        return;
    }
    let site = Site::new();
    let Target::Tcp(mut address) = Target::Tcp(free_address()) else { unreachable!() };
    address.set_port(81);
    site.app("shop").user(None).listen(Target::Tcp(address)).with("app.py", WSGI).write();
    // A copy, and a folder to write to: the one that was built may lie where only root can reach.
    let copy = site.path("ostlerd");
    program::copy(env!("CARGO_BIN_EXE_ostlerd"), &copy);
    fs::set_permissions(site.path("."), fs::Permissions::from_mode(0o777)).expect("the site is ours");
    let said = Said::of(site.command_of(&copy).uid(65534).gid(65534));
    said.exits(78).says(&[&address.to_string(), "root"]);
}
