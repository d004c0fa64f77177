//! Workers that are replaced in time: after so many requests, so long, or so much memory.

use ostler::observe::AppStatus;
use ostler::supervise::AppState;

use crate::harness::{AppFile, Ostlerd, Site, WSGI};
use crate::load::{Load, get};

fn shop(site: &Site) -> AppFile {
    site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2).with("app.py", WSGI)
}

/// Waits until four more workers than there are now have come and the app is whole.
#[track_caller]
fn each_worker_is_replaced_twice(ostlerd: &Ostlerd<'_>) {
    let newest = |app: &AppStatus| app.workers.iter().map(|it| it.id.0).max().unwrap_or_default();
    let before = newest(&ostlerd.app("shop"));
    ostlerd.wait("shop", "has replaced each worker twice", |app| newest(app) >= before + 4);
}

#[test]
fn max_requests_recycles_workers_and_loses_nothing() {
    let site = Site::new();
    let limits = "[limits]\nmax_requests = 60\nmax_requests_jitter = 20\nrestarts_per_minute = 1000";
    let app = shop(&site).table(limits).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for keep_alive in [true, false] {
        let load = Load::on(&app.target()).keep_alive(keep_alive).start();
        each_worker_is_replaced_twice(&ostlerd);
        let tally = load.stop();
        tally.lost_nothing();
        // Two at least have been and gone; the newest may not have been asked yet.
        assert!(tally.bodies().len() > 2, "the replacements answer: {:?}", tally.bodies());
    }
    let log = ostlerd.log();
    assert!(log.contains("max_requests reached"), "{log}");
    let app = ostlerd.serving("shop");
    assert_eq!(app.generation.map(|it| it.0), Some(1), "recycling makes no generation");
}

#[test]
fn gunicorns_own_max_requests_is_honoured() {
    let site = Site::new();
    let app = shop(&site).args(&["--max-requests", "50"]).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).keep_alive(true).start();
    each_worker_is_replaced_twice(&ostlerd);
    load.stop().lost_nothing();
    ostlerd.logs("max_requests reached");
}

#[test]
fn max_age_recycles_workers() {
    let site = Site::new();
    let app = shop(&site).table("[limits]\nmax_age = \"2s\"").write();
    let ostlerd = site.start();
    // On a crowded machine there is always one that is being replaced.
    ostlerd.wait("shop", "serves", |app| app.state == AppState::Serving);
    let before = ostlerd.pids("shop");
    let load = Load::on(&app.target()).keep_alive(true).start();
    ostlerd.wait("shop", "has new workers only", |app| {
        app.state == AppState::Serving
            && app.workers.iter().all(|it| it.pid.is_some_and(|pid| !before.contains(&pid)))
    });
    load.stop().lost_nothing();
    ostlerd.logs("max_age reached");
}

#[test]
fn max_rss_recycles_the_worker_that_grew() {
    let site = Site::new();
    let app = shop(&site).table("[limits]\nmax_rss = \"150MiB\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let grown = get(&app.target(), "/grow?200").expect("it serves").text();
    let grown: i32 = grown.split(' ').next().and_then(|pid| pid.parse().ok()).expect("it says its number");
    ostlerd.wait("shop", "has replaced the worker that grew", |app| {
        app.state == AppState::Serving && app.workers.iter().all(|it| it.pid != Some(grown))
    });
    ostlerd.logs("max_rss exceeded");
}
