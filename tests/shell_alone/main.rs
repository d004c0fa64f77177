//! What is true of a whole process, one law at a time: other tests' children and descriptors would be in the way.

#![allow(clippy::unwrap_used)]

mod migrations;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ostler::run::children::Children;
use ostler::run::launch_spec::LaunchSpec;
use ostler::run::signals::{Arrived, Signals};
use ostler::supervise::Exit;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn children() -> Children {
    Children::launched_by(PathBuf::from(env!("CARGO_BIN_EXE_ostlerd")))
}

fn shell(code: &str) -> LaunchSpec {
    LaunchSpec {
        program: PathBuf::from("/bin/sh"),
        argv: ["sh", "-c", code].map(str::to_owned).into(),
        env: BTreeMap::new(),
        directory: PathBuf::from("/"),
        umask: 0o022,
        limits: ostler::plan::ProcessLimits::default(),
        account: None,
        log_file: None,
        no_new_privs: true,
        image: None,
        scope: None,
    }
}

/// Our children, the dead among them too.
fn child_pids() -> Vec<i32> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|text| text.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// How many descriptors are open. A process's first runtime opens some for signals that it keeps.
fn descriptors() -> usize {
    drop(runtime());
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it happens within a minute")
}

#[test]
fn orphans_are_reaped_and_watched_children_are_left_to_their_watchers() {
    let _alone = alone();
    runtime().block_on(async {
        let children = children();
        assert_eq!(children.sweep(), 0);
        children.take_orphans().unwrap();
        let mut signals = Signals::listen().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        // The grandchild outlives its parent, falls to us, and ends when its standard input does.
        let code = "(trap '' HUP; read -r line <&6) & echo $! >&5";
        let (gate, theirs_gate) = UnixStream::pair().unwrap();
        let fds = [(theirs.as_fd(), 5), (theirs_gate.as_fd(), 6)];
        let process = children.spawn(&shell(code), &fds).unwrap();
        drop((theirs, theirs_gate));
        let mut line = String::new();
        BufReader::new(ours).read_line(&mut line).unwrap();
        let grandchild: i32 = line.trim().parse().unwrap();

        // Dead, watched and not yet waited for: the sweep leaves it.
        soon(process.ended()).await;
        assert_eq!(children.sweep(), 0);
        assert_eq!(soon(process.wait()).await, Exit::Code(0));
        assert_eq!(child_pids(), [grandchild]);

        drop(gate);
        while !child_pids().is_empty() {
            if soon(signals.next()).await == Arrived::ChildEnded {
                children.sweep();
            }
        }

        // A child whose watcher has gone is an orphan like any other.
        let process = children.spawn(&shell("exit 0"), &[]).unwrap();
        drop(process);
        while !child_pids().is_empty() {
            if soon(signals.next()).await == Arrived::ChildEnded {
                children.sweep();
            }
        }
        nix::sys::prctl::set_child_subreaper(false).unwrap();
    });
}

#[test]
fn three_hundred_processes_leave_no_descriptor_and_no_zombie() {
    let _alone = alone();
    let before = descriptors();
    runtime().block_on(async {
        let children = children();
        for round in 0..30 {
            let (_ours, theirs) = UnixStream::pair().unwrap();
            let spec = shell(&format!("exit {round}"));
            let some: Vec<_> =
                (0..10).map(|_| children.spawn(&spec, &[(theirs.as_fd(), 5)]).unwrap()).collect();
            for process in &some {
                assert_eq!(soon(process.wait()).await, Exit::Code(round));
            }
        }
        assert_eq!(children.count(), 0);
    });
    assert_eq!(descriptors(), before);
    assert!(child_pids().is_empty());
}

#[test]
fn every_signal_is_told_and_the_second_interrupt_as_such() {
    let _alone = alone();
    runtime().block_on(async {
        let mut signals = Signals::listen().unwrap();
        for (signal, arrived) in [
            (Signal::SIGTERM, Arrived::Terminate),
            (Signal::SIGINT, Arrived::Interrupt),
            (Signal::SIGINT, Arrived::InterruptAgain),
            (Signal::SIGHUP, Arrived::Hangup),
            (Signal::SIGUSR1, Arrived::User1),
            (Signal::SIGTTIN, Arrived::TtyIn),
            (Signal::SIGTTOU, Arrived::TtyOut),
            (Signal::SIGCHLD, Arrived::ChildEnded),
        ] {
            raise(signal).unwrap();
            let mut next = soon(signals.next()).await;
            // The death of an earlier law's child may be told late.
            while next == Arrived::ChildEnded && arrived != Arrived::ChildEnded {
                next = soon(signals.next()).await;
            }
            assert_eq!(next, arrived);
        }
    });
}

#[test]
fn what_systemd_passed_is_taken_once_and_kept_from_children() {
    if std::env::var_os("OSTLER_TEST_PASSED").is_some() {
        let passed = ostler::run::socket_activation::Passed::take();
        assert_eq!(passed.names(), ["web", "log"]);
        assert!(passed.named("log").is_empty(), "it does not listen");
        let sockets = passed.named("web");
        let [socket] = sockets.as_slice() else { panic!("{sockets:?}") };
        let flag = |what| nix::fcntl::fcntl(socket, what).unwrap();
        assert_eq!(flag(nix::fcntl::F_GETFD) & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
        assert_eq!(flag(nix::fcntl::F_GETFL) & nix::libc::O_NONBLOCK, nix::libc::O_NONBLOCK);
        assert!(std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("LISTEN_")));
        assert!(ostler::run::socket_activation::Passed::take().names().is_empty());
        return;
    }
    let _alone = alone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 4</dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "what_systemd_passed_is_taken_once_and_kept_from_children"])
        .envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "web:log"), ("OSTLER_TEST_PASSED", "1")])
        .stdin(std::os::fd::OwnedFd::from(listener))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
