//! Good releases that are slow and bad releases: clients notice neither.

use std::time::Duration;

use ostler::supervise::AppState;

use crate::harness::{AppFile, Gunicorn, Ostlerd, Said, Site, WSGI};
use crate::load::{Load, answers};

const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];

fn shop(site: &Site) -> AppFile {
    let rollout = "[rollout]\nsettle = \"1500ms\"\nmax_boot_failures = 1\nboot_timeout = \"20s\"";
    site.app("shop").args(GTHREAD).tcp().workers(2).with("app.py", WSGI).table(rollout)
}

fn second_release(text: &str) -> String {
    format!("{}\nRELEASE = \"2\"\n{text}\n", WSGI)
}

/// Puts a bad release in place and restarts under load: exit status 1, and nobody noticed.
#[track_caller]
fn a_bad_release_changes_nothing(site: &Site, ostlerd: &Ostlerd<'_>, app: &AppFile, code: &str) -> Said {
    let before = ostlerd.serving("shop");
    let workers = ostlerd.pids("shop");
    app.release("app.py", &second_release(code));
    let load = Load::on(&app.target()).keep_alive(true).start();
    load.more(30);
    let said = ostlerd.restart_fails("shop");
    load.more(30);
    let tally = load.stop();

    tally.lost_nothing();
    assert_eq!(tally.releases().into_iter().collect::<Vec<_>>(), ["1"], "only the old release answers");
    let after = ostlerd.serving("shop");
    assert_eq!(after.generation, before.generation, "{after:#?}");
    assert_eq!(ostlerd.pids("shop"), workers, "the old workers were not touched");
    let last = after.last_rollout.expect("a rollout was tried");
    assert!(!last.committed && last.reason.is_some(), "{last:?}");
    assert!(site.processes().len() < 10, "no worker of the bad release stays: {:?}", site.processes());
    said
}

#[test]
fn a_release_that_does_not_import_is_rolled_back_with_its_traceback() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let said = a_bad_release_changes_nothing(&site, &ostlerd, &app, "import no_such_module");
    said.says(&["no_such_module", "Traceback", "app.py"]);
}

#[test]
fn a_release_without_the_attribute_is_rolled_back() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    a_bad_release_changes_nothing(&site, &ostlerd, &app, "del application").says(&["application"]);
}

#[test]
fn a_release_that_crashes_soon_after_its_boot_is_rolled_back() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let crash = "import threading\nthreading.Timer(1.0, os._exit, (7,)).start()";
    a_bad_release_changes_nothing(&site, &ostlerd, &app, crash).says(&["status 7"]);
}

#[test]
fn a_release_whose_probe_fails_is_rolled_back_before_its_first_client() {
    let site = Site::new();
    let app = shop(&site).table("[probe]\npath = \"/healthz\"").write();
    let ostlerd = site.start();
    let sick = "
healthy = application
def application(environ, start_response):
    if environ['PATH_INFO'] == '/healthz':
        start_response('500 Internal Server Error', [('Content-Length', '0')])
        return []
    return healthy(environ, start_response)";
    a_bad_release_changes_nothing(&site, &ostlerd, &app, sick).says(&["500", "/healthz"]);
}

#[test]
fn a_release_that_never_gets_ready_is_rolled_back_after_boot_timeout() {
    let site = Site::new();
    let rollout = "[rollout]\nsettle = \"300ms\"\nmax_boot_failures = 1\nboot_timeout = \"20s\"";
    let app = shop(&site).table(rollout).write();
    let ostlerd = site.start();
    a_bad_release_changes_nothing(&site, &ostlerd, &app, "time.sleep(600)").says(&["boot_timeout"]);
}

#[test]
fn the_good_release_after_a_bad_one_is_served() {
    let site = Site::new();
    let app = shop(&site).gunicorn(Gunicorn::V23).write();
    let ostlerd = site.start();
    a_bad_release_changes_nothing(&site, &ostlerd, &app, "1 / 0").says(&["ZeroDivisionError"]);
    app.release("app.py", &second_release(""));
    ostlerd.restart("shop");
    answers(&app.target(), "2");
    assert!(ostlerd.app("shop").problem.is_none());
}

#[test]
fn a_first_release_that_does_not_boot_leaves_the_app_failed_with_its_words() {
    let site = Site::new();
    shop(&site).with("app.py", "import no_such_module").write();
    let ostlerd = site.start();
    let app =
        ostlerd.wait("shop", "has failed", |app| app.state == AppState::Failed && app.last_words.is_some());
    let words = app.last_words.expect("waited for");
    assert!(words.traceback.contains("no_such_module"), "{words:?}");
    assert!(app.problem.is_some(), "{:?}", app.problem);
    ostlerd.ostler(&["status"]).exits(1).says(&["failed", "no_such_module"]);
}

#[test]
fn clients_do_not_wait_for_a_slow_import() {
    let site = Site::new();
    let app = shop(&site).table("[rollout]\nsettle = \"300ms\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    app.release("app.py", &second_release("time.sleep(8)"));

    let load =
        Load::on(&app.target()).keep_alive(true).connections(3).pause(Duration::from_millis(50)).start();
    load.more(60);
    let (asked, began) = (load.asked(), load.clock());
    ostlerd.restart("shop");
    let ended = load.clock();
    // The worst of more requests is worse: what the rollout is held against is as many.
    load.more(load.asked() - asked);
    let tally = load.stop();

    tally.lost_nothing();
    let (change, steady) = (began..ended, ended..Duration::MAX);
    let p99 = (tally.p99(change.clone()), tally.p99(steady.clone()));
    let (change, steady) = (tally.worst(change), tally.worst(steady));
    println!(
        "worst latency: {change:?} during the rollout, {steady:?} of as many requests after it; p99 {p99:?}"
    );
    assert!(ended - began > Duration::from_secs(16), "two workers imported for eight seconds each");
    // The aim (1.5 times the steady state's worst) is for the bench: a shared machine has its own hiccups.
    // Half of the import is what no client can have waited who did not wait for it.
    assert!(change < Duration::from_secs(4), "a client waited {change:?}: {tally}");
}
