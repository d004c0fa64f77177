use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use ostler::run::children::Children;
use ostler::run::process::ProcessHandle;
use ostler::supervise::{Exit, StopSignal};

use crate::support::{children, end, lives, python, run, shell, soon, until};

/// Starts a program and waits for the line that it writes on descriptor 5.
fn started(children: &Children, code: &str) -> (ProcessHandle, String) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let process = children.spawn(&python(code), &[(theirs.as_fd(), 5)]).unwrap();
    drop(theirs);
    let mut line = String::new();
    BufReader::new(ours).read_line(&mut line).unwrap();
    (process, line.trim().to_owned())
}

#[tokio::test]
async fn an_exit_is_told_with_its_status_or_signal() {
    assert_eq!(run(&shell("exit 7"), &[]).await.1, Exit::Code(7));
    assert_eq!(run(&shell("kill -KILL $$"), &[]).await.1, Exit::Signal(9));
    let number = nix::libc::SIGRTMIN() + 3;
    assert_eq!(run(&shell(&format!("kill -{number} $$")), &[]).await.1, Exit::Signal(number));
}

#[tokio::test]
async fn an_exit_is_told_again_and_to_everyone() {
    let process = children().spawn(&shell("exit 3"), &[]).unwrap();
    let both = tokio::join!(soon(process.wait()), soon(process.wait()));
    assert_eq!(both, (Exit::Code(3), Exit::Code(3)));
    assert_eq!(soon(process.wait()).await, Exit::Code(3));
}

#[tokio::test]
async fn a_signal_to_what_has_ended_is_no_error() {
    let children = children();
    let process = children.spawn(&shell("exit 0"), &[]).unwrap();
    assert_eq!(children.count(), 1);
    soon(process.ended()).await;
    process.signal(Signal::SIGTERM).unwrap();
    soon(process.wait()).await;
    process.signal(Signal::SIGTERM).unwrap();
    process.kill_group().unwrap();
    assert_eq!(children.count(), 0);
}

#[tokio::test]
async fn each_rung_is_its_signal() {
    let code = "import os, signal, time\n\
                for number in (3, 6, 15, signal.SIGRTMIN + 5):\n    signal.signal(number, lambda number, _: os._exit(number))\n\
                os.write(5, b'on\\n')\nwhile True: time.sleep(60)";
    let stacks = nix::libc::SIGRTMIN() + 5;
    for (rung, number) in [
        (StopSignal::Terminate, 15),
        (StopSignal::Quit, 3),
        (StopSignal::Abort, 6),
        (StopSignal::Stacks, stacks),
    ] {
        let (process, _) = started(&children(), code);
        process.stop(rung).unwrap();
        assert_eq!(soon(process.wait()).await, Exit::Code(number), "{rung:?}");
    }
}

#[tokio::test]
async fn killing_the_group_ends_what_a_worker_started() {
    let (process, line) = started(
        &children(),
        "import os, time\n\
         child = os.fork()\n\
         if child: os.write(5, b'%d\\n' % child)\n\
         time.sleep(600)",
    );
    let grandchild: i32 = line.parse().unwrap();
    assert!(lives(grandchild));
    assert_eq!(end(&process).await, Exit::Signal(9));
    until("the grandchild dies", || !lives(grandchild)).await;
}

#[tokio::test]
async fn the_group_can_be_killed_after_its_leader_ended_and_before_it_is_reaped() {
    let (process, line) = started(
        &children(),
        "import os, time\n\
         child = os.fork()\n\
         if child: os.write(5, b'%d\\n' % child); os._exit(0)\n\
         time.sleep(600)",
    );
    let grandchild: i32 = line.parse().unwrap();
    soon(process.ended()).await;
    process.kill_group().unwrap();
    until("the grandchild dies", || !lives(grandchild)).await;
    assert_eq!(soon(process.wait()).await, Exit::Code(0));
}

#[tokio::test]
async fn a_launcher_that_is_killed_at_once_is_gone() {
    for _ in 0..20 {
        let process = children().spawn(&shell("sleep 600"), &[]).unwrap();
        assert_eq!(end(&process).await, Exit::Signal(9));
    }
}

#[tokio::test]
async fn a_launcher_that_is_not_there_makes_no_process() {
    let children = Children::launched_by("/no/such/ostlerd".into());
    let error = children.spawn(&shell("true"), &[]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(children.count(), 0);
}
