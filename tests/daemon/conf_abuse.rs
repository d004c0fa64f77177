//! `gunicorn.conf.py` where things go wrong: its process is killed, it raises, hangs, or leaves threads behind.

use nix::sys::signal::Signal;
use ostler::supervise::GenerationId;

use crate::conf::{kill_a_worker, notes, shop, zygote};
use crate::harness::{Proc, Site, WSGI, kill};
use crate::load::{Load, get};

/// Does something bad where a file says so, and only where workers come of it: not when the settings are read.
const BAD: &str = "
import os, sys, time
TITLE = open('/proc/self/cmdline').read()
if os.path.exists(os.path.join(NOTES, 'bad')) and '[zygote' in TITLE:
    exec(open(os.path.join(NOTES, 'bad')).read())
";

fn plain(site: &Site, conf: &str) -> crate::harness::AppFile {
    shop(site, conf).with("app.py", WSGI)
}

#[test]
fn a_process_that_is_killed_costs_nothing_and_is_made_anew_for_the_next_worker() {
    let site = Site::new();
    let app = plain(&site, "").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let (before, pids) = (zygote(&ostlerd), ostlerd.pids("shop"));
    let load = Load::on(&app.target()).start();
    load.more(20);
    kill(before.pid.expect("it runs"), Signal::SIGKILL);
    ostlerd.wait("shop", "has no zygote", |app| app.zygotes.is_empty());
    load.more(20);
    assert_eq!(ostlerd.pids("shop"), pids, "no worker is touched");
    load.stop().lost_nothing();
    ostlerd.logs("died; its workers serve on, and another loads gunicorn's settings when it is needed");
    kill_a_worker(&ostlerd);
    assert_ne!(zygote(&ostlerd).pid, before.pid);
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

/// A release whose file is bad in this way is rolled back, and these words are among the answer.
fn is_rolled_back(bad: &str, limit: &str, words: &[&str], logged: &[&str]) {
    let site = Site::new();
    let app = plain(&site, BAD).table(&format!("[rollout]\nsettle = \"300ms\"\n{limit}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = zygote(&ostlerd);
    let load = Load::on(&app.target()).start();
    std::fs::write(site.path("notes/bad"), bad).expect("the site is ours");
    let said = ostlerd.restart_fails("shop");
    for words in words {
        assert!(said.all().contains(words), "{words}: {said}");
    }
    assert_eq!(ostlerd.serving("shop").generation, Some(GenerationId(1)));
    load.stop().lost_nothing();
    // The old settings are still to be had.
    kill_a_worker(&ostlerd);
    assert_eq!(zygote(&ostlerd).pid, before.pid);
    for words in logged {
        ostlerd.logs(words);
    }
}

#[test]
fn a_file_that_raises_is_rolled_back_in_its_own_words() {
    let words = ["gunicorn's settings do not load", "KeyError: 'no colour'", "Traceback"];
    is_rolled_back("raise KeyError('no colour')", "", &words, &[]);
}

#[test]
fn a_file_that_hangs_is_rolled_back_after_boot_timeout() {
    let words = ["had not loaded gunicorn's settings within boot_timeout (20 s)"];
    let limits = "boot_timeout = \"20s\"\nmax_boot_failures = 1";
    is_rolled_back(
        "time.sleep(1000)",
        limits,
        &words,
        &["most recent call first", "gunicorn.conf.py\", line"],
    );
}

#[test]
fn a_file_that_ends_its_process_is_rolled_back() {
    is_rolled_back("os._exit(7)", "", &["could not load gunicorn's settings: exit status 7"], &[]);
}

#[test]
fn threads_and_connections_of_the_file_are_named() {
    let site = Site::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let conf = format!(
        "import socket, threading\nKEPT = socket.create_connection((\"127.0.0.1\", {}))\n\
         threading.Thread(target=threading.Event().wait, name=\"stock-watch\", daemon=True).start()\n",
        address.port()
    );
    let app = plain(&site, &conf).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs("gunicorn.conf.py has started, run in no worker: stock-watch.");
    ostlerd.logs(&format!("shared by all workers, who will read each other's answers: {address}."));
    kill_a_worker(&ostlerd);
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn a_release_that_brings_the_file_or_does_without_it_again_rolls_out() {
    let site = Site::new();
    let app = site.app("shop").args(crate::conf::GTHREAD).tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    assert!(ostlerd.serving("shop").zygotes.is_empty());
    let load = Load::on(&app.target()).keep_alive(true).start();
    load.more(10);
    app.release("gunicorn.conf.py", &notes(&site, ""));
    ostlerd.restart("shop");
    let between = zygote(&ostlerd).pid.expect("it runs");
    load.more(10);
    std::fs::remove_file(app.directory.join("gunicorn.conf.py")).expect("the release is ours");
    ostlerd.restart("shop");
    ostlerd.wait("shop", "has no zygote", |app| app.zygotes.is_empty());
    assert!(!Proc(between).lives());
    load.more(10);
    load.stop().lost_nothing();
}
