//! An app that has failed refuses connections at once, and takes them again with the worker that comes; who waits while a
//! worker is only replaced is answered.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use ostler::supervise::{AppState, WorkerState};

use crate::harness::{AppFile, CLASSES, Ostlerd, Site, WSGI, free_address, kill, until};
use crate::load::{Connection, Target, get};

const BROKEN: &str = "raise RuntimeError('it is broken')\n";

fn shop(site: &Site) -> AppFile {
    let socket = Target::Unix(site.path("shop.sock"));
    site.app("shop").tcp().listen(socket).listen(Target::Tcp(free_address())).workers(2)
}

/// How a connection is refused.
fn connected(target: &Target) -> Result<(), ErrorKind> {
    let limit = Duration::from_secs(30);
    let opened = match target {
        Target::Tcp(address) => TcpStream::connect_timeout(address, limit).map(drop),
        Target::Unix(path) => UnixStream::connect(path).map(drop),
    };
    opened.map_err(|error| error.kind())
}

fn targets(app: &AppFile) -> Vec<Target> {
    let addresses = app.text().lines().find_map(|line| line.strip_prefix("listen = ")).map(str::to_owned);
    let words = addresses.expect("it listens");
    words
        .trim_matches(['[', ']'])
        .split(", ")
        .map(|word| word.trim_matches('"'))
        .map(|word| match word.strip_prefix("unix:") {
            Some(path) => Target::Unix(PathBuf::from(path)),
            None => Target::Tcp(word.parse().expect("an address")),
        })
        .collect()
}

#[track_caller]
fn refuses(ostlerd: &Ostlerd<'_>, app: &AppFile) {
    until("every listener refuses", || {
        let all = targets(app);
        all.iter().all(|it| connected(it) == Err(ErrorKind::ConnectionRefused)).then_some(())
    });
    assert_eq!(ostlerd.app("shop").state, AppState::Failed, "{}", ostlerd.log());
}

#[track_caller]
fn answers(ostlerd: &Ostlerd<'_>, app: &AppFile) {
    ostlerd.serving("shop");
    for target in targets(app) {
        let answer = get(&target, "/").map(|it| it.status);
        assert_eq!(answer, Ok(200), "{target}: {}", ostlerd.log());
    }
}

/// Its workers die, and no other boots.
fn fail(ostlerd: &Ostlerd<'_>, app: &AppFile) {
    app.release("app.py", BROKEN);
    ostlerd.pids("shop").into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
    refuses(ostlerd, app);
}

#[test]
fn a_failed_app_refuses_connections_until_a_worker_serves() {
    for (class, text) in CLASSES {
        let site = Site::new();
        let app = shop(&site).args(&["-k", class]).with("app.py", text).write();
        let ostlerd = site.start();
        answers(&ostlerd, &app);
        fail(&ostlerd, &app);
        app.release("app.py", text);
        answers(&ostlerd, &app);
        // And so once more, and after a restart by hand.
        fail(&ostlerd, &app);
        app.release("app.py", text);
        ostlerd.restart("shop");
        answers(&ostlerd, &app);
        ostlerd.logs("shop: no worker serves: connections are refused until one does");
        ostlerd.logs("shop: a worker serves: connections are taken again");
    }
}

#[test]
fn an_app_that_never_came_up_refuses_connections() {
    for preload in [false, true] {
        let site = Site::new();
        let app = shop(&site).key(&format!("preload = {preload}")).with("app.py", BROKEN).write();
        let ostlerd = site.start();
        refuses(&ostlerd, &app);
        app.release("app.py", WSGI);
        answers(&ostlerd, &app);
    }
}

#[test]
fn connections_are_refused_while_the_next_worker_still_boots() {
    let site = Site::new();
    let app = shop(&site).with("app.py", WSGI).write();
    let ostlerd = site.start();
    answers(&ostlerd, &app);
    fail(&ostlerd, &app);
    let waits = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\n";
    app.release("app.py", &format!("{waits}{WSGI}"));
    ostlerd.wait("shop", "has a worker that boots the next release", |app| {
        app.workers.iter().any(|it| it.state == WorkerState::Booting && it.age_seconds > 1.0)
    });
    refuses(&ostlerd, &app);
    app.release("go", "");
    answers(&ostlerd, &app);
}

#[test]
fn who_waits_while_a_crashed_worker_is_replaced_is_answered() {
    let site = Site::new();
    let socket = Target::Unix(site.path("shop.sock"));
    let app = site.app("shop").tcp().listen(socket).workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    answers(&ostlerd, &app);
    let waits = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\n";
    app.release("app.py", &format!("{waits}{WSGI}"));
    ostlerd.pids("shop").into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
    ostlerd.wait("shop", "has a worker that boots", |app| {
        app.workers.iter().any(|it| it.state == WorkerState::Booting)
    });
    let waiting = targets(&app).into_iter().map(|target| {
        let mut client = Connection::open(&target, Duration::from_secs(60)).expect("it is taken");
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        client
    });
    let waiting: Vec<Connection> = waiting.collect();
    app.release("go", "");
    for mut client in waiting {
        assert_eq!(client.response().map(|it| it.status), Ok(200), "{}", ostlerd.log());
    }
    assert!(!ostlerd.log().contains("connections are refused"), "{}", ostlerd.log());
}

#[test]
fn the_next_ostlerd_refuses_too_and_takes_connections_with_the_worker_that_comes() {
    for way in ["kill -9", "reexec"] {
        let site = Site::new();
        let app = shop(&site).with("app.py", WSGI).write();
        let mut ostlerd = site.start();
        answers(&ostlerd, &app);
        fail(&ostlerd, &app);
        if way == "reexec" {
            ostlerd.ostler(&["reexec"]).exits(0);
            ostlerd.logs("ostlerd goes on with");
        } else {
            ostlerd.crash();
            ostlerd = site.start();
        }
        refuses(&ostlerd, &app);
        app.release("app.py", WSGI);
        answers(&ostlerd, &app);
    }
}

#[test]
fn nobody_else_gets_the_port_of_an_app_that_refuses() {
    let site = Site::new();
    let app = shop(&site).with("app.py", WSGI).write();
    let ostlerd = site.start();
    answers(&ostlerd, &app);
    fail(&ostlerd, &app);
    let Target::Tcp(address) = app.target() else { panic!("the first is TCP") };
    let taken = TcpListener::bind::<SocketAddr>(address).map(drop).map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::AddrInUse));
    app.release("app.py", WSGI);
    answers(&ostlerd, &app);
}

#[test]
fn a_stop_of_an_app_that_refuses_leaves_nothing_and_it_starts_again() {
    let site = Site::new();
    let app = shop(&site).with("app.py", WSGI).write();
    let ostlerd = site.start();
    answers(&ostlerd, &app);
    fail(&ostlerd, &app);
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert!(!site.path("shop.sock").exists());
    app.release("app.py", WSGI);
    ostlerd.ostler(&["start", "shop"]).exits(0);
    answers(&ostlerd, &app);
}
