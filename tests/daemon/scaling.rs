//! Workers that follow the load: more while clients wait, fewer when there has been little to do for long.

use std::collections::BTreeSet;
use std::time::Duration;

use ostler::observe::AppStatus;

use crate::harness::{AppFile, Ostlerd, Site, ready};
use crate::load::{Load, Running};

/// Each answer takes a while, and none of the processor.
const SLOW: &str = r#"
import os, time

def application(environ, start_response):
    time.sleep(0.05)
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

fn shop(site: &Site, workers: &str) -> AppFile {
    site.app("shop").tcp().key(&format!("workers = {workers}")).with("app.py", SLOW)
}

fn clients(app: &AppFile, count: u32) -> Running {
    Load::on(&app.target()).connections(count).start()
}

#[track_caller]
fn serves_with(ostlerd: &Ostlerd<'_>, count: u32) -> AppStatus {
    ostlerd.wait("shop", &format!("serves with {count} workers"), |app| {
        app.workers_wanted == count && ready(app).len() == count as usize
    })
}

fn pids(app: &AppStatus) -> BTreeSet<i32> {
    ready(app).iter().filter_map(|worker| worker.pid).collect()
}

fn comes_and_goes(args: &[&str], count: u32) {
    let site = Site::new();
    let app = shop(&site, "{ min = 1, max = 3, idle = \"2s\" }").args(args).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let many = clients(&app, count);
    let grown = serves_with(&ostlerd, 3);
    let scaling = grown.scaling.expect("the load decides");
    assert_eq!((scaling.min, scaling.max, scaling.by_hand), (1, 3, false));
    many.more(100);
    let tally = many.stop();
    tally.lost_nothing();
    assert!(tally.bodies().len() >= 3, "all of them answer: {:?}", tally.bodies());
    let few = Load::on(&app.target()).connections(1).pause(Duration::from_millis(300)).start();
    serves_with(&ostlerd, 1);
    few.more(25);
    few.stop().lost_nothing();
    ostlerd.logs("grown from 1 to 2 workers: ");
    ostlerd.logs("shrunk from 2 to 1 worker: at most");
}

#[test]
fn workers_come_with_the_clients_and_go_when_there_has_been_little_to_do() {
    comes_and_goes(&[], 8);
}

#[test]
fn threads_that_are_all_busy_bring_another_worker() {
    comes_and_goes(&["-k", "gthread", "--threads", "2"], 16);
}

#[test]
fn the_next_ostlerd_keeps_the_workers_that_the_load_has_brought() {
    let site = Site::new();
    let app = shop(&site, "{ min = 1, max = 3 }").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = clients(&app, 8);
    let before = pids(&serves_with(&ostlerd, 3));
    load.stop().lost_nothing();
    ostlerd.crash();
    let ostlerd = site.start();
    let after = ostlerd.serving("shop");
    assert_eq!((after.workers_wanted, pids(&after)), (3, before));
}

#[test]
fn a_number_by_hand_counts_until_it_is_taken_back() {
    let site = Site::new();
    shop(&site, "{ min = 1, max = 3 }").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["scale", "shop", "5"]).exits(0);
    let app = serves_with(&ostlerd, 5);
    assert!(app.scaling.is_some_and(|scaling| scaling.by_hand));
    let said = ostlerd.ostler(&["status", "shop"]).exits(0);
    said.says(&["1 to 3 workers, as the load needs: not now, their number was given by hand"]);
    let said = ostlerd.ostler(&["scale", "shop", "auto"]).exits(0);
    said.says(&["1 to 3 workers, as the load needs"]);
    let app = serves_with(&ostlerd, 3);
    assert!(app.scaling.is_some_and(|scaling| !scaling.by_hand));
    ostlerd.ostler(&["scale", "shop", "some"]).exits(64).says(&["a number of workers, or `auto`"]);
}

#[test]
fn from_a_number_to_a_range_and_back_no_worker_is_restarted() {
    let site = Site::new();
    let app = site.app("shop").tcp().with("app.py", SLOW);
    let file = |workers: &str| drop(app.clone().key(&format!("workers = {workers}")).write());
    file("3");
    let ostlerd = site.start();
    let before = pids(&ostlerd.serving("shop"));
    for (workers, wanted) in [("{ min = 2, max = 8 }", 3), ("3", 3), ("{ min = 1, max = 2 }", 2)] {
        file(workers);
        ostlerd.ostler(&["reload"]).exits(0);
        let after = pids(&serves_with(&ostlerd, wanted));
        assert!(after.is_subset(&before), "{workers}: {before:?}, then {after:?}");
    }
    let app = ostlerd.serving("shop");
    assert_eq!(app.generation.map(|it| it.0), Some(1));
}
