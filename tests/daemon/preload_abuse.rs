//! `preload` where things go wrong at any moment, and where the app means no good.

use nix::sys::signal::Signal;

use crate::die::Die;
use crate::harness::{AppFile, Ostlerd, Proc, Site, WSGI, kill, ready, until};
use crate::load::Load;

const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];

fn shop(site: &Site) -> AppFile {
    site.app("shop").args(GTHREAD).tcp().workers(2).key("preload = true").with("app.py", WSGI)
}

fn zygotes(ostlerd: &Ostlerd<'_>) -> Vec<i32> {
    ostlerd.app("shop").zygotes.iter().filter_map(|it| it.pid).collect()
}

#[test]
fn twelve_kills_of_ostlerd_and_of_zygotes_at_any_moment_lose_no_request() {
    let site = Site::new();
    let app = shop(&site).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let mut die = Die::new();
    let load = Load::on(&app.target()).keep_alive(true).start();
    for _ in 0..12 {
        // Half of them within a rollout, somewhere between its first step and its commit.
        let rollout = die.below(2) == 0;
        let mut command = rollout.then(|| {
            let quiet = std::process::Stdio::null;
            let mut command = site.ostler_command(&["restart", "shop"]);
            command.stdout(quiet()).stderr(quiet()).spawn().expect("ostler starts")
        });
        load.more(1 + die.below(80) as u64);
        if die.below(2) == 0 {
            zygotes(&ostlerd).into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
        }
        ostlerd.crash();
        if let Some(command) = &mut command {
            command.wait().expect("the command is ours");
        }
        load.more(10);
        ostlerd = site.start();
        ostlerd.serving("shop");
    }
    ostlerd.restart("shop");
    ostlerd.serving("shop");
    load.more(30);
    let tally = load.stop();
    println!("{tally}");
    tally.lost_nothing();
    assert!(!ostlerd.log().contains("panicked"), "{}", ostlerd.log());
    assert_eq!(zygotes(&ostlerd).len(), 1);
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

#[test]
fn killed_workers_come_back_and_leave_nothing_in_ostlerd_or_in_the_zygote() {
    let site = Site::with_own_health();
    let limits = "[limits]\nrestarts_per_minute = 10000";
    shop(&site).table(limits).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let one = zygotes(&ostlerd);
    let counts = || (ostlerd.process().descriptors().len(), Proc(one[0]).descriptors().len());
    let before = counts();
    for _ in 0..40 {
        let pids = until("both are ready", || Some(ostlerd.pids("shop")).filter(|pids| pids.len() == 2));
        kill(pids[0], Signal::SIGKILL);
        ostlerd.wait("shop", "has two others", |app| {
            ready(app).len() == 2 && ready(app).iter().all(|it| it.pid != Some(pids[0]))
        });
    }
    assert_eq!(zygotes(&ostlerd), one, "one zygote has forked them all");
    until("nothing is left of them", || {
        let now = counts();
        (now.0 <= before.0 && now.1 <= before.1).then_some(())
    });
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

/// A worker that says that it is there, and does not hold the socket that it was made with where it should.
const FALSE_NAME: &str = "
import os, sys
zygote = sys.modules['_ostler'].zygote
def begin(orders, middle):
    print('impostor', os.getpid(), flush=True)
    os.dup2(5, 20)
    os.close(5)
    os.write(20, b'{\"event\": \"forked\"}\\n')
    os.read(20, 1)
    print('sent away', os.getpid(), flush=True)
    os._exit(0)
if not os.path.exists('good'):
    zygote.begin = begin
";

#[test]
fn a_process_that_is_not_what_it_says_is_never_taken_for_a_worker() {
    let site = Site::new();
    let app = shop(&site).with("app.py", &format!("{FALSE_NAME}{WSGI}")).write();
    let ostlerd = site.start();
    ostlerd.logs("is none of its zygote's");
    let log = ostlerd.log();
    let said = log.lines().find_map(|line| line.strip_prefix("impostor ")).expect("it said so").to_owned();
    ostlerd.logs(&format!("sent away {said}"));
    assert!(ostlerd.app("shop").workers.iter().all(|it| it.pid != said.parse().ok()), "{log}");
    app.release("good", "");
    ostlerd.restart("shop");
    ostlerd.serving("shop");
}

#[test]
fn a_zygote_that_cannot_fork_fails_the_worker_in_words() {
    let site = Site::new();
    let text = "
import os, sys
zygote = sys.modules['_ostler'].zygote
def fork():
    raise BlockingIOError(11, 'Resource temporarily unavailable')
if not os.path.exists('good'):
    zygote.fork = fork
";
    let app = shop(&site).with("app.py", &format!("{text}{WSGI}")).write();
    let ostlerd = site.start();
    ostlerd.logs("could not be started: the zygote cannot fork: BlockingIOError");
    app.release("good", "");
    ostlerd.restart("shop");
    ostlerd.serving("shop");
}

#[test]
fn a_zygote_that_ends_when_it_is_told_to_fork_is_a_failure_that_is_backed_off_from() {
    let site = Site::new();
    let text = "
import os, sys
zygote = sys.modules['_ostler'].zygote
if not os.path.exists('good'):
    zygote.fork_twice = lambda fds: os._exit(7)
";
    let app = shop(&site).with("app.py", &format!("{text}{WSGI}")).write();
    let ostlerd = site.start();
    ostlerd.logs("died; its workers serve on, and another loads the app when it is needed: exit status 7");
    ostlerd.logs("waiting");
    ostlerd.logs("could not be started: its zygote has ended");
    app.release("good", "");
    ostlerd.restart("shop");
    ostlerd.serving("shop");
}
