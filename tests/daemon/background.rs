//! Commands that run beside the workers.

use nix::sys::signal::Signal;
use ostler::observe::{BackgroundState, BackgroundStatus};

use crate::harness::{AppFile, Ostlerd, Proc, Site, WSGI, kill, until};

const COMMAND: &str = "[processes.queue]\ncommand = [\"sleep\", \"4711\"]";

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI).table(COMMAND)
}

/// The processes that run the command; the launcher becomes one of them.
fn queues(site: &Site) -> Vec<Proc> {
    site.processes().into_iter().filter(|it| it.command().trim_end().ends_with("sleep 4711")).collect()
}

/// Waits until one runs that is none of `before`, and nothing else does.
#[track_caller]
fn one_queue(site: &Site, before: &[Proc]) -> Proc {
    until("another process runs the command, alone", || match queues(site)[..] {
        [one] if before.iter().all(|it| it.0 != one.0) => Some(one),
        _ => None,
    })
}

fn started<'a>(site: &'a Site) -> (Ostlerd<'a>, Proc) {
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let queue = one_queue(site, &[]);
    (ostlerd, queue)
}

#[test]
fn a_command_runs_as_the_app_does_and_is_started_again_when_it_ends() {
    let site = Site::new();
    shop(&site).env("QUEUE", "fast").write();
    let (ostlerd, queue) = started(&site);
    assert_eq!(queue.environment().get("QUEUE").map(String::as_str), Some("fast"));
    let worker = Proc(ostlerd.pids("shop")[0]);
    assert_eq!(queue.uid(), worker.uid());
    let shown = |what: &str, restarts: u32| {
        let runs = |it: &BackgroundStatus| it.state == BackgroundState::Running && it.restarts == restarts;
        ostlerd.wait("shop", what, |app| app.processes.len() == 1 && runs(&app.processes[0])).processes[0]
            .clone()
    };
    let first = shown("shows the command", 0);
    assert_eq!((&*first.name, first.pid), ("queue", Some(queue.0)));
    assert!(first.rss_bytes.is_some());
    let line = format!("process queue {} of g1: running, pid {}", first.id.unwrap(), queue.0);
    ostlerd.ostler(&["status"]).exits(0).says(&[&line]);
    kill(queue.0, Signal::SIGKILL);
    let next = one_queue(&site, &[queue]);
    let again = shown("shows that it was started again", 1);
    assert_eq!(again.pid, Some(next.0));
    assert_ne!(again.id, first.id);
    ostlerd.ostler(&["status"]).says(&["started again 1 time"]);
    ostlerd.logs("(queue) ended by itself; another one is started: killed by signal 9 (KILL)");
    // Nobody's log files are a command's business.
    let again = one_queue(&site, &[queue]);
    ostlerd.signal(Signal::SIGUSR1);
    ostlerd.logs("the log files of");
    assert!(again.lives());
}

#[test]
fn a_command_that_does_not_stay_is_shown_with_its_next_start() {
    let site = Site::new();
    let command = "[processes.queue]\ncommand = [\"false\"]";
    site.app("shop").tcp().workers(1).with("app.py", WSGI).table(command).write();
    let ostlerd = site.start();
    let waits = |it: &BackgroundStatus| {
        let none = (it.id, it.pid, it.age_seconds) == (None, None, None);
        none && it.state == BackgroundState::Waiting && it.next_start_seconds.is_some() && it.restarts > 2
    };
    ostlerd.wait("shop", "shows that it waits", |app| app.processes.len() == 1 && waits(&app.processes[0]));
    let line = "process queue of g1: not running, next start in ";
    until("the command says so too", || ostlerd.ostler(&["status"]).all().contains(line).then_some(()));
}

#[test]
fn a_command_changes_with_the_generation_and_ends_with_the_app() {
    let site = Site::new();
    shop(&site).write();
    let (ostlerd, queue) = started(&site);
    ostlerd.restart("shop");
    let next = one_queue(&site, &[queue]);
    assert!(!queue.lives() && next.lives());
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert!(queues(&site).is_empty(), "it ends before the app is stopped");
}

#[test]
fn the_next_ostlerd_takes_a_command_over() {
    let site = Site::new();
    shop(&site).write();
    let (ostlerd, queue) = started(&site);
    ostlerd.crash();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(queue.lives());
    assert_eq!(queues(&site).len(), 1);
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert!(!queue.lives());
}
