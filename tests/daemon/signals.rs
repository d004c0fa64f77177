//! What signals do to ostlerd.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{AppFile, Ostlerd, Site, WSGI, until};
use crate::load::{Connection, Loss, Target, get};

fn shop(site: &Site) -> AppFile {
    site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2).with("app.py", WSGI)
}

/// Begins a slow request and waits until a worker has it.
fn slow_request(ostlerd: &Ostlerd<'_>, target: &Target, path: &str) -> Connection {
    let mut connection = Connection::open(target, Duration::from_secs(60)).expect("it listens");
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    ostlerd.wait("shop", "has the request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    connection
}

#[test]
fn term_answers_what_is_under_way_and_then_ends() {
    let site = Site::new();
    let app = shop(&site).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let mut slow = slow_request(&ostlerd, &app.target(), "/sleep?2");
    ostlerd.signal(Signal::SIGTERM);
    let response = slow.response().expect("it is answered");
    assert_eq!(response.status, 200);
    assert!(response.close, "what is under way is answered with a close");
    assert!(ostlerd.ends().success());
    assert_eq!(site.processes(), []);
    assert!(!site.socket().exists(), "the control socket is gone");
    assert_eq!(get(&app.target(), "/").map(|it| it.status), Err(Loss::Refused));
}

#[test]
fn a_unix_socket_is_removed_at_the_end() {
    let site = Site::new();
    site.app("shop").unix().workers(1).with("app.py", WSGI).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(site.path("shop.sock").exists());
    ostlerd.signal(Signal::SIGINT);
    assert!(ostlerd.ends().success());
    assert!(!site.path("shop.sock").exists());
}

#[test]
fn a_second_int_ends_at_once() {
    let site = Site::new();
    let app = shop(&site).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let mut slow = slow_request(&ostlerd, &app.target(), "/sleep?600");
    ostlerd.signal(Signal::SIGINT);
    until("ostlerd drains", || {
        let said = ostlerd.ostler(&["status", "--json"]);
        (said.code == Some(69) || said.out.replace(' ', "").contains("\"draining\":true")).then_some(())
    });
    ostlerd.signal(Signal::SIGINT);
    ostlerd.ends();
    slow.response().expect_err("nobody answers");
    until("no process is left", || site.processes().is_empty().then_some(()));
}

#[test]
fn ttin_and_ttou_change_the_number_of_workers() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    ostlerd.signal(Signal::SIGTTIN);
    ostlerd.wait("shop", "wants three workers", |app| app.workers_wanted == 3);
    ostlerd.serving("shop");
    let more = ostlerd.pids("shop");
    assert!(before.iter().all(|pid| more.contains(pid)), "nobody is restarted: {before:?}, {more:?}");
    ostlerd.signal(Signal::SIGTTOU);
    ostlerd.wait("shop", "wants two workers", |app| app.workers_wanted == 2);
    ostlerd.serving("shop");
}

#[test]
fn usr1_opens_the_log_file_anew() {
    let site = Site::new();
    let log = site.path("logs/shop.log");
    let text = format!("{WSGI}\nprint('hello of', os.getpid(), file=sys.stderr, flush=True)\n");
    let app = shop(&site).with("app.py", &text).key(&format!("log_file = {log:?}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default();
    until("the app's words are in its log", || read(&log).contains("hello of").then_some(()));
    fs::rename(&log, site.path("logs/shop.log.1")).expect("the folder is ours");
    ostlerd.signal(Signal::SIGUSR1);
    until("the log is there again", || log.exists().then_some(()));
    ostlerd.restart("shop");
    until("new words are in the new log", || read(&log).contains("hello of").then_some(()));
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn hup_restarts_only_the_app_whose_file_changed() {
    let site = Site::new();
    let app = shop(&site).env("COLOUR", "red").write();
    site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let (shop_before, blog_before) = (ostlerd.pids("shop"), ostlerd.pids("blog"));

    let app = AppFile::env(app, "COLOUR2", "blue").write();
    ostlerd.signal(Signal::SIGHUP);
    ostlerd.wait("shop", "has a new generation", |app| app.generation.is_some_and(|it| it.0 == 2));
    ostlerd.serving("shop");
    assert!(ostlerd.pids("shop").iter().all(|pid| !shop_before.contains(pid)));
    assert_eq!(ostlerd.pids("blog"), blog_before, "blog has not changed");
    assert!(get(&app.target(), "/env").expect("it serves").text().contains("blue"));
}

#[test]
fn hup_with_a_bad_file_changes_nothing() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    fs::write(&app.file, app.text().replace("workers =", "wokers =")).expect("the site is ours");
    ostlerd.signal(Signal::SIGHUP);
    let status = until("the bad file is noticed", || Some(ostlerd.status()).filter(|it| !it.config.valid));
    assert!(status.config.problem.is_some_and(|it| it.contains("wokers")));
    assert_eq!(ostlerd.pids("shop"), before);
    ostlerd.logs("wokers");

    app.write();
    ostlerd.signal(Signal::SIGHUP);
    until("the good file is taken", || ostlerd.status().config.valid.then_some(()));
    assert_eq!(ostlerd.pids("shop"), before, "a file that says what runs restarts nobody");
}
