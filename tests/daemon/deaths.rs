//! Workers that are killed: what it costs clients, and that nothing of them stays in ostlerd.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ostler::observe::AppStatus;

use crate::die::Die;
use crate::harness::{Ostlerd, Site, WSGI, eventually, kill, ready, until};
use crate::load::Load;

fn ready_pids(app: &AppStatus) -> Vec<i32> {
    ready(app).iter().filter_map(|worker| worker.pid).collect()
}

/// Waits until ostlerd has again what it had, descriptors of passing things apart.
#[track_caller]
fn descriptors_are_back_to(ostlerd: &Ostlerd<'_>, before: usize) {
    let back = eventually(Duration::from_secs(90), || {
        (ostlerd.process().descriptors().len() <= before).then_some(())
    });
    let now = ostlerd.process().descriptors();
    assert!(back.is_some(), "{before} descriptors before, {} now: {now:#?}", now.len());
}

#[test]
fn a_killed_worker_costs_no_more_than_the_request_it_had() {
    let site = Site::with_own_health();
    let limits = "[limits]\nrestarts_per_minute = 10000";
    let app = site.app("shop").tcp().workers(4).with("app.py", WSGI).table(limits).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let descriptors = ostlerd.process().descriptors().len();
    let mut die = Die::new();

    let load = Load::on(&app.target()).start();
    load.more(50);
    let began = Instant::now();
    let mut kills = 0;
    while began.elapsed() < Duration::from_secs(30) {
        let pids = ready_pids(&ostlerd.wait("shop", "has two ready workers", |app| ready(app).len() >= 2));
        kill(pids[die.below(pids.len())], Signal::SIGKILL);
        kills += 1;
        load.more(5);
    }
    ostlerd.serving("shop");
    load.more(50);
    let tally = load.stop();

    println!("{kills} kills, {} lost: {tally}", tally.lost());
    assert!(kills >= 20, "{kills} kills in 30 s are too few");
    // A sync worker has one request at a time; whatever waits in the accept queue belongs to all.
    assert!(tally.lost() <= kills, "{} lost in {kills} kills: {tally}", tally.lost());
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
    descriptors_are_back_to(&ostlerd, descriptors);
}

#[test]
fn a_thousand_deaths_leave_nothing_in_ostlerd() {
    let site = Site::with_own_health();
    let limits = "[limits]\nrestarts_per_minute = 10000";
    site.app("shop").tcp().workers(16).with("app.py", WSGI).table(limits).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");

    let mut dead = BTreeSet::new();
    let mut early = None;
    while dead.len() < 1000 {
        let pids = until("more workers are ready", || {
            let mut pids = ready_pids(&ostlerd.app("shop"));
            pids.retain(|pid| !dead.contains(pid));
            (pids.len() >= 4).then_some(pids)
        });
        for pid in pids {
            kill(pid, Signal::SIGKILL);
            dead.insert(pid);
        }
        if early.is_none() && dead.len() >= 200 {
            ostlerd.serving("shop");
            early = Some((ostlerd.process().descriptors().len(), ostlerd.process().rss()));
        }
    }
    ostlerd.serving("shop");
    let (descriptors, rss) = early.expect("there were 200 deaths");
    descriptors_are_back_to(&ostlerd, descriptors);
    let now = ostlerd.process().rss();
    println!("resident after 200 deaths {} KiB, after {} {} KiB", rss >> 10, dead.len(), now >> 10);
    assert!(now <= rss + (2 << 20), "memory grows: {rss} bytes after 200 deaths, {now} after {}", dead.len());
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}
