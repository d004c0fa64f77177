//! What the tests share: programs to run, and ways to look at them.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler::plan::Account;
use ostler::run::children::Children;
use ostler::run::launch_spec::LaunchSpec;
use ostler::run::process::ProcessHandle;
use ostler::supervise::Exit;

use crate::program;

pub(crate) const PYTHON: &str = "/usr/bin/python3";

pub(crate) fn children() -> Children {
    Children::launched_by(PathBuf::from(env!("CARGO_BIN_EXE_ostlerd")))
}

pub(crate) fn python(code: &str) -> LaunchSpec {
    spec(&[PYTHON, "-I", "-S", "-c", code])
}

pub(crate) fn shell(code: &str) -> LaunchSpec {
    spec(&["/bin/sh", "-c", code])
}

pub(crate) fn spec(argv: &[&str]) -> LaunchSpec {
    LaunchSpec {
        program: PathBuf::from(argv[0]),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
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

/// The user `nobody`, where this process may become it.
pub(crate) fn nobody() -> Option<Account> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_name("nobody").unwrap()?;
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    Some(Account { name: user.name, uid, gid, groups: vec![gid, 4242], home: user.dir })
}

/// Runs to the end: what it wrote on descriptor 5, and how it ended.
pub(crate) async fn run(spec: &LaunchSpec, others: &[(BorrowedFd<'_>, i32)]) -> (String, Exit) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut fds = vec![(theirs.as_fd(), 5)];
    fds.extend_from_slice(others);
    let process = children().spawn(spec, &fds).unwrap();
    drop(theirs);
    let exit = soon(process.wait()).await;
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    (text, exit)
}

/// As [`run`], for a program that writes JSON.
pub(crate) async fn run_json(spec: &LaunchSpec, others: &[(BorrowedFd<'_>, i32)]) -> serde_json::Value {
    let (text, exit) = run(spec, others).await;
    assert_eq!(exit, Exit::Code(0), "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// What must happen, on a slow machine too.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it happens within a minute")
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(tokio::time::Instant::now() < deadline, "{what} within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there and not a zombie.
pub(crate) fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

/// A program file.
pub(crate) fn script(folder: &Path, name: &str, code: &str) -> PathBuf {
    let path = folder.join(name);
    program::write(&path, code.as_bytes());
    path
}

/// Ends a process that a test leaves.
pub(crate) async fn end(process: &ProcessHandle) -> Exit {
    process.kill_group().unwrap();
    soon(process.wait()).await
}
