//! Workers that are killed: what it costs clients, and that nothing of them stays in ostlerd.

use std::collections::BTreeSet;
use std::time::Duration;

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
    // So many on a quick machine too, where each costs what the start of a worker costs.
    let kills = 60;
    for _ in 0..kills {
        let pids = ready_pids(&ostlerd.wait("shop", "has two ready workers", |app| ready(app).len() >= 2));
        kill(pids[die.below(pids.len())], Signal::SIGKILL);
        load.more(5);
    }
    ostlerd.serving("shop");
    load.more(50);
    let tally = load.stop();

    println!("{kills} kills, {} lost: {tally}", tally.lost());
    // A sync worker has one request at a time; whatever waits in the accept queue belongs to all.
    assert!(tally.lost() <= kills, "{} lost in {kills} kills: {tally}", tally.lost());
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
    descriptors_are_back_to(&ostlerd, descriptors);
}

/// Kills workers of this app as they become ready, until so many have died.
fn let_die(ostlerd: &Ostlerd<'_>, app: &str, count: usize, dead: &mut BTreeSet<i32>) {
    let goal = dead.len() + count;
    while dead.len() < goal {
        let pids = until("more workers are ready", || {
            let mut pids = ready_pids(&ostlerd.app(app));
            pids.retain(|pid| !dead.contains(pid));
            (pids.len() >= 4).then_some(pids)
        });
        for pid in pids {
            kill(pid, Signal::SIGKILL);
            dead.insert(pid);
        }
    }
    ostlerd.serving(app);
}

/// What stays in ostlerd shows by how many have died; the start of an interpreter costs ten times what a fork of one costs.
/// So most of the thousand are forked.
#[test]
fn a_thousand_deaths_leave_nothing_in_ostlerd() {
    let site = Site::with_own_health();
    let limits = "[limits]\nrestarts_per_minute = 10000";
    for (name, workers, preload) in [("started", 8, false), ("forked", 16, true)] {
        let app = site.app(name).tcp().workers(workers).with("app.py", WSGI).table(limits);
        app.key(&format!("preload = {preload}")).write();
    }
    let ostlerd = site.start();
    ostlerd.serving("started");
    ostlerd.serving("forked");

    let mut dead = BTreeSet::new();
    let_die(&ostlerd, "started", 50, &mut dead);
    let_die(&ostlerd, "forked", 150, &mut dead);
    let (descriptors, rss) = (ostlerd.process().descriptors().len(), ostlerd.process().rss());
    let_die(&ostlerd, "started", 100, &mut dead);
    let started = ostlerd.process().rss();
    let_die(&ostlerd, "forked", 700, &mut dead);
    assert!(dead.len() >= 1000, "{} deaths", dead.len());

    descriptors_are_back_to(&ostlerd, descriptors);
    let now = ostlerd.process().rss();
    let kib = [rss, started, now].map(|bytes| bytes >> 10);
    println!("KiB resident after 200 deaths, 100 more of started ones, {} in all: {kib:?}", dead.len());
    assert!(started <= rss + (1 << 19), "memory grows: {rss} bytes before 100 deaths, {started} after");
    assert!(now <= rss + (2 << 20), "memory grows: {rss} bytes after 200 deaths, {now} after {}", dead.len());
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}
