//! When an app counts as having more to do than it can.

use std::time::Duration;

use crate::harness::{Site, WSGI, until};
use crate::health::{ask, listens};
use crate::load::{Connection, Target};

fn sleeper(target: &Target) -> Connection {
    let mut connection = Connection::open(target, Duration::from_secs(60)).expect("it listens");
    connection.send(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n");
    connection
}

#[test]
fn threads_are_what_a_worker_of_gthread_can_have() {
    let site = Site::new();
    let args = ["-k", "gthread", "--threads", "2"];
    let app = site.app("shop").tcp().workers(1).args(&args).with("app.py", WSGI).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let one = sleeper(&app.target());
    ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    let said = ask(address, "/readyz?verbose").1;
    assert!(!said.contains("busy"), "one of two threads is free: {said}");
    let other = sleeper(&app.target());
    until("the saturation is seen", || {
        ask(address, "/readyz?verbose").1.contains("all workers are busy").then_some(())
    });
    drop((one, other));
    ostlerd.kill();
}

#[test]
fn connections_that_wait_on_a_unix_socket_are_counted() {
    let site = Site::new();
    let app = site.app("shop").unix().workers(1).with("app.py", WSGI).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let waiting = |count: u32| {
        let line = format!("ostler_listen_queue_connections{{app=\"shop\"}} {count}\n");
        until(format!("{count} connections wait"), || {
            ask(address, "/metrics").1.contains(&line).then_some(())
        });
    };
    waiting(0);
    let taken = sleeper(&app.target());
    ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    let left: Vec<Connection> = (0..3).map(|_| sleeper(&app.target())).collect();
    waiting(3);
    drop((taken, left));
    ostlerd.kill();
}
