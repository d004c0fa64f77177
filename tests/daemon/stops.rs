//! Connections that wait in the kernel's queue when an app stops: the workers answer them first.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{ASGI, AppFile, Ostlerd, Site, WSGI};
use crate::load::{Connection, Loss, Target, get};

/// Each class with an app in which a request keeps the whole worker busy.
const CLASSES: [(&str, &str); 6] = [
    ("sync", WSGI),
    ("gthread", WSGI),
    ("gevent", WSGI),
    ("tornado", WSGI),
    ("asgi", ASGI),
    ("uvicorn_worker.UvicornWorker", ASGI),
];

/// Six visitors at once, for one worker that does nothing else for a while with each.
fn visitors(target: &Target) -> Vec<Connection> {
    let visitor = |_| {
        let mut visitor = Connection::open(target, Duration::from_secs(60)).expect("it listens");
        visitor.send(b"GET /spin?0.15 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        visitor
    };
    (0..6).map(visitor).collect()
}

#[track_caller]
fn all_are_answered(class: &str, app: &AppFile, ostlerd: &Ostlerd<'_>, stop: impl FnOnce()) {
    ostlerd.serving("shop");
    let visitors = visitors(&app.target());
    ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight > 0));
    stop();
    for (number, mut visitor) in visitors.into_iter().enumerate() {
        let answer = visitor.response().map(|answer| answer.status);
        assert_eq!(answer, Ok(200), "{class}, visitor {number}: {}", ostlerd.log());
    }
}

#[test]
fn who_waits_when_an_app_stops_is_answered() {
    for (class, text) in CLASSES {
        let sleep = "    if scope[\"path\"] == \"/sleep\":";
        let spin = "    if scope[\"path\"] == \"/spin\":\n        import time; time.sleep(0.15)\n";
        let text = text.replace(sleep, &format!("{spin}{sleep}"));
        let site = Site::new();
        let app = site.app("shop").tcp().workers(1).args(&["-k", class]).with("app.py", &text).write();
        let ostlerd = site.start();
        all_are_answered(class, &app, &ostlerd, || drop(ostlerd.ostler(&["stop", "shop"]).exits(0)));
        assert_eq!(get(&app.target(), "/").map(|it| it.status), Err(Loss::Refused));
    }
}

#[test]
fn who_waits_on_a_unix_socket_when_ostlerd_ends_is_answered() {
    for class in ["sync", "tornado"] {
        let site = Site::new();
        let app = site.app("shop").unix().workers(1).args(&["-k", class]).with("app.py", WSGI).write();
        let mut ostlerd = site.start();
        all_are_answered(class, &app, &ostlerd, || ostlerd.signal(Signal::SIGTERM));
        assert!(ostlerd.ends().success());
    }
}
