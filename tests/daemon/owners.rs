//! An app is its user's, whether it runs or not.

use std::fs;
use std::process::Command;

use ostler::supervise::AppState;

use crate::harness::{Said, Site, WSGI, is_root, program};

/// `ostler` as this user, who is in no group of ostler's.
fn by(site: &Site, user: &str, words: &[&str]) -> Said {
    let copy = site.path("ostler");
    if !copy.exists() {
        program::copy(env!("CARGO_BIN_EXE_ostler"), &copy);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", "nogroup", "--clear-groups", "--"]);
    command.arg(copy).arg("--socket").arg(site.socket()).args(words).current_dir("/");
    Said::of(&mut command)
}

#[test]
fn who_has_stopped_his_app_sees_it_and_starts_it_again() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let site = Site::new();
    site.app("shop").tcp().workers(1).user(Some("nobody")).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    by(&site, "nobody", &["stop", "shop"]).exits(0);
    by(&site, "nobody", &["status", "shop"]).exits(0).says(&["stopped"]);
    by(&site, "daemon", &["status"]).exits(77);
    by(&site, "daemon", &["start", "shop"]).exits(77);
    ostlerd.crash();
    let ostlerd = site.start();
    by(&site, "nobody", &["status", "shop"]).exits(0).says(&["stopped"]);
    by(&site, "daemon", &["start", "shop"]).exits(77);
    by(&site, "nobody", &["start", "shop"]).exits(0);
    assert_eq!(ostlerd.serving("shop").state, AppState::Serving);
}

#[test]
fn an_app_that_cannot_be_prepared_is_its_users_all_the_same() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).user(Some("nobody")).with("app.py", WSGI);
    let app = app.args(&["--no-such-option"]).write();
    site.app("blog").tcp().workers(1).user(Some("daemon")).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("blog");
    by(&site, "nobody", &["status"]).exits(1).says(&["no-such-option"]);
    let file = fs::read_to_string(&app.file).expect("it was written");
    fs::write(&app.file, file.replace("\"--no-such-option\"", "")).expect("it is ours");
    by(&site, "nobody", &["restart", "shop"]);
    by(&site, "nobody", &["restart", "blog"]).exits(77);
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.serving("shop");
    by(&site, "nobody", &["restart", "shop"]).exits(0);
}
