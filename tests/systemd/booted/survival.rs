//! Nothing that happens to ostlerd itself costs a request, whatever the worker class, however clients connect.
//!
//! A few times each here, and a hundred times in `make endurance`.

use std::time::Duration;

use super::endurance::rounds;
use super::unit::drop_in;
use crate::die::Die;
use crate::harness::{ASGI, Gunicorn, WSGI, until};
use crate::load::{Load, Running, Target};
use crate::machine::Machine;
use crate::site::{start, status};

const APPS: &[(&str, &str, &str)] = &[
    ("sync", r#"[]"#, WSGI),
    ("gthread", r#"["-k", "gthread", "--threads", "4"]"#, WSGI),
    ("uvicorn", r#"["-k", "uvicorn_worker.UvicornWorker"]"#, ASGI),
];

/// Where ostlerd is started from here, so that it can be replaced.
const PROGRAM: &str = "/opt/ostlerd";

fn put_apps(machine: &Machine) {
    let python = Gunicorn::V27.python();
    for (name, args, text) in APPS {
        machine.write(&format!("/srv/{name}/app.py"), text);
        let file = format!(
            "directory = \"/srv/{name}\"\npython = {python:?}\napp = \"app:application\"\nuser = \"nobody\"\n\
             workers = 2\nlisten = \"unix:/run/{name}.sock\"\nargs = {args}\n\
             env = {{ PYTHONDONTWRITEBYTECODE = \"1\" }}\n\n[rollout]\nsettle = \"200ms\"\n"
        );
        machine.write(&format!("/etc/ostler/apps.d/{name}.toml"), &file);
    }
    machine.write("/etc/ostler/ostler.toml", "");
}

/// Clients of every app, on connections that are closed and on such that stay.
struct Clients(Vec<(&'static str, Running)>);

impl Clients {
    fn of(machine: &Machine) -> Clients {
        let begin = |(name, _, _): &(&'static str, &str, &str)| {
            let target = Target::Unix(machine.path(&format!("/run/{name}.sock")));
            // Twelve of them: quicker ones keep two cores busy, and everything else waits for them.
            let load = Load::on(&target).connections(2).pause(Duration::from_millis(30));
            [(*name, load.clone().start()), (*name, load.keep_alive(true).start())]
        };
        Clients(APPS.iter().flat_map(begin).collect())
    }

    /// Waits until each has had so many answers more.
    #[track_caller]
    fn more(&self, count: u64) {
        self.0.iter().for_each(|(_, load)| load.more(count));
    }

    /// Ends it: nothing was lost. Says how long a client has waited at most, before `change` and after.
    #[track_caller]
    fn lost_nothing(self, change: Duration) {
        for (name, load) in self.0 {
            let end = load.clock();
            let tally = load.stop();
            let (before, after) = (tally.worst(Duration::ZERO..change), tally.worst(change..end));
            eprintln!("{name}: {tally}; worst {before:?} before, {after:?} then");
            tally.lost_nothing();
        }
    }

    fn clock(&self) -> Duration {
        self.0[0].1.clock()
    }
}

/// The serving workers of every app.
#[track_caller]
fn pids(machine: &Machine) -> Vec<i32> {
    let workers = status(machine).apps.into_iter().flat_map(|app| app.workers);
    let mut pids: Vec<i32> = workers.filter_map(|worker| worker.pid).collect();
    pids.sort_unstable();
    pids
}

/// Waits until another ostlerd than this is ready.
#[track_caller]
fn another_than(machine: &Machine, pid: &str) {
    until(format!("another ostlerd than {pid} is ready"), || {
        let main = machine.property("ostler", "MainPID");
        let ready = main != "0" && main != pid && machine.property("ostler", "ActiveState") == "active";
        ready.then_some(())
    });
}

/// Waits until every worker is another than these.
#[track_caller]
fn only_new_ones(machine: &Machine, before: &[i32]) {
    until("only new workers are left", || {
        let after = pids(machine);
        (after.len() == before.len() && after.iter().all(|pid| !before.contains(pid))).then_some(())
    });
}

#[test]
pub fn restarts_of_the_unit_lose_nothing_and_replace_every_worker() {
    let machine = Machine::boot();
    put_apps(&machine);
    start(&machine);
    let clients = Clients::of(&machine);
    clients.more(100);
    let change = clients.clock();
    for _ in 0..rounds(4) {
        let before = pids(&machine);
        machine.run(&["systemctl", "restart", "ostler"]).exits(0);
        machine.run(&["ostler", "wait"]).exits(0);
        only_new_ones(&machine, &before);
        clients.more(5);
    }
    clients.lost_nothing(change);
}

#[test]
fn reloads_of_the_unit_lose_nothing_and_touch_no_worker() {
    let machine = Machine::boot();
    put_apps(&machine);
    start(&machine);
    let before = pids(&machine);
    let clients = Clients::of(&machine);
    clients.more(100);
    let change = clients.clock();
    for round in 0..rounds(10) {
        machine.write("/etc/ostler/ostler.toml", &format!("[edge]\ndelay = \"{}s\"\n", round % 2));
        machine.run(&["systemctl", "reload", "ostler"]).exits(0);
        clients.more(5);
    }
    assert_eq!(pids(&machine), before);
    clients.lost_nothing(change);
}

#[test]
pub fn kills_of_ostlerd_also_within_rollouts_lose_nothing() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=100ms");
    put_apps(&machine);
    start(&machine);
    let clients = Clients::of(&machine);
    clients.more(100);
    let change = clients.clock();
    let mut die = Die::new();
    for _ in 0..rounds(6) {
        let rollout = die.below(2) == 0;
        let before = pids(&machine);
        if rollout {
            machine.run(&["sh", "-c", "ostler restart gthread >/dev/null 2>&1 &"]).exits(0);
        }
        clients.more(1 + die.below(40) as u64);
        let main = machine.property("ostler", "MainPID");
        machine.run(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", "ostler"]).exits(0);
        another_than(&machine, &main);
        until("every app has its workers", || {
            let status = status(&machine);
            let whole = status.apps.iter().all(|app| app.rollout.is_none() && app.workers.len() == 2);
            (whole && status.apps.len() == APPS.len()).then_some(())
        });
        if !rollout {
            assert_eq!(pids(&machine), before, "no worker is replaced without a rollout");
        }
        clients.more(5);
    }
    clients.lost_nothing(change);
    assert!(!machine.journal("ostler").contains("panicked"));
}

#[test]
fn re_executions_between_two_versions_lose_nothing_and_touch_no_worker() {
    let machine = Machine::boot();
    // The same program but for what it says its version is.
    let ours = std::fs::read(env!("CARGO_BIN_EXE_ostlerd")).expect("cargo has built it");
    let (version, other) = (env!("CARGO_PKG_VERSION").as_bytes(), b"9.9.9");
    assert_eq!(version.len(), other.len());
    let mut newer = ours.clone();
    let places: Vec<usize> =
        newer.windows(version.len()).enumerate().filter(|(_, it)| *it == version).map(|(at, _)| at).collect();
    for at in places {
        newer[at..at + other.len()].copy_from_slice(other);
    }
    let install = |program: &[u8]| {
        std::fs::write(machine.path("/opt/coming"), program).expect("the machine's files are writable");
        machine.tell(&format!("chmod 755 /opt/coming && mv /opt/coming {PROGRAM}"));
    };
    install(&ours);
    drop_in(&machine, &format!("ExecStart=\nExecStart={PROGRAM}"));
    put_apps(&machine);
    start(&machine);
    let (main, before) = (machine.property("ostler", "MainPID"), pids(&machine));
    let clients = Clients::of(&machine);
    clients.more(100);
    let change = clients.clock();
    for round in 0..rounds(6) {
        let (program, version) = match round % 2 {
            0 => (&newer, "9.9.9"),
            _ => (&ours, env!("CARGO_PKG_VERSION")),
        };
        install(program);
        machine.run(&["ostler", "reexec"]).exits(0).says(&["its workers go on"]);
        assert!(machine.tell(&format!("/proc/{main}/exe --version")).contains(version));
        assert_eq!(pids(&machine), before);
        clients.more(5);
    }
    assert_eq!(machine.property("ostler", "MainPID"), main);
    clients.lost_nothing(change);
    assert!(!machine.journal("ostler").contains("panicked"));
    // It is still systemd's service, and its own master.
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    only_new_ones(&machine, &before);
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
}
