//! What happens to ostlerd itself costs no request: the workers go on serving, and the next ostlerd adopts them.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use ostler::supervise::WorkerState;

use crate::die::Die;
use crate::harness::{Ostlerd, Site, WSGI, kill, program, ready, until};
use crate::load::{Connection, Load, Target};

const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];

fn sorted(mut pids: Vec<i32>) -> Vec<i32> {
    pids.sort_unstable();
    pids
}

/// It is in charge: it sees every worker beat, and what it starts takes the place of what it adopted.
#[track_caller]
fn is_in_charge(ostlerd: &Ostlerd<'_>) {
    let before = sorted(ostlerd.pids("shop"));
    ostlerd.restart("shop");
    let after = ostlerd.serving("shop");
    let now = sorted(ready(&after).iter().filter_map(|worker| worker.pid).collect());
    assert!(before.iter().all(|pid| !now.contains(pid)), "adopted {before:?}, after a restart {now:?}");
}

#[test]
fn a_killed_ostlerd_leaves_its_workers_serving_and_the_next_adopts_them() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(3).with("app.py", WSGI).args(GTHREAD).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.app("shop");
    let pids = sorted(ostlerd.pids("shop"));
    let load = Load::on(&app.target()).keep_alive(true).start();
    load.more(50);

    ostlerd.crash();
    load.more(100);
    let ostlerd = site.start();
    let after = ostlerd.serving("shop");
    load.more(100);

    assert_eq!(sorted(ostlerd.pids("shop")), pids, "the workers are the same processes");
    assert_eq!(after.generation, before.generation);
    let names = |app: &ostler::observe::AppStatus| -> BTreeSet<u64> {
        app.workers.iter().map(|worker| worker.id.0).collect()
    };
    assert_eq!(names(&after), names(&before), "and have the same names");
    is_in_charge(&ostlerd);
    load.more(50);
    load.stop().lost_nothing();
}

#[test]
fn twenty_kills_of_ostlerd_at_any_moment_lose_no_request() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).args(GTHREAD).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let mut die = Die::new();
    let load = Load::on(&app.target()).keep_alive(true).start();
    for _ in 0..20 {
        // Half of them within a rollout, somewhere between its first step and its commit.
        let rollout = die.below(2) == 0;
        let mut command = rollout.then(|| {
            let quiet = std::process::Stdio::null;
            let mut command = site.ostler_command(&["restart", "shop"]);
            command.stdout(quiet()).stderr(quiet()).spawn().expect("ostler starts")
        });
        load.more(1 + die.below(120) as u64);
        let served = sorted(ostlerd.pids("shop"));
        ostlerd.crash();
        if let Some(command) = &mut command {
            command.wait().expect("the command is ours");
        }
        load.more(10 + die.below(30) as u64);
        ostlerd = site.start();
        let after = ostlerd.serving("shop");
        if !rollout {
            let now = sorted(ready(&after).iter().filter_map(|worker| worker.pid).collect());
            assert_eq!(now, served, "no worker is restarted without a rollout");
        }
    }
    is_in_charge(&ostlerd);
    let states: BTreeSet<WorkerState> = ostlerd.app("shop").workers.iter().map(|it| it.state).collect();
    assert_eq!(states, BTreeSet::from([WorkerState::Ready]));
    load.more(50);
    let tally = load.stop();
    println!("{tally}");
    tally.lost_nothing();
    assert!(!ostlerd.log().contains("panicked"), "{}", ostlerd.log());
}

/// Boots when it is told to.
const PATIENT: &str = "
import os, sys, time
print('it loads', file=sys.stderr, flush=True)
while not os.path.exists('go'):
    time.sleep(0.02)
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'1']
";

#[test]
fn a_worker_that_boots_when_ostlerd_is_killed_serves_under_the_next() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).with("app.py", PATIENT).write();
    let ostlerd = site.start();
    let pid = until("a worker is there", || ostlerd.app("shop").workers.first()?.pid);
    ostlerd.logs("it loads");
    ostlerd.crash();
    let ostlerd = site.start();
    ostlerd.wait("shop", "has the worker, still booting", |app| {
        app.workers.iter().any(|it| it.pid == Some(pid) && it.state == WorkerState::Booting)
    });
    app.release("go", "");
    ostlerd.serving("shop");
    assert_eq!(ostlerd.pids("shop"), [pid]);
}

#[test]
fn an_adopted_worker_that_is_killed_is_replaced() {
    let site = Site::new();
    site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.crash();
    let ostlerd = site.start();
    let adopted = sorted(ready(&ostlerd.serving("shop")).iter().filter_map(|worker| worker.pid).collect());
    kill(adopted[0], Signal::SIGKILL);
    ostlerd.wait("shop", "has a new worker in its place", |app| {
        let pids: Vec<i32> = ready(app).iter().filter_map(|worker| worker.pid).collect();
        pids.len() == 2 && pids.contains(&adopted[1]) && !pids.contains(&adopted[0])
    });
}

#[test]
fn twenty_re_executions_under_load_lose_no_request() {
    let site = Site::new();
    let app = site.app("shop").tcp().unix().workers(2).with("app.py", WSGI).args(GTHREAD).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let (pid, pids) = (ostlerd.process(), sorted(ostlerd.pids("shop")));
    let mut die = Die::new();
    let tcp = Load::on(&app.target()).keep_alive(true).start();
    let unix = Load::on(&Target::Unix(site.path("shop.sock"))).connections(2).start();
    for round in 0..20 {
        tcp.more(1 + die.below(60) as u64);
        let runs = ostlerd.log().matches("ostlerd goes on with").count();
        match round % 4 {
            0 => ostlerd.signal(Signal::SIGUSR2),
            _ => drop(ostlerd.ostler(&["reexec"]).exits(0).says(&["its workers go on"])),
        }
        until("the new ostlerd is there", || {
            (ostlerd.log().matches("ostlerd goes on with").count() > runs).then_some(())
        });
        assert_eq!(sorted(ready(&ostlerd.serving("shop")).iter().filter_map(|it| it.pid).collect()), pids);
    }
    assert!(pid.lives());
    is_in_charge(&ostlerd);
    tcp.more(30);
    unix.more(10);
    let (tcp, unix) = (tcp.stop(), unix.stop());
    println!("{tcp}\n{unix}");
    tcp.lost_nothing();
    unix.lost_nothing();
    // They are its children again and again: it sees how they end.
    let descriptors = ostlerd.process().descriptors().len();
    ostlerd.ostler(&["reexec"]).exits(0);
    kill(ostlerd.pids("shop")[0], Signal::SIGKILL);
    ostlerd.logs("killed by signal 9");
    ostlerd.serving("shop");
    let now = ostlerd.process().descriptors();
    assert!(now.len() <= descriptors + 2, "{descriptors} descriptors before, now {now:#?}");
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

#[test]
fn a_binary_that_cannot_take_over_changes_nothing() {
    let site = Site::new();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let copy = site.path("ostlerd-copy");
    program::copy(env!("CARGO_BIN_EXE_ostlerd"), &copy);
    let ostlerd = site.start_as(&copy);
    let pids = sorted(ready(&ostlerd.serving("shop")).iter().filter_map(|it| it.pid).collect());
    // As a package upgrade does it: the old file goes, a new one takes its name.
    let replace = |text: &str| {
        let new = site.path("ostlerd-new");
        program::write(&new, text.as_bytes());
        std::fs::rename(&new, &copy).expect("the folder is writable");
    };
    replace("#!/bin/sh\necho 'it has the format 7, and this ostlerd knows 9' >&2\nexit 1\n");
    ostlerd.ostler(&["reexec"]).exits(75).says(&["cannot take over", "the format 7", "this ostlerd goes on"]);
    replace("garbage");
    ostlerd.ostler(&["reexec"]).exits(75).says(&["cannot take over", "this ostlerd goes on"]);
    std::fs::remove_file(&copy).expect("it is there");
    ostlerd.ostler(&["reexec"]).exits(75).says(&["cannot take over"]);
    assert_eq!(sorted(ready(&ostlerd.serving("shop")).iter().filter_map(|it| it.pid).collect()), pids);
}

#[test]
fn a_state_that_cannot_be_believed_is_refused_in_words() {
    type Spoil = fn(&std::path::Path);
    let spoil: [(&str, Spoil); 4] = [
        ("cut off or damaged", |path| {
            let text = std::fs::read(path).expect("it is there");
            std::fs::write(path, &text[..text.len() / 2]).expect("it is ours");
        }),
        ("cut off or damaged", |path| std::fs::write(path, "").expect("it is ours")),
        ("the format 9999", |path| {
            let text = std::fs::read_to_string(path).expect("it is there");
            std::fs::write(path, text.replacen("\"version\":", "\"version\":9999", 1)).expect("it is ours");
        }),
        ("alone can write", |path| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(path, mode).expect("it is ours");
        }),
    ];
    for (words, spoil) in spoil {
        let site = Site::new();
        site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        // With its workers: what the file says is about the dead.
        ostlerd.kill();
        spoil(&site.path("run/state.json"));
        let ostlerd = site.start();
        ostlerd.logs(words);
        ostlerd.serving("shop");
        assert!(!ostlerd.log().contains("panicked"), "{}", ostlerd.log());
    }
}

#[test]
fn a_state_about_the_dead_leads_to_new_workers() {
    let site = Site::new();
    let app = site.app("shop").tcp().unix().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    ostlerd.kill();
    let ostlerd = site.start();
    let after = ostlerd.serving("shop");
    ostlerd.logs("goes on with 0 of 2 workers");
    assert_eq!(after.generation, before.generation, "the code is the same");
    let names = |app: &ostler::observe::AppStatus| app.workers.iter().map(|it| it.id.0).max();
    assert!(names(&after) > names(&before), "names are not used again");
    assert_eq!(crate::load::get(&app.target(), "/").expect("it answers").status, 200);
}

#[test]
fn what_changed_while_nobody_looked_follows_when_the_next_ostlerd_is_there() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).args(GTHREAD).write();
    let gone = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    ostlerd.serving("blog");
    let load = Load::on(&app.target()).start();
    ostlerd.crash();
    // New code alone is no change; new settings are, and so is an app that is there no more.
    app.release("app.py", &format!("{WSGI}\n# new\n"));
    let ostlerd = site.start();
    assert_eq!(ostlerd.serving("shop").generation, before.generation, "new code waits for a restart");
    ostlerd.crash();
    std::fs::remove_file(&gone.file).expect("it is there");
    app.clone().env("COLOUR", "green").write();
    let ostlerd = site.start();
    ostlerd.wait("shop", "has been rolled out", |app| app.generation > before.generation);
    until("the removed app is gone", || {
        (!ostlerd.status().apps.iter().any(|app| app.name.as_str() == "blog")).then_some(())
    });
    load.more(20);
    load.stop().lost_nothing();
}

#[test]
fn a_broken_configuration_at_the_next_start_leaves_everything_serving() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.crash();
    std::fs::write(&app.file, "directory = 7\n").expect("the folder is writable");
    let ostlerd = site.start();
    ostlerd.logs("the last good configuration stays in force");
    assert_eq!(ostlerd.serving("shop").workers.len(), 1);
    until("status says so", || (!ostlerd.status().config.valid).then_some(()));
    app.write();
}

#[test]
fn a_stopped_app_stays_stopped_and_a_scaled_one_scaled() {
    let site = Site::new();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    ostlerd.ostler(&["stop", "blog"]).exits(0);
    ostlerd.crash();
    let ostlerd = site.start();
    let shop = ostlerd.serving("shop");
    assert_eq!((shop.workers.len(), ostlerd.app("blog").state), (3, ostler::supervise::AppState::Stopped));
    ostlerd.ostler(&["start", "blog"]).exits(0);
}

#[test]
fn nothing_is_left_to_adopt_after_a_stop() {
    let site = Site::new();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(site.path("run/state.json").exists());
    drop(ostlerd);
    assert!(!site.path("run/state.json").exists());
}

#[test]
fn wait_tells_how_the_last_rollout_ended() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.ostler(&["wait"]).exits(0).says(&["shop: generation g1 serves"]);
    app.release("app.py", "import nothing_of_that_name\n");
    ostlerd.restart_fails("shop");
    ostlerd.ostler(&["wait", "shop"]).exits(1).says(&["nothing_of_that_name", "g1 goes on serving"]);
    let said = ostlerd.ostler(&["wait", "--json"]).exits(1).says(&["nothing_of_that_name"]);
    let end: serde_json::Value = serde_json::from_str(said.out.trim()).expect("one line, one object");
    assert_eq!((end["app"].as_str(), end["generation"].as_u64()), (Some("shop"), Some(1)), "{end}");
    app.release("app.py", WSGI);
    ostlerd.restart("shop");
    ostlerd.ostler(&["wait", "shop"]).exits(0);
    ostlerd.ostler(&["wait", "shpo"]).exits(64).says(&["did you mean"]);
}

#[test]
fn a_state_that_cannot_be_written_is_said_once_and_stops_nothing() {
    let site = Site::new();
    site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    // What a full disk comes to, for root as well.
    let in_the_way = site.path("run/state.json.new");
    until("it is in the way", || {
        // There is room for the next state.
        let _ = std::fs::remove_file(&in_the_way);
        std::fs::create_dir_all(in_the_way.join("full")).ok()
    });
    ostlerd.restart("shop");
    ostlerd.restart("shop");
    assert_eq!(ostlerd.log().matches("cannot write").count(), 1, "{}", ostlerd.log());
    std::fs::remove_dir_all(&in_the_way).expect("it is there");
    ostlerd.logs("can be written again");
    let pids = sorted(ready(&ostlerd.serving("shop")).iter().filter_map(|it| it.pid).collect());
    ostlerd.crash();
    let ostlerd = site.start();
    assert_eq!(sorted(ready(&ostlerd.serving("shop")).iter().filter_map(|it| it.pid).collect()), pids);
}

#[test]
fn an_ostlerd_that_is_killed_while_it_stops_leaves_nothing_stopped() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).args(GTHREAD).write();
    site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    ostlerd.ostler(&["stop", "blog"]).exits(0);
    // A request that is under way keeps the stop from ending at once.
    let mut slow = Connection::open(&app.target(), std::time::Duration::from_secs(30)).expect("it listens");
    slow.send(b"GET /sleep?3 HTTP/1.1\r\nHost: x\r\n\r\n");
    ostlerd.signal(Signal::SIGTERM);
    ostlerd.logs("stopping");
    ostlerd.crash();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(ostlerd.app("blog").state, ostler::supervise::AppState::Stopped);
}
