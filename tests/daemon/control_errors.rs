//! Bad requests, bad bytes and bad company on the control socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::harness::{AppFile, Ostlerd, Site, WSGI};

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI)
}

/// The verb fails with this, and the app is as it was.
#[track_caller]
fn is_refused(ostlerd: &Ostlerd<'_>, args: &[&str], code: i32, words: &[&str]) {
    let before = ostlerd.serving("shop");
    ostlerd.ostler(args).exits(code).says(words);
    let after = ostlerd.serving("shop");
    assert_eq!(after.generation, before.generation);
    assert_eq!(after.workers_wanted, before.workers_wanted);
    assert_eq!(after.workers[0].pid, before.workers[0].pid);
}

#[test]
fn an_app_that_does_not_exist_is_a_usage_error() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    is_refused(&ostlerd, &["restart", "nope"], 64, &["nope", "shop"]);
    is_refused(&ostlerd, &["scale", "nope", "3"], 64, &["nope"]);
    is_refused(&ostlerd, &["stop", "shpo"], 64, &["shpo", "shop"]);
    is_refused(&ostlerd, &["restart", "../etc"], 64, &["../etc"]);
    is_refused(&ostlerd, &["restart", ""], 64, &[]);
}

#[test]
fn numbers_of_workers_that_make_no_sense_are_usage_errors() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    is_refused(&ostlerd, &["scale", "shop", "0"], 64, &["0"]);
    is_refused(&ostlerd, &["scale", "shop", "-1"], 64, &["-1"]);
    is_refused(&ostlerd, &["scale", "shop", "10000"], 64, &["10000"]);
    is_refused(&ostlerd, &["scale", "shop", "many"], 64, &["many"]);
    is_refused(&ostlerd, &["scale", "shop"], 64, &[]);
}

#[test]
fn verbs_that_do_not_exist_are_usage_errors() {
    let site = Site::new();
    site.ostler(&["restrat", "shop"]).exits(64).says(&["restrat", "restart"]);
    site.ostler(&["restart"]).exits(64);
    site.ostler(&["status", "--jsno"]).exits(64).says(&["--jsno"]);
}

#[test]
fn without_a_daemon_the_command_says_so() {
    let site = Site::new();
    let socket = site.socket().to_string_lossy().into_owned();
    for args in [&["status"][..], &["restart", "shop"], &["scale", "shop", "2"], &["reload"], &["events"]] {
        site.ostler(args).exits(69).says(&[&socket, "ostlerd"]);
    }
}

#[test]
fn a_second_ostlerd_on_the_same_folder_does_not_start() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let said = site.start_in_vain();
    assert_eq!(said.code, Some(75), "{said}");
    said.says(&["control.sock", &ostlerd.process().0.to_string()]);
    ostlerd.ostler(&["status"]).exits(0);
}

#[test]
fn a_control_socket_that_nobody_serves_is_taken_over() {
    let site = Site::new();
    shop(&site).write();
    fs::create_dir(site.path("run")).expect("the site is ours");
    drop(UnixListener::bind(site.socket()).expect("the site is ours"));
    site.start().serving("shop");
}

#[test]
fn a_killed_ostlerd_leaves_nothing_that_stops_the_next() {
    let site = Site::new();
    shop(&site).write();
    let first = site.start();
    first.serving("shop");
    first.kill();
    crate::harness::until("every process is gone", || site.processes().is_empty().then_some(()));
    site.start().serving("shop");
}

/// Sends bytes to the control socket and gives what is said to them.
fn talk(site: &Site, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(site.socket()).expect("ostlerd listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn garbage_on_the_control_socket_disturbs_nobody() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let zeros = vec![0; 1 << 20];
    let long_header = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let long_body =
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{}", "y".repeat(1 << 20));
    let garbage: [&[u8]; 8] = [
        b"",
        b"\r\n\r\n",
        b"\xff\xfe\x00 nonsense \x01\r\n\r\n",
        &zeros,
        long_header.as_bytes(),
        long_body.as_bytes(),
        b"POST /v1/apps/shop/scale HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for bytes in garbage {
        let said = talk(&site, bytes);
        assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
        assert!(!said.contains("root:"), "{said}");
        ostlerd.ostler(&["status"]).exits(0);
    }
    let log = ostlerd.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Connections that say half a request and then nothing.
fn half_requests(site: &Site, count: usize) -> Vec<UnixStream> {
    let half = |_| {
        let mut stream = UnixStream::connect(site.socket()).expect("ostlerd listens");
        // One that is turned away may be so at once.
        let _ = stream.write_all(b"GET /v1/sta");
        stream
    };
    (0..count).map(half).collect()
}

#[test]
fn more_half_requests_than_there_are_places_pass() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let open = half_requests(&site, 200);
    let said = ostlerd.ostler(&["status"]);
    assert!(matches!(said.code, Some(69 | 75)), "all places are taken: {said}");
    drop(open);
    crate::harness::until("there are places again", || {
        (ostlerd.ostler(&["status"]).code == Some(0)).then_some(())
    });
}

#[test]
fn half_a_request_holds_nobody_up() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let open = half_requests(&site, 10);
    ostlerd.ostler(&["status"]).exits(0);
    ostlerd.ostler(&["restart", "shop"]).exits(0);
    drop(open);
    ostlerd.ostler(&["status"]).exits(0);
}

#[test]
fn a_caller_for_whom_there_is_no_place_is_told_so() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let open = half_requests(&site, 60);
    ostlerd.ostler(&["restart", "shop"]).exits(75).says(&["too many connections"]);
    drop(open);
    ostlerd.wait("shop", "is as it was", |app| app.generation.is_some_and(|it| it.0 == 1));
}

#[test]
fn a_caller_that_goes_away_does_not_end_its_rollout() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    app.release("app.py", &format!("{WSGI}\ntime.sleep(1)\n"));
    let mut caller = site.ostler_command(&["restart", "shop"]).spawn().expect("ostler starts");
    ostlerd.wait("shop", "rolls out", |app| app.rollout.as_ref().is_some_and(|it| it.generation.is_some()));
    crate::harness::kill(caller.id() as i32, nix::sys::signal::Signal::SIGKILL);
    caller.wait().expect("the child is ours");
    ostlerd.wait("shop", "has a new generation", |app| app.generation.is_some_and(|it| it.0 == 2));
    ostlerd.serving("shop");
}
