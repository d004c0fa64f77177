//! The hooks of gunicorn's master: the first in the process that the workers are forked from, the others in one of their own.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::harness::{AppFile, Ostlerd, Proc, Site, WSGI, kill, until};
use crate::load::{Target, get};

/// Every hook of the master writes one line to one file: its process, its name, what it was told.
const NOTING: &str = "
import os
def note(*words):
    with open(NOTES, 'a') as file:
        file.write(' '.join(str(word) for word in (os.getpid(),) + words) + '\\n')
def on_starting(server): note('on_starting', server.num_workers)
def when_ready(server): note('when_ready', *sorted(server.WORKERS))
def on_reload(server): note('on_reload')
def pre_fork(server, worker): note('pre_fork', worker.pid)
def child_exit(server, worker): note('child_exit', worker.pid)
def nworkers_changed(server, new, old): note('nworkers_changed', new, old)
def on_exit(server): note('on_exit')
";

struct Notes(PathBuf);

impl Notes {
    fn of(site: &Site) -> Notes {
        let folder = site.path("notes");
        fs::create_dir(&folder).expect("the site is ours");
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&folder, everyone).expect("the site is ours");
        Notes(folder.join("lines"))
    }

    fn conf(&self, more: &str) -> String {
        format!("NOTES = {:?}\n{NOTING}{more}", self.0)
    }

    /// Each line as the process and the rest.
    fn read(&self) -> Vec<(i32, String)> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let split = |line: &str| {
            let (pid, rest) = line.split_once(' ').expect("a process and a hook");
            (pid.parse().expect("a number"), rest.to_owned())
        };
        text.lines().map(split).collect()
    }

    /// Of the newest process.
    fn last_host(&self) -> i32 {
        self.read().last().expect("a hook has run").0
    }

    fn has(&self, hook: &str) {
        until(format!("{hook} has run"), || {
            self.read().iter().any(|(_, line)| line.starts_with(hook)).then_some(())
        });
    }

    /// The processes that have run this hook, in their order.
    fn hosts_of(&self, hook: &str) -> Vec<i32> {
        self.read().into_iter().filter(|(_, line)| line.starts_with(hook)).map(|(pid, _)| pid).collect()
    }

    fn of_host(&self, host: i32) -> Vec<String> {
        self.read().into_iter().filter(|(pid, _)| *pid == host).map(|(_, line)| line).collect()
    }
}

fn shop(site: &Site, conf: &str) -> AppFile {
    site.app("shop").tcp().workers(2).with("app.py", WSGI).with("gunicorn.conf.py", conf).write()
}

/// The app serves with these hooks and more of its file, and all but the last hooks have run.
fn served<'a>(site: &'a Site, more: &str) -> (Notes, AppFile, Ostlerd<'a>) {
    let notes = Notes::of(site);
    let app = shop(site, &notes.conf(more));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    notes.has("when_ready");
    (notes, app, ostlerd)
}

#[test]
fn the_address_of_the_server_is_where_the_app_listens() {
    let site = Site::new();
    let notes = Notes::of(&site);
    let more = "bind = '127.0.0.1:1'\n\
                def when_ready(server): note('when_ready', server.address)\n\
                def post_fork(server, worker): note('post_fork', server.address)\n";
    let app = shop(&site, &notes.conf(more));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let Target::Tcp(address) = app.target() else { panic!("it listens on a port") };
    for hook in ["when_ready", "post_fork"] {
        notes.has(&format!("{hook} [('{}', {})]", address.ip(), address.port()));
    }
}

#[test]
fn every_hook_of_the_master_runs_in_its_order() {
    let site = Site::new();
    let (notes, _, mut ostlerd) = served(&site, "");
    let first = notes.last_host();
    let zygote = ostlerd.app("shop").zygotes[0].pid.expect("it is there");
    assert_eq!(notes.read()[0], (zygote, "on_starting 2".to_owned()));
    let mut pids = ostlerd.pids("shop");
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    until("the third worker was told", || (notes.of_host(first).len() == 5).then_some(()));
    let third = ostlerd.pids("shop").into_iter().find(|pid| !pids.contains(pid)).expect("a third worker");
    let (one, two) = (pids[0], pids[1]);
    let (low, high) = (one.min(two), one.max(two));
    let told = notes.of_host(first);
    let forks = [format!("pre_fork {one}"), format!("pre_fork {two}")];
    assert!(forks.contains(&told[0]) && forks.contains(&told[1]) && told[0] != told[1], "{told:?}");
    let rest =
        [format!("when_ready {low} {high}"), "nworkers_changed 3 2".to_owned(), format!("pre_fork {third}")];
    assert_eq!(told[2..], rest);

    ostlerd.restart("shop");
    until("the old process is gone", || (!Proc(first).lives()).then_some(()));
    ostlerd.serving("shop");
    pids.push(third);
    pids.extend(ostlerd.pids("shop"));
    let second = notes.last_host();
    let zygote = ostlerd.app("shop").zygotes[0].pid.expect("it is there");
    assert_eq!((notes.hosts_of("on_starting").len(), notes.hosts_of("on_reload")), (1, vec![zygote]));
    ostlerd.signal(Signal::SIGTERM);
    assert!(ostlerd.ends().success());

    assert!(!Proc(second).lives());
    let told = notes.of_host(second);
    assert_eq!(told.iter().filter(|line| line.starts_with("pre_fork ")).count(), 3, "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("when_ready")).count(), 0, "{told:?}");
    let all = notes.read();
    assert_eq!(all.last(), Some(&(second, "on_exit".to_owned())), "{all:?}");
    assert_eq!(all.iter().filter(|(_, line)| line == "on_exit").count(), 1, "{all:?}");
    for pid in pids {
        let ends = all.iter().filter(|(_, line)| *line == format!("child_exit {pid}")).count();
        assert_eq!(ends, 1, "the end of {pid} in {all:?}");
    }
}

#[test]
fn hooks_that_fail_and_a_host_that_is_killed_disturb_nobody() {
    let site = Site::new();
    let notes = Notes::of(&site);
    let failing =
        "def on_starting(server): raise KeyError('no')\ndef pre_fork(server, worker): raise SystemExit(1)\n";
    let app = shop(&site, &notes.conf(failing));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    notes.has("when_ready");
    ostlerd.logs("the hook on_starting failed, and nothing else did: KeyError: 'no'");
    ostlerd.logs("the hook pre_fork failed, and nothing else did: SystemExit: 1");

    let (host, workers) = (notes.last_host(), ostlerd.pids("shop"));
    assert!(!workers.contains(&host));
    kill(host, Signal::SIGKILL);
    ostlerd.logs(
        "the hooks of gunicorn's master run no more until the next rollout, and the workers are not affected",
    );
    get(&app.target(), "/").expect("it serves");
    kill(workers[0], Signal::SIGKILL);
    ostlerd.wait("shop", "has replaced its worker", |app| {
        app.workers.iter().all(|worker| worker.pid != Some(workers[0]))
    });
    ostlerd.serving("shop");
    let silent = notes.read();
    assert_eq!(silent.last().map(|(pid, _)| *pid), Some(host), "{silent:?}");

    ostlerd.restart("shop");
    notes.has("on_reload");
    assert_ne!(notes.last_host(), host);
    get(&app.target(), "/").expect("it serves");
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    notes.has("on_exit");
}

#[test]
fn a_release_that_is_rolled_back_leaves_the_old_process_at_work() {
    let site = Site::new();
    let (notes, app, ostlerd) = served(&site, "");
    let host = notes.last_host();
    app.release("app.py", "raise RuntimeError('not today')\n");
    ostlerd.restart_fails("shop");
    until("the new process is gone", || {
        let of_new = notes.hosts_of("pre_fork").into_iter().find(|pid| *pid != host);
        of_new.is_some_and(|pid| !Proc(pid).lives()).then_some(())
    });
    assert!(Proc(host).lives());
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    until("the old one has the last word", || {
        (notes.read().last() == Some(&(host, "on_exit".to_owned()))).then_some(())
    });
}

#[test]
fn a_number_of_workers_that_is_reloaded_is_a_change_like_any_other() {
    let site = Site::new();
    let (notes, app, ostlerd) = served(&site, "");
    fs::write(&app.file, app.text().replace("workers = 2", "workers = 1")).expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(0);
    notes.has("nworkers_changed 1 2");
    notes.has("child_exit");
    for hook in ["pre_fork", "when_ready", "nworkers_changed", "child_exit"] {
        assert!(notes.hosts_of(hook).iter().all(|pid| *pid == notes.last_host()), "{:?}", notes.read());
    }
}

#[test]
fn an_app_without_such_hooks_has_no_process_for_them() {
    let site = Site::new();
    shop(&site, "def post_fork(server, worker): pass\n");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut known = ostlerd.pids("shop");
    known.extend(ostlerd.app("shop").zygotes.iter().filter_map(|zygote| zygote.pid));
    let others: Vec<i32> =
        site.processes().iter().map(|it| it.0).filter(|pid| !known.contains(pid)).collect();
    assert!(others.iter().all(|&pid| pid == ostlerd.process().0), "{others:?}");
}

#[test]
fn the_hooks_of_an_ostlerd_that_was_killed_run_on_under_the_next_one() {
    let site = Site::new();
    let (notes, _, ostlerd) = served(&site, "");
    let (host, workers) = (notes.last_host(), ostlerd.pids("shop"));
    ostlerd.crash();

    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(ostlerd.pids("shop"), workers);
    kill(workers[0], Signal::SIGKILL);
    notes.has(&format!("child_exit {}", workers[0]));
    until("its successor is told of", || (notes.hosts_of("pre_fork").len() == 3).then_some(()));
    ostlerd.crash();

    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["scale", "shop", "1"]).exits(0);
    notes.has("nworkers_changed 1 2");
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert_eq!(notes.read().last(), Some(&(host, "on_exit".to_owned())), "{:?}", notes.read());
    assert!(!Proc(host).lives());
    for hook in ["when_ready", "pre_fork", "nworkers_changed", "child_exit", "on_exit"] {
        assert!(notes.hosts_of(hook).iter().all(|pid| *pid == host), "{:?}", notes.read());
    }
    assert_eq!(notes.hosts_of("when_ready").len(), 1);
}

#[test]
fn a_stop_waits_for_the_last_hooks_and_for_no_hook_that_hangs() {
    let site = Site::new();
    let (notes, _, ostlerd) = served(&site, "");
    let host = notes.last_host();
    kill(host, Signal::SIGSTOP);
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert!(!Proc(host).lives());
    assert!(notes.hosts_of("on_exit").is_empty());
    ostlerd.logs("killed (the app stops): it did not end by itself");
    ostlerd.ostler(&["start", "shop"]).exits(0);
    ostlerd.serving("shop");
}

/// What a hook host holds of ostlerd's own end of the line is no way to hold ostlerd up.
#[test]
fn a_hook_host_that_lets_ostlerd_wait_costs_its_own_hooks_alone() {
    let site = Site::new();
    let stuffed = "
import time
def when_ready(server):
    note('when_ready')
    os.set_blocking(7, False)
    try:
        while True: os.write(7, b'x' * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(7, True)
    os.write(5, b'{\"event\": \"ran\", \"hook\": \"when_ready\"}\\n')
    note('stuffed')
    time.sleep(600)
";
    let (notes, app, ostlerd) = served(&site, stuffed);
    notes.has("stuffed");
    let host = notes.last_host();
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    get(&app.target(), "/").expect("it serves");
    assert!(Proc(host).lives());
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert!(!Proc(host).lives());
}

#[test]
fn a_hook_host_of_which_nothing_is_known_any_more_ends_at_once() {
    let site = Site::new();
    let (notes, _, ostlerd) = served(&site, "");
    let host = notes.last_host();
    ostlerd.crash();
    fs::write(site.path("run/state.json"), "").expect("it is ours");

    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(!Proc(host).lives());
    assert!(!ostlerd.log().contains("has not finished in time"), "{}", ostlerd.log());
    notes.has("when_ready");
}

#[test]
fn a_hook_host_that_the_next_ostlerd_cannot_tell_anything_is_ended() {
    let site = Site::new();
    let (notes, app, ostlerd) =
        served(&site, "def when_ready(server): os.dup2(7, 30); os.close(7); note('when_ready')\n");
    let host = notes.last_host();
    ostlerd.crash();

    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs("it was not ready yet when ostlerd ended, or cannot be told anything any more");
    until("it has ended", || (!Proc(host).lives()).then_some(()));
    get(&app.target(), "/").expect("it serves");
    ostlerd.restart("shop");
    notes.has("on_reload");
}
