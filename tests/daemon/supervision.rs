//! Workers that die, hang or crash again and again.

use std::time::Duration;

use nix::sys::signal::Signal;
use ostler::supervise::AppState;

use crate::harness::{AppFile, Gunicorn, Ostlerd, Proc, Site, WSGI, kill};
use crate::load::{Connection, Target, get};

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(2).with("app.py", WSGI)
}

/// Asks and does not wait for the answer.
fn ask(target: &Target, path: &str) -> Connection {
    let mut connection = Connection::open(target, Duration::from_secs(60)).expect("it listens");
    connection
        .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes());
    connection
}

/// Waits until none of these processes is left and the app serves again.
#[track_caller]
fn replaced(ostlerd: &Ostlerd<'_>, pid: i32) {
    ostlerd.wait("shop", "has replaced its worker", |app| {
        app.state == AppState::Serving && app.workers.iter().all(|worker| worker.pid != Some(pid))
    });
    assert!(!Proc(pid).lives(), "{pid} still runs");
}

#[test]
fn a_killed_worker_is_replaced_and_the_others_stay() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    kill(before[0], Signal::SIGKILL);
    replaced(&ostlerd, before[0]);
    let after = ostlerd.serving("shop");
    assert!(ostlerd.pids("shop").contains(&before[1]), "{after:#?}");
    ostlerd.logs("killed by signal 9 (KILL)");
}

#[test]
fn a_hung_worker_leaves_its_stacks_and_is_replaced() {
    let site = Site::new();
    let app = shop(&site).table("[limits]\ntimeout = \"10s\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let _waits = ask(&app.target(), "/sleep?600");
    let hung = ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    let pid = hung.workers.iter().find(|it| it.in_flight == 1).and_then(|it| it.pid).expect("it runs");
    replaced(&ostlerd, pid);
    let log = ostlerd.log();
    assert!(log.contains("no heartbeat within the timeout"), "{log}");
    assert!(log.contains("hread 0x") && log.contains("in handle"), "the stacks name the line: {log}");
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn a_request_older_than_request_timeout_ends_its_worker() {
    let site = Site::new();
    let threads = ["-k", "gthread", "--threads", "4"];
    let app = shop(&site).args(&threads).table("[limits]\nrequest_timeout = \"5s\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let _waits = ask(&app.target(), "/sleep?600");
    let stuck = ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    let pid = stuck.workers.iter().find(|it| it.in_flight == 1).and_then(|it| it.pid).expect("it runs");
    replaced(&ostlerd, pid);
    let log = ostlerd.log();
    assert!(log.contains("request_timeout"), "{log}");
    assert!(log.contains("hread 0x"), "the stacks: {log}");
}

#[test]
fn a_quick_request_in_a_worker_with_request_timeout_is_left_alone() {
    let site = Site::new();
    let threads = ["-k", "gthread", "--threads", "4"];
    let app = shop(&site).args(&threads).table("[limits]\nrequest_timeout = \"30s\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    let response = ask(&app.target(), "/sleep?1.5").response().expect("it is answered");
    assert_eq!(response.status, 200);
    assert_eq!(ostlerd.pids("shop"), before);
}

#[test]
fn request_timeout_counts_in_a_draining_worker() {
    let site = Site::new();
    let args = ["-k", "gthread", "--threads", "4", "--graceful-timeout", "600"];
    let app = shop(&site).args(&args).table("[limits]\nrequest_timeout = \"5s\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let _waits = ask(&app.target(), "/sleep?600");
    let stuck = ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    let pid = stuck.workers.iter().find(|it| it.in_flight == 1).and_then(|it| it.pid).expect("it runs");
    ostlerd.restart("shop");
    ostlerd.logs("a request exceeded request_timeout");
    replaced(&ostlerd, pid);
    let after = ostlerd.serving("shop");
    // It was to go anyway: nothing is the matter with the app.
    assert!(after.problem.is_none() && after.last_words.is_none(), "{after:#?}");
}

#[test]
fn a_crash_loop_backs_off_and_says_why() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    app.release("app.py", "1 / 0");
    for pid in ostlerd.pids("shop") {
        kill(pid, Signal::SIGKILL);
    }
    let app_status = ostlerd.wait("shop", "backs off", |app| {
        app.backoff_seconds.is_some() && app.problem.is_some() && app.last_words.is_some()
    });
    assert!(matches!(app_status.state, AppState::Failed | AppState::Degraded), "{app_status:#?}");
    let words = app_status.last_words.expect("waited for");
    assert!(words.traceback.contains("ZeroDivisionError"), "{words:?}");
    ostlerd.ostler(&["status"]).exits(1).says(&["ZeroDivisionError"]);

    app.release("app.py", WSGI);
    ostlerd.restart("shop");
    let well = ostlerd.serving("shop");
    assert!(well.problem.is_none() && well.last_words.is_none(), "{well:#?}");
}

#[test]
fn one_crashing_app_does_not_disturb_another() {
    let site = Site::new();
    let good = shop(&site).write();
    site.app("blog").tcp().workers(1).with("app.py", "1 / 0").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    ostlerd.wait("blog", "has failed", |app| app.state == AppState::Failed && app.last_words.is_some());
    get(&good.target(), "/").expect("it serves");
    assert_eq!(ostlerd.pids("shop"), before);
}

#[test]
fn a_worker_of_an_old_gunicorn_is_kept_the_same_way() {
    let site = Site::new();
    shop(&site).gunicorn(Gunicorn::V20).write();
    let ostlerd = site.start();
    let app = ostlerd.serving("shop");
    assert!(app.runs.as_ref().is_some_and(|it| it.contains("20.1")), "{:?}", app.runs);
    let pid = ostlerd.pids("shop")[0];
    kill(pid, Signal::SIGSEGV);
    replaced(&ostlerd, pid);
}
