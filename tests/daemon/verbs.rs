//! The verbs of `ostler` against the running daemon.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::Signal;
use ostler::supervise::{AppEvent, AppEventKind, AppState, Outcome, ProcessChange, ProcessEvent};

use crate::harness::{AppFile, Ostlerd, Said, Site, WSGI, kill, ready};
use crate::load::{Load, Loss, get};

fn shop(site: &Site) -> AppFile {
    site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2).with("app.py", WSGI)
}

/// The last line of a verb's `--json` is its outcome.
fn outcome(said: &Said) -> Outcome {
    let last = said.out.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("the last line is no outcome: {error}: {said}"))
}

fn generation(ostlerd: &Ostlerd<'_>) -> u64 {
    ostlerd.serving("shop").generation.expect("it serves").0
}

#[test]
fn status_names_app_state_generation_and_workers() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let seen = ostlerd.serving("shop");
    let said = ostlerd.ostler(&["status"]).exits(0);
    said.says(&["shop", "serving", &app.target().to_string(), "gthread"]);
    assert_eq!(ostlerd.status().pid as i32, ostlerd.process().0);
    assert!(ready(&seen).iter().all(|worker| worker.rss_bytes.unwrap_or(1) > 0));
}

#[test]
fn restart_tells_each_step_and_its_outcome() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.restart("shop").says(&["g2"]);
    let said = ostlerd.ostler(&["restart", "shop", "--json"]).exits(0);
    assert!(matches!(outcome(&said), Outcome::Done { generation: Some(it), .. } if it.0 == 3), "{said}");
    let events: Vec<AppEvent> = said.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let committed = |it: &AppEvent| matches!(it.kind, AppEventKind::RolloutCommitted { .. });
    assert!(events.iter().any(committed), "each step is a line: {said}");
}

#[test]
fn a_second_restart_joins_the_first() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    app.release("app.py", &format!("{WSGI}\ntime.sleep(1)\n"));
    let load = Load::on(&app.target()).keep_alive(true).start();
    let mut piped = site.ostler_command(&["restart", "shop"]);
    let first = piped.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler starts");
    ostlerd.wait("shop", "rolls out", |app| app.rollout.as_ref().is_some_and(|it| it.generation.is_some()));
    ostlerd.restart("shop");
    Said::from_child(first).exits(0);
    load.stop().lost_nothing();
    assert_eq!(generation(&ostlerd), 2, "one rollout for both");
}

#[test]
fn scale_starts_and_drains_and_restarts_nobody() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    let load = Load::on(&app.target()).keep_alive(true).start();
    ostlerd.ostler(&["scale", "shop", "4"]).exits(0);
    ostlerd.wait("shop", "has four workers", |app| ready(app).len() == 4);
    let more = ostlerd.pids("shop");
    assert!(before.iter().all(|pid| more.contains(pid)), "{before:?}, {more:?}");
    ostlerd.ostler(&["scale", "shop", "1"]).exits(0);
    ostlerd.wait("shop", "has one worker", |app| app.workers.len() == 1);
    load.stop().lost_nothing();
    assert_eq!(generation(&ostlerd), 1);
}

#[test]
fn stop_closes_the_listeners_and_start_opens_them() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    let stopped = ostlerd.wait("shop", "is stopped", |app| app.state == AppState::Stopped);
    assert_eq!(stopped.workers, []);
    assert_eq!(get(&app.target(), "/").map(|it| it.status), Err(Loss::Refused));
    ostlerd.ostler(&["start", "shop"]).exits(0);
    ostlerd.serving("shop");
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn stop_answers_what_is_under_way() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let target = app.target();
    let slow = std::thread::spawn(move || get(&target, "/sleep?2"));
    ostlerd.wait("shop", "has the request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert_eq!(slow.join().expect("no panic").expect("it is answered").status, 200);
}

#[test]
fn reload_adds_changes_and_removes_apps() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.serving("blog");
    get(&blog.target(), "/").expect("it serves");
    assert_eq!(ostlerd.pids("shop"), before);

    let text = app.text().replace("workers = 2", "workers = 3");
    fs::write(&app.file, text).expect("the site is ours");
    fs::remove_file(&blog.file).expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.wait("shop", "has three workers", |app| ready(app).len() == 3);
    assert!(before.iter().all(|pid| ostlerd.pids("shop").contains(pid)), "a resize restarts nobody");
    crate::harness::until("blog is gone", || (ostlerd.status().apps.len() == 1).then_some(()));
    assert_eq!(get(&blog.target(), "/").map(|it| it.status), Err(Loss::Refused));
}

#[test]
fn reload_of_bad_files_exits_78_and_changes_nothing() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    fs::write(&app.file, app.text().replace("workers = 2", "wrokers = 2")).expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(78).says(&["wrokers", "workers", "shop.toml"]);
    assert_eq!(ostlerd.pids("shop"), before);
    assert!(!ostlerd.status().config.valid);
}

#[test]
fn events_tell_what_happens_as_it_happens() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut command = site.ostler_command(&["events", "--json"]);
    let mut events = command.stdout(Stdio::piped()).spawn().expect("ostler starts");
    let pid = events.id() as i32;
    let lines = BufReader::new(events.stdout.take().expect("it is piped")).lines();
    let (said, heard) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if said.send(line).is_err() {
                return;
            }
        }
    });
    let died = crate::harness::until("the death is told", || {
        // The stream may not be open yet when the first worker dies: let one die at each look.
        ostlerd.serving("shop");
        kill(ostlerd.pids("shop")[0], Signal::SIGKILL);
        let events = heard.try_iter().filter_map(|line| serde_json::from_str::<AppEvent>(&line).ok());
        events.into_iter().find(|it| {
            matches!(it.kind, AppEventKind::Process(ProcessEvent { change: ProcessChange::Died { .. }, .. }))
        })
    });
    assert_eq!(died.app.as_str(), "shop");
    kill(pid, Signal::SIGTERM);
    drop(heard);
    events.wait().expect("the child is ours");
    reader.join().expect("the reader does not panic");
}

#[test]
fn check_says_ok_of_a_good_configuration() {
    let site = Site::new();
    shop(&site).write();
    site.check().exits(0);
    site.ostler_check().exits(0);
}

#[test]
fn a_stopped_app_stays_stopped_and_closed_when_its_configuration_changes() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    fs::write(&app.file, app.text().replace("workers = 2", "workers = 1")).expect("the site is ours");
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&["shop: nothing changes: it is stopped"]);
    ostlerd.ostler(&["reload"]).exits(0);
    assert_eq!(ostlerd.app("shop").state, AppState::Stopped);
    assert_eq!(get(&app.target(), "/").map(|it| it.status), Err(Loss::Refused));
    ostlerd.ostler(&["start", "shop"]).exits(0);
    assert_eq!(ostlerd.serving("shop").workers_wanted, 1);
}
