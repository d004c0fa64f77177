//! Commands that run beside the workers.

use nix::sys::signal::Signal;

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
    kill(queue.0, Signal::SIGKILL);
    one_queue(&site, &[queue]);
    ostlerd.logs("(queue) ended by itself; another one is started: killed by signal 9 (KILL)");
    // Nobody's log files are a command's business.
    let again = one_queue(&site, &[queue]);
    ostlerd.signal(Signal::SIGUSR1);
    ostlerd.logs("the log files of");
    assert!(again.lives());
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
