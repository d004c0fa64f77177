//! Connections that wait in the kernel's queue when an app stops: the workers answer them first.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ostler::observe::WorkerStatus;
use ostler::supervise::{AppState, WorkerState};

use crate::harness::{AppFile, CLASSES, Ostlerd, Proc, Site, WSGI, eventually, until};
use crate::load::{Connection, Loss, Target, get};

/// Six clients at once, for one worker that does nothing else for a while with each.
fn clients(target: &Target) -> Vec<Connection> {
    let client = |_| {
        let mut client = Connection::open(target, Duration::from_secs(60)).expect("it listens");
        client.send(b"GET /spin?0.5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        client
    };
    (0..6).map(client).collect()
}

#[track_caller]
fn all_are_answered(class: &str, app: &AppFile, ostlerd: &Ostlerd<'_>, stop: impl FnOnce() + Send) {
    ostlerd.serving("shop");
    let clients = clients(&app.target());
    ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight > 0));
    // Meanwhile they read and hang up, as clients do: gunicorn waits up to two seconds for each to do so.
    std::thread::scope(|scope| {
        scope.spawn(stop);
        ostlerd.wait("shop", "stops", |app| app.state == AppState::Stopping);
        for (number, mut client) in clients.into_iter().enumerate() {
            let answer = client.response().map(|answer| answer.status);
            assert_eq!(answer, Ok(200), "{class}, client {number}: {}", ostlerd.log());
        }
    });
}

#[test]
fn who_waits_when_an_app_stops_is_answered() {
    for (class, text) in CLASSES {
        let sleep = "    if scope[\"path\"] == \"/sleep\":";
        let spin = "    if scope[\"path\"] == \"/spin\":\n        import time; time.sleep(0.5)\n";
        let text = text.replace(sleep, &format!("{spin}{sleep}"));
        let site = Site::new();
        let app = site.app("shop").tcp().workers(1).args(&["-k", class]).with("app.py", &text).write();
        let ostlerd = site.start();
        all_are_answered(class, &app, &ostlerd, || drop(ostlerd.ostler(&["stop", "shop"]).exits(0)));
        assert_eq!(get(&app.target(), "/").map(|it| it.status), Err(Loss::Refused));
    }
}

/// Starts what slips out of its worker's session, one of them an orphan at once, and one that does not heed SIGTERM.
const HELPERS: &str = r#"
import subprocess
for words in ("exec sleep 7200", "trap '' TERM; while :; do sleep 1; done"):
    subprocess.Popen(["setsid", "sh", "-c", words])
subprocess.Popen(["sh", "-c", "setsid sleep 7200 & exit"])
"#;

#[test]
fn what_workers_have_started_ends_with_their_app() {
    for stop in ["stop", "TERM"] {
        let site = Site::new();
        let text = format!("{HELPERS}{WSGI}");
        site.app("shop").tcp().workers(2).with("app.py", &text).write();
        site.app("blog").tcp().workers(1).with("app.py", &text).write();
        let mut ostlerd = site.start();
        ostlerd.serving("shop");
        ostlerd.serving("blog");
        let runtime = site.socket().parent().expect("it has a folder").display().to_string();
        let helpers = |app: &str| {
            let all = Proc::with_env(&format!("OSTLER_APP={runtime}:{app}"));
            all.into_iter().filter(|it| it.command().contains("sleep")).count()
        };
        let until = |what: &str, holds: &dyn Fn() -> bool| {
            assert!(
                eventually(Duration::from_secs(60), || holds().then_some(())).is_some(),
                "{what}: {}",
                ostlerd.log()
            );
        };
        until("the helpers are there", &|| helpers("shop") >= 6 && helpers("blog") >= 3);
        if stop == "TERM" {
            ostlerd.signal(Signal::SIGTERM);
            assert!(ostlerd.ends().success(), "{}", ostlerd.log());
            assert_eq!((helpers("shop"), helpers("blog")), (0, 0), "{}", ostlerd.log());
            continue;
        }
        ostlerd.ostler(&["stop", "shop"]).exits(0);
        until("the helpers of the app end", &|| helpers("shop") == 0);
        assert!(helpers("blog") >= 3, "those of the other app stay");
        ostlerd.ostler(&["start", "shop"]).exits(0);
        ostlerd.serving("shop");
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

/// Two connections that their client keeps open and sends nothing more on, each after a request that was answered.
fn idle(app: &AppFile) -> Vec<Connection> {
    let idle = |_| {
        let mut connection = Connection::open(&app.target(), Duration::from_secs(60)).expect("it listens");
        assert_eq!(connection.ask("/", "x", true).map(|answer| answer.status), Ok(200));
        connection
    };
    (0..2).map(idle).collect()
}

/// For every class that keeps connections, with an hour for those that are idle: the app serves, and two are.
fn with_idle_ones(law: impl Fn(&str, &AppFile, &mut Ostlerd<'_>, Vec<Connection>)) {
    for (class, text) in &CLASSES[1..] {
        let site = Site::new();
        let args = ["-k", class, "--keep-alive", "3600", "--graceful-timeout", "3600"];
        let app = site.app("shop").tcp().workers(1).args(&args).with("app.py", text).write();
        let mut ostlerd = site.start();
        ostlerd.serving("shop");
        let idle = idle(&app);
        law(class, &app, &mut ostlerd, idle);
    }
}

#[test]
fn a_stop_does_not_wait_for_the_keep_alive_of_idle_connections() {
    with_idle_ones(|class, _, ostlerd, idle| {
        let asked = Instant::now();
        ostlerd.signal(Signal::SIGTERM);
        assert!(ostlerd.ends().success(), "{class}");
        let took = asked.elapsed();
        // Five seconds on a machine that has nothing else to do.
        assert!(took < Duration::from_secs(20), "{class}: {took:?}");
        drop(idle);
    });
}

#[test]
fn a_worker_that_drains_for_a_rollout_stays_for_idle_connections_until_a_stop() {
    with_idle_ones(|class, _, ostlerd, mut idle| {
        ostlerd.restart("shop");
        let status = ostlerd.ostler(&["status"]);
        status.says(&["draining", "idle connections", "keep-alive"]);
        let drains = |it: &WorkerStatus| it.state == WorkerState::Draining;
        assert!(ostlerd.app("shop").workers.iter().any(drains), "{class}");
        // It hears of its end a moment after ostlerd has said it.
        until(format!("{class} closes with its answer"), || {
            let answer = idle[0].ask("/", "x", true).expect("it answers");
            assert_eq!(answer.status, 200, "{class}");
            answer.close.then_some(())
        });
        ostlerd.signal(Signal::SIGTERM);
        assert!(ostlerd.ends().success(), "{class}");
    });
}

#[test]
fn a_stop_waits_for_a_request_though_other_connections_are_idle() {
    with_idle_ones(|class, app, ostlerd, idle| {
        let mut busy = Connection::open(&app.target(), Duration::from_secs(60)).expect("it listens");
        busy.send(b"GET /sleep?5 HTTP/1.1\r\nHost: x\r\n\r\n");
        ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight > 0));
        ostlerd.signal(Signal::SIGTERM);
        assert_eq!(busy.response().map(|answer| answer.status), Ok(200), "{class}");
        assert!(ostlerd.ends().success(), "{class}");
        drop(idle);
    });
}
