//! What `ostler status` and `ostler wait` say is true at the moment it is said.

use std::fs;
use std::process::{Child, Stdio};

use crate::harness::{AppFile, Ostlerd, Releases, Site, WSGI, until, usual_user};
use crate::load::{answers, get};

const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];

fn code(release: &str, more: &str) -> String {
    format!("{WSGI}\nRELEASE = {release:?}\n{more}\n")
}

/// A shop that serves release 1, and release 2 with that code.
fn shop(site: &Site, second: &str) -> (Releases, AppFile) {
    let releases = Releases::new(site, usual_user());
    releases.add("1", &[("app.py", WSGI)]);
    releases.add("2", &[("app.py", second), ("shop.env", "NEW=1\n")]);
    releases.link("releases/1");
    let rollout = "[rollout]\nsettle = \"300ms\"\nmax_boot_failures = 1\nboot_timeout = \"60s\"";
    let app = releases.app(site.app("shop").args(GTHREAD).tcp().workers(2).table(rollout)).write();
    (releases, app)
}

fn begin(site: &Site, args: &[&str]) -> Child {
    let mut command = site.ostler_command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler starts")
}

/// Looks at the status until the app serves and nothing of another generation is left: nothing is to come.
#[track_caller]
fn nothing_is_to_come(ostlerd: &Ostlerd<'_>, until: impl Fn() -> bool) {
    ostlerd.wait("shop", "is as it should be", |app| {
        assert_eq!(app.release_changed, None, "{app:#?}");
        let old = app.workers.iter().any(|worker| Some(worker.generation) != app.generation);
        app.rollout.is_none() && !old && until()
    });
}

#[test]
fn what_serves_is_not_said_to_be_on_its_way_while_old_workers_finish() {
    let site = Site::new();
    let (releases, app) = shop(&site, &code("2", ""));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    // Longer than what was looked at last is believed.
    for path in ["/sleep?13", "/sleep?14"] {
        let target = app.target();
        std::thread::spawn(move || get(&target, path));
    }
    until("the requests are under way", || {
        let flying: u32 = ostlerd.app("shop").workers.iter().map(|worker| worker.in_flight).sum();
        (flying == 2).then_some(())
    });
    let to = releases.root.join("releases/2").display().to_string();
    ostlerd.ostler(&["restart", "shop", "--release", &to]).exits(0);
    answers(&app.target(), "2");
    let old =
        |it: &ostler::observe::AppStatus| it.workers.iter().any(|at| Some(at.generation) != it.generation);
    assert!(old(&ostlerd.app("shop")), "an old worker still has its request");
    nothing_is_to_come(&ostlerd, || true);

    ostlerd.ostler(&["rollback", "shop"]).exits(0);
    answers(&app.target(), "1");
    nothing_is_to_come(&ostlerd, || true);
}

#[test]
fn a_release_that_was_put_back_is_not_said_to_be_on_its_way() {
    let site = Site::new();
    let (releases, _app) = shop(&site, "import time\ntime.sleep(12)\nimport no_such_module");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let to = releases.root.join("releases/2").display().to_string();
    let mut restart = begin(&site, &["restart", "shop", "--release", &to]);
    let mut ended = None;
    until("the restart has failed", || {
        assert_eq!(ostlerd.app("shop").release_changed, None);
        ended = restart.try_wait().expect("the child is ours");
        ended
    });
    assert_eq!(ended.and_then(|it| it.code()), Some(1));
    assert_eq!(releases.current(), "releases/1");
    nothing_is_to_come(&ostlerd, || true);
}

#[test]
fn a_release_that_was_tried_by_hand_and_failed_is_still_named() {
    let site = Site::new();
    let (releases, app) = shop(&site, "import no_such_module");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.link("releases/2");
    ostlerd.restart_fails("shop");
    let named = ostlerd.wait("shop", "has another release", |app| app.release_changed.is_some());
    let note = named.release_changed.expect("waited for");
    assert!(note.contains("the release is now") && note.contains("releases/2"), "{note}");
    answers(&app.target(), "1");
}

#[test]
fn a_stop_and_a_start_that_serve_leave_nothing_red() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).with("app.py", "import no_such_module").write();
    let ostlerd = site.start();
    ostlerd.ostler(&["wait"]).exits(1).says(&["no_such_module", "nothing serves"]);
    let said = ostlerd.ostler(&["wait", "--json"]).exits(1);
    let end: serde_json::Value = serde_json::from_str(said.out.trim()).expect("one line, one object");
    assert!(end["generation"].is_null(), "{end}");
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    ostlerd.ostler(&["wait"]).exits(0).says(&["shop: stopped"]);
    ostlerd.ostler(&["status"]).exits(0);
    app.release("app.py", WSGI);
    ostlerd.ostler(&["start", "shop"]).exits(0);
    ostlerd.ostler(&["wait"]).exits(0).says(&["g2 serves"]);

    app.release("app.py", "import no_such_module");
    ostlerd.restart_fails("shop");
    ostlerd.ostler(&["status"]).exits(1).says(&["the last rollout to g3 was rolled back"]);
    ostlerd.crash();
    let ostlerd = site.start();
    ostlerd.ostler(&["wait"]).exits(1).says(&["no_such_module", "g2 goes on serving"]);
    app.release("app.py", WSGI);
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    ostlerd.ostler(&["start", "shop"]).exits(0);
    ostlerd.ostler(&["wait"]).exits(0).says(&["serves"]);
    ostlerd.ostler(&["status"]).exits(0);
}

/// Release 2 keeps its environment elsewhere, and brings a file that release 1 does not have.
fn moves_its_environment(releases: &Releases, app: &AppFile) -> String {
    let second = releases.root.join("releases/2");
    fs::rename(second.join("venv"), second.join("env")).expect("the folder is ours");
    let env_file = releases.root.join("current/shop.env");
    let text = app.text().replace("current/venv/bin", "current/env/bin");
    text.replace("[rollout]", &format!("env_files = [{env_file:?}]\n[rollout]"))
}

#[test]
fn files_and_a_release_that_change_together_are_brought_in_by_one_restart() {
    let site = Site::new();
    let (releases, app) = shop(&site, &code("2", ""));
    let text = moves_its_environment(&releases, &app);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    // First the files, while there is nothing yet that they fit.
    fs::write(&app.file, &text).expect("the site is ours");
    let written = releases.root.join("current/shop.env").display().to_string();
    ostlerd.ostler(&["reload"]).exits(78).says(&[&written, "No such file"]);
    // Then the link.
    releases.link("releases/2");
    let said = ostlerd.ostler(&["reload"]).exits(78).says(&[
        "releases/2",
        "and not the one that serves",
        "ostler restart shop",
    ]);
    assert!(!said.all().contains("releases/1/"), "{said}");
    ostlerd.ostler(&["reload", "--dry-run"]).exits(78).says(&["ostler restart shop"]);
    ostlerd.ostler(&["status"]).exits(1).says(&["files are refused", "ostler restart shop"]);
    ostlerd.restart("shop");
    answers(&app.target(), "2");
    until("the files are in force", || ostlerd.status().config.valid.then_some(()));
    ostlerd.serving("shop");
    ostlerd.ostler(&["status"]).exits(0);
    ostlerd.ostler(&["reload"]).exits(0).says(&["no app had to change"]);
}

#[test]
fn files_for_a_release_that_does_not_serve_in_the_end_are_refused_again() {
    let site = Site::new();
    let (releases, app) = shop(&site, "import no_such_module");
    let text = moves_its_environment(&releases, &app);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    fs::write(&app.file, &text).expect("the site is ours");
    let to = releases.root.join("releases/2").display().to_string();
    ostlerd.ostler(&["restart", "shop", "--release", &to]).exits(1).says(&["no_such_module"]);
    answers(&app.target(), "1");
    let written = releases.root.join("current/shop.env").display().to_string();
    ostlerd.ostler(&["reload"]).exits(78).says(&[&written, "No such file"]);
}

#[test]
fn what_was_mended_outside_of_the_files_is_no_longer_refused_after_a_restart() {
    let site = Site::new();
    let (releases, app) = shop(&site, &code("2", ""));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let secrets = site.path("shop.env");
    let text = app.text().replace("[rollout]", &format!("env_files = [{secrets:?}]\n[rollout]"));
    fs::write(&app.file, text).expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(78).says(&["shop.env", "No such file"]);
    // Not while ostlerd looks.
    fs::write(&secrets, "A=1\n").expect("the site is ours");
    ostlerd.restart("shop");
    until("the files are in force", || ostlerd.status().config.valid.then_some(()));
    ostlerd.ostler(&["status"]).exits(0);
    drop(releases);
}
