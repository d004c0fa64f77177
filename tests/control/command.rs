//! The real command: what it prints, where, and its exit status.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ostler::supervise::{AppState, Command as Asked, LastRollout, Outcome, ScaleTo};
use serde_json::Value;

use crate::fake::{Fake, app, name, ready, status, text, wait_until};

#[test]
fn status_is_0_where_all_is_well_and_1_where_something_is_wrong() {
    let fake = Fake::start();
    let shown = fake.ostler(&["status"]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(
        text(&shown.stdout).contains("shop    serving  g1  0 of 2 workers ready"),
        "{}",
        text(&shown.stdout)
    );

    let mut rolled_back = app("shop", AppState::Serving);
    rolled_back.last_rollout =
        Some(LastRollout { generation: None, committed: false, reason: Some("it did not boot".into()) });
    let mut invalid = status(vec![app("shop", AppState::Serving)]);
    invalid.config.valid = false;
    for wrong in [
        status(vec![app("shop", AppState::Failed)]),
        status(vec![app("shop", AppState::Degraded)]),
        status(vec![rolled_back]),
        invalid,
    ] {
        fake.status.send_replace(wrong.into());
        assert_eq!(fake.ostler(&["status"]).status.code(), Some(1));
        assert_eq!(fake.ostler(&["status", "--json"]).status.code(), Some(1));
    }
    let two = status(vec![app("blog", AppState::Failed), app("shop", AppState::Serving)]);
    fake.status.send_replace(two.into());
    assert_eq!(fake.ostler(&["status", "shop"]).status.code(), Some(0));
    assert_eq!(fake.ostler(&["status", "blog"]).status.code(), Some(1));
}

#[test]
fn status_of_one_app_is_that_app() {
    let fake = Fake::start();
    let shown = fake.ostler(&["status", "shop", "--json"]);
    let value: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(value["apps"].as_array().unwrap().len(), 1);
    let shown = fake.ostler(&["status", "shpo"]);
    assert_eq!(shown.status.code(), Some(64));
    assert!(text(&shown.stderr).contains("did you mean `shop`?"));
}

#[test]
fn a_restart_elsewhere_than_on_a_terminal_is_a_line_per_step() {
    let fake = Fake::start();
    let shown = fake.ostler(&["restart", "shop"]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let out = text(&shown.stdout);
    assert!(!out.contains('\x1b'));
    assert_eq!(out.lines().count(), 4);
    assert!(out.contains("shop  worker w2 of g2 ready after 0.41 s (2 of 2)"), "{out}");
    assert_eq!(out.lines().last(), Some("generation g2 serves"));
    assert_eq!(fake.next_command(), Asked::restart(name("shop")));
}

#[test]
fn every_verb_asks_for_what_it_says() {
    let fake = Fake::start();
    let commands = [
        (vec!["stop", "shop"], Asked::Stop { app: name("shop") }),
        (vec!["start", "shop"], Asked::Start { app: name("shop") }),
        (vec!["scale", "shop", "5"], Asked::Scale { app: name("shop"), workers: ScaleTo::Count(5) }),
        (vec!["reload"], Asked::Reload),
    ];
    for (arguments, command) in commands {
        assert_eq!(fake.ostler(&arguments).status.code(), Some(0), "{arguments:?}");
        assert_eq!(fake.next_command(), command);
    }
}

#[test]
fn a_rollback_is_exit_1_with_the_traceback_on_standard_error() {
    let fake = Fake::start();
    for arguments in [&["restart", "broken"][..], &["restart", "broken", "--json"]] {
        let shown = fake.ostler(arguments);
        assert_eq!(shown.status.code(), Some(1));
        let error = text(&shown.stderr);
        assert!(
            error.starts_with("ostler: rolled back: 2 workers of g2 did not boot; generation g1"),
            "{error}"
        );
        assert!(error.contains("\n    ModuleNotFoundError: No module named 'nope'\n"), "{error}");
    }
}

#[test]
fn json_is_the_lines_as_they_are() {
    let fake = Fake::start();
    let shown = fake.ostler(&["--json", "restart", "shop"]);
    let out = text(&shown.stdout);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "rollout_started");
    assert_eq!(lines.last().unwrap()["outcome"], "done");
    let shown = fake.ostler(&["restart", "nobody", "--json"]);
    let refusal: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((shown.status.code(), &refusal["exit"]), (Some(64), &Value::from(64)));
}

#[test]
fn exit_statuses_are_as_documented() {
    let fake = Fake::start();
    let cases: [(&[&str], i32, &str); 11] = [
        (&["restart", "busy"], 75, "ostler: refused: ostlerd is draining"),
        (&["restart", "vanish"], 69, "look with `ostler status`"),
        (&["restart", "no such"], 64, "is no app name"),
        (&["restart"], 64, "Usage"),
        (&["dance"], 64, "unrecognized subcommand"),
        (&[], 64, "Usage"),
        (&["scale", "shop", "0"], 64, "`ostler stop shop`"),
        (&["scale", "shop", "-1"], 64, "from 1 to 1000"),
        (&["scale", "shop", "1001"], 64, "from 1 to 1000"),
        (&["scale", "shop", "many"], 64, "invalid value"),
        (
            &["--socket", "/nonexistent/control.sock", "status"],
            69,
            "ostlerd is not reachable at /nonexistent",
        ),
    ];
    for (arguments, code, words) in cases {
        let shown = fake.ostler(arguments);
        assert_eq!(shown.status.code(), Some(code), "{arguments:?}");
        assert!(text(&shown.stderr).contains(words), "{arguments:?}: {}", text(&shown.stderr));
    }
    for arguments in [&["--help"][..], &["--version"], &["restart", "--help"]] {
        assert_eq!(fake.ostler(arguments).status.code(), Some(0));
    }
}

#[test]
fn something_else_on_the_socket_is_not_taken_for_ostlerd() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"220 smtp ready\r\n").unwrap();
    });
    let shown = Command::new(env!("CARGO_BIN_EXE_ostler"))
        .arg("--socket")
        .arg(&socket)
        .arg("status")
        .output()
        .unwrap();
    other.join().unwrap();
    assert_eq!(shown.status.code(), Some(69));
    assert!(text(&shown.stderr).contains("does not answer as it should"), "{}", text(&shown.stderr));
}

#[test]
fn an_interrupted_restart_says_that_the_rollout_goes_on() {
    let fake = Fake::start();
    let child =
        fake.command(&["restart", "slow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _held = fake.next_held();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let shown = child.wait_with_output().unwrap();
    assert_eq!(shown.status.code(), Some(130));
    assert_eq!(text(&shown.stderr), "ostler: the rollout goes on; watch it with `ostler events`\n");
}

#[test]
fn events_are_shown_as_they_happen_and_end_with_ostlerd() {
    let mut fake = Fake::start();
    let mut people = fake.command(&["events"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut programs = fake.command(&["events", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("both listen", || fake.events.receiver_count() == 2);
    fake.events.send(ready("shop", 1)).unwrap();
    let mut lines = BufReader::new(people.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.ends_with("Z  shop  worker w1 of g2 ready after 0.41 s (1 of 2)"), "{line}");
    let mut line = String::new();
    BufReader::new(programs.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["event"], "worker_ready");
    fake.stop();
    let shown = people.wait_with_output().unwrap();
    assert_eq!(shown.status.code(), Some(69));
    assert!(text(&shown.stderr).contains("ostlerd went away"));
    assert_eq!(programs.wait().unwrap().code(), Some(69));
}

#[test]
fn a_reader_that_leaves_ends_events_quietly() {
    let fake = Fake::start();
    let mut child = fake.command(&["events"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it listens", || fake.events.receiver_count() == 1);
    drop(child.stdout.take());
    // More than one line: a process that another test forks just now may hold the pipe's other end for a moment.
    wait_until("it ends", || {
        let _ = fake.events.send(ready("shop", 1));
        child.try_wait().unwrap().is_some()
    });
    let shown = child.wait_with_output().unwrap();
    assert_eq!((shown.status.code(), text(&shown.stderr)), (Some(0), String::new()));
}

#[test]
fn a_restart_that_nobody_reads_still_ends_with_its_outcome() {
    let fake = Fake::start();
    let mut child = fake.command(&["restart", "slow"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let held = fake.next_held();
    fake.events.send(ready("slow", 1)).unwrap();
    held.send(Outcome::Refused { reason: "not now".into() }).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
}

#[test]
fn on_a_terminal_a_restart_is_a_live_picture() {
    let fake = Fake::start();
    for no_colour in [false, true] {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let mut command = fake.command(&["restart", "shop"]);
        command.stdout(terminal.slave).env("TERM", "xterm");
        if no_colour {
            command.env("NO_COLOR", "1");
        }
        let status = command.status().unwrap();
        drop(command);
        let mut shown = Vec::new();
        // A terminal whose other end is closed ends with an error on Linux.
        let _ = std::fs::File::from(terminal.master).read_to_end(&mut shown);
        let shown = text(&shown);
        assert_eq!(status.code(), Some(0));
        assert!(shown.contains("generation g2 serves"), "{shown:?}");
        assert!(shown.contains("\x1b["), "nothing was redrawn: {shown:?}");
        assert_eq!(shown.contains("\x1b[32m"), !no_colour, "{shown:?}");
    }
}
