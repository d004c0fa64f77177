//! Want of what every process needs: processes and threads, descriptors, memory. ostlerd says so, and is whole again when there is
//! enough.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Ostlerd, Proc, Site, WSGI, is_root, kill, program, ready, until};
use crate::load::answers;

/// Sets a limit of that process, as `prlimit` names it, for as long as this lives.
struct Limit {
    pid: String,
    name: &'static str,
    before: String,
}

fn prlimit(arguments: &[&str]) -> String {
    let pid = arguments[1];
    let user = std::fs::metadata(format!("/proc/{pid}")).map_or(0, |it| it.uid()).to_string();
    // As its own user, for root may not everywhere.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--", "prlimit"]);
    let output = command.args(arguments).output().expect("prlimit is part of every Debian");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Limit {
    fn of(pid: i32, name: &'static str, most: u64) -> Limit {
        let pid = pid.to_string();
        let option = format!("--{name}");
        let before = prlimit(&["--pid", &pid, &option, "--raw", "--noheadings", "--output", "SOFT"]);
        prlimit(&["--pid", &pid, &format!("--{name}={most}:")]);
        Limit { pid, name, before }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let back = format!("--{}={}:", self.name, self.before);
        prlimit(&["--pid", &self.pid, &back]);
    }
}

fn is_whole_again(ostlerd: &Ostlerd<'_>) {
    ostlerd.serving("shop");
    ostlerd.restart("shop");
    let log = ostlerd.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// A user of this test's own, whose processes can be counted.
fn somebody() -> u32 {
    700_000 + std::process::id() % 100_000
}

/// An ostlerd that runs as that user, who alone has so many processes.
fn as_somebody(site: &Site) -> Ostlerd<'_> {
    let (copy, script, user) = (site.path("ostlerd"), site.path("start"), somebody());
    program::copy(env!("CARGO_BIN_EXE_ostlerd"), &copy);
    let line =
        format!("exec setpriv --reuid {user} --regid {user} --clear-groups -- {} \"$@\"", copy.display());
    program::write(&script, format!("#!/bin/sh\n{line}\n").as_bytes());
    for name in ["run", "state"] {
        std::fs::create_dir_all(site.path(name)).expect("the site is ours");
        std::os::unix::fs::chown(site.path(name), Some(user), Some(user)).expect("root may");
    }
    site.start_as(&script)
}

/// The threads of ostlerd that do what may block.
fn pool(ostlerd: &Ostlerd<'_>) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", ostlerd.process().0)).expect("it runs");
    let names = tasks.flatten().filter_map(|it| std::fs::read_to_string(it.path().join("comm")).ok());
    names.filter(|name| name.starts_with("tokio")).collect()
}

#[test]
fn where_no_process_and_no_thread_can_be_made_ostlerd_serves_on_and_is_whole_again_afterwards() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let site = Site::new();
    let app = site.app("shop").user(None).tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = as_somebody(&site);
    ostlerd.serving("shop");
    // One that is there already: after ten seconds without work there was none before.
    until("a thread is there", || (!pool(&ostlerd).is_empty()).then_some(()));
    let limit = Limit::of(ostlerd.process().0, "nproc", 1);
    let victim = ostlerd.pids("shop")[0];
    kill(victim, Signal::SIGKILL);
    ostlerd.wait("shop", "has one worker", |app| ready(app).len() == 1);
    answers(&app.target(), "1");
    let said = ostlerd.ostler(&["restart", "shop"]);
    assert!(said.all().contains("no thread can be made"), "{said}");
    answers(&app.target(), "1");
    drop(limit);
    is_whole_again(&ostlerd);
}

#[test]
fn where_no_descriptor_can_be_had_workers_serve_and_ostlerd_is_whole_again_afterwards() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let limit = Limit::of(ostlerd.process().0, "nofile", 3);
    let worker = Proc(ostlerd.process().0).children()[0];
    kill(worker, Signal::SIGKILL);
    // The command gets no answer now: only the log tells.
    ostlerd.logs("could not be started");
    answers(&app.target(), "1");
    drop(limit);
    is_whole_again(&ostlerd);
}

#[test]
fn where_memory_cannot_be_had_workers_serve_and_the_next_ostlerd_goes_on_with_them() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let mut pids = ostlerd.pids("shop");
    let limit = Limit::of(ostlerd.process().0, "as", 1 << 20);
    // It may refuse, or end for want of memory: then systemd starts the next one.
    for _ in 0..20 {
        let _ = site.ostler(&["restart", "shop"]);
        answers(&app.target(), "1");
    }
    if ostlerd.process().lives() {
        drop(limit);
    } else {
        std::mem::forget(limit);
        ostlerd.ends();
        drop(ostlerd);
        ostlerd = site.start();
    }
    ostlerd.serving("shop");
    let mut now = ostlerd.pids("shop");
    pids.sort_unstable();
    now.sort_unstable();
    assert_eq!(now, pids, "no worker has noticed");
    ostlerd.restart("shop");
}
