//! What can befall ostlerd at any moment costs no request, and what it tells afterwards is what is so.
//!
//! A round begins something (a rollout with its migration, a handover, a reload, or nothing), lets one evil happen within it,
//! takes the evil away and waits until all is quiet: then the status has to be what runs, and the history what was run.
//!
//! `OSTLER_CHAOS='--seed 7 --only kill --rounds 100'` chooses; each part is optional. `make chaos` plays a hundred rounds of each.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::unit::drop_in;
use crate::harness::{WSGI, until};
use crate::load::{Load, Running};
use crate::machine::Machine;
use crate::site::{nobodys, shop, start, status, target, write_shop};

/// Workers of threads, and what they are forked from; each run of the migration leaves a line as it begins and as it ends.
const APP: &str = r#"workers = 2
preload = true
args = ["-k", "gthread", "--threads", "4"]
[migrate]
command = ["/bin/sh", "-c", "echo begin $OSTLER_MIGRATION >>/srv/told/log; sleep 0.2; echo end $OSTLER_MIGRATION >>/srv/told/log"]"#;

/// What befalls.
const EVILS: [&str; 4] = ["kill", "stop", "disk", "files"];

/// What goes on meanwhile; the last is nothing.
const DEEDS: [&str; 6] = [
    "ostler restart shop",
    "ostler reexec",
    "systemctl restart ostler",
    "ostler migrate shop",
    "kill -HUP $(systemctl show --value -p MainPID ostler)",
    "true",
];

/// To the last byte.
const FILL: &str = "for folder in /run/ostler /var/lib/ostler; do \
    for size in 64k 1; do dd if=/dev/zero of=$folder/filler$size bs=$size 2>/dev/null; done; done; true";

/// What is played.
struct Game {
    seed: u64,
    only: Option<String>,
    rounds: usize,
}

impl Game {
    fn wanted() -> Game {
        let mut game = Game { seed: 1, only: None, rounds: 2 };
        let said = std::env::var("OSTLER_CHAOS").unwrap_or_default();
        let mut words = said.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            match word {
                "--seed" => game.seed = value.parse().expect("--seed takes a number"),
                "--rounds" => game.rounds = value.parse().expect("--rounds takes a number"),
                "--only" if EVILS.contains(&value) => game.only = Some(value.to_owned()),
                _ => panic!("OSTLER_CHAOS knows --seed N, --rounds N and --only {}", EVILS.join("|")),
            }
        }
        game
    }
}

struct Field {
    machine: Machine,
    load: Running,
}

impl Field {
    /// ostlerd; between two of them this waits, for to `kill`, 0 is whoever asks.
    fn main(&self) -> i32 {
        until("there is an ostlerd", || {
            self.machine.property("ostler", "MainPID").parse().ok().filter(|pid| *pid > 1)
        })
    }

    /// Does the evil, lets it last, and takes it away.
    fn befall(&self, evil: &str, dice: &mut Rng) {
        let machine = &self.machine;
        let lasting = 1 + dice.usize(..60) as u64;
        match evil {
            "kill" => {
                machine.sh(&format!("kill -9 {}", self.main()));
            }
            "stop" => {
                // ostlerd, or anybody of the app: a worker, a zygote, a migration.
                let others: Vec<i32> = nobodys(machine).into_iter().collect();
                let pid = match dice.usize(..3) {
                    0 => self.main(),
                    _ if others.is_empty() => self.main(),
                    _ => others[dice.usize(..others.len())],
                };
                // Of itself or of its keeper; who is gone meanwhile is not stopped.
                machine.sh(&format!("kill -STOP {pid}"));
                self.load.more(lasting);
                machine.sh(&format!("kill -CONT {pid}"));
            }
            "disk" => {
                machine.tell(FILL);
                self.load.more(lasting);
                machine.tell("rm -f /run/ostler/filler* /var/lib/ostler/filler*");
            }
            _ => {
                let pid = self.main();
                let room = dice.usize(..4);
                // No more descriptors than are open, or a few.
                machine.sh(&format!(
                    "prlimit --pid {pid} --nofile=$(( $(ls /proc/{pid}/fd | wc -l) + {room} )):524288"
                ));
                self.load.more(lasting);
                machine.sh(&format!("prlimit --pid {pid} --nofile=524288:524288"));
            }
        }
    }

    /// Waits until nothing is under way, and all that runs is what should; what is told is what is so.
    fn settle(&self, round: &str) {
        let machine = &self.machine;
        let mut last = String::new();
        let quiet = crate::harness::eventually(std::time::Duration::from_secs(90), || {
            if machine.property("ostler", "ActiveState") != "active" {
                return None;
            }
            let said = machine.run(&["ostler", "status", "--json"]);
            let told: ostler::observe::Status = serde_json::from_str(&said.out).ok()?;
            let app = told.apps.into_iter().next()?;
            last = format!("{app:?}");
            let whole = app.rollout.is_none() && app.migration.is_none() && app.workers.len() == 2;
            let serving =
                |it: &ostler::observe::WorkerStatus| it.state == ostler::supervise::WorkerState::Ready;
            let forks = app.zygotes.len() == 1 && app.zygotes[0].ready;
            let told: BTreeSet<i32> = app
                .workers
                .iter()
                .filter_map(|it| it.pid)
                .chain(app.zygotes.iter().filter_map(|it| it.pid))
                .collect();
            let there = nobodys(machine);
            last += &format!(" there: {there:?}");
            let scopes = machine.tell("systemctl list-units --all --no-legend 'ostler*.scope' | wc -l");
            last += &format!(" scopes: {scopes}");
            let quiet = whole && app.workers.iter().all(serving) && forks;
            (quiet && told == there && scopes == "1").then_some(())
        });
        assert!(quiet.is_some(), "{round}: it does not come to rest, or the status is not what runs: {last}");
    }

    /// Every run has its entry, written before it began, and what is told as applied has come to its end.
    fn compare_history(&self, round: &str) {
        let told = self.machine.read("/srv/told/log").unwrap_or_default();
        let mut runs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in told.lines() {
            let (what, mark) = line.split_once(' ').unwrap_or((line, ""));
            runs.entry(mark.rsplit(':').next().unwrap_or_default()).or_default().push(what);
        }
        let history = self.machine.read("/var/lib/ostler/shop/migrations.jsonl").unwrap_or_default();
        let mut ends: BTreeMap<String, Option<String>> = BTreeMap::new();
        for line in history.lines() {
            let entry: serde_json::Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{round}: the history has a damaged line: {error}: {line}"));
            let run = entry["run"].as_str().unwrap_or_default().to_owned();
            let verdict = &entry["record"]["verdict"]["kind"];
            ends.insert(run, verdict.as_str().map(str::to_owned));
        }
        // The names in the history are others than those that the processes carry, so they are counted.
        let whole = runs.values().filter(|lines| lines.contains(&"end")).count();
        let applied = ends.values().filter(|end| end.as_deref() == Some("applied")).count();
        assert!(runs.len() <= ends.len(), "{round}: a run is in no history: {runs:?}\n{history}");
        assert!(
            applied <= whole,
            "{round}: a run is told as applied that did not come to its end: {runs:?}\n{history}"
        );
    }
}

/// A machine with the app on it, whose folders can be filled.
fn small() -> Machine {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=50ms");
    machine.tell(
        "install -d -m 777 /srv/told && install -d /run/ostler /var/lib/ostler && \
         mount -t tmpfs -o size=1M,mode=755 tmpfs /run/ostler && mount -t tmpfs -o size=1M,mode=755 tmpfs /var/lib/ostler",
    );
    machine.write("/srv/shop/app.py", WSGI);
    write_shop(&machine, APP);
    machine.write("/etc/ostler/ostler.toml", "");
    start(&machine);
    machine
}

fn play(evil: &str, game: &Game) {
    let machine = small();
    let keeping = Load::on(&target(&machine)).connections(2).keep_alive(true).start();
    let load = Load::on(&target(&machine)).connections(6).start();
    let field = Field { machine, load };
    field.load.more(50);
    let mut dice = Rng::with_seed(game.seed);
    for number in 0..game.rounds {
        let deed = DEEDS[dice.usize(..DEEDS.len())];
        let round = format!("--seed {} --only {evil}: round {number}, {deed}", game.seed);
        field.machine.tell(&format!("({deed}) >/dev/null 2>&1 &"));
        field.load.more(1 + dice.usize(..120) as u64);
        field.befall(evil, &mut dice);
        field.settle(&round);
        field.compare_history(&round);
    }
    // It is as able as it was before.
    field.machine.run(&["ostler", "restart", "shop"]).exits(0);
    field.settle("at last");
    field.compare_history("at last");
    assert!(status(&field.machine).config.valid && shop(&field.machine).problem.is_none());
    let journal = field.machine.journal("ostler");
    assert!(!journal.contains("panicked"), "{journal}");
    for (kind, load) in [("closing", field.load), ("keep-alive", keeping)] {
        let tally = load.stop();
        eprintln!("{evil}, {} rounds, {kind}: {tally}", game.rounds);
        tally.lost_nothing();
    }
    field.machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    until("nobody is left", || nobodys(&field.machine).is_empty().then_some(()));
    let left = field.machine.tell(
        "systemctl list-units --all --no-legend 'ostler-*' | wc -l; find /run/ostler -type f -o -type s",
    );
    assert_eq!(left, "0", "something is left of it");
}

fn chosen(evil: &str) {
    let game = Game::wanted();
    if game.only.as_deref().is_none_or(|only| only == evil) {
        play(evil, &game);
    }
}

#[test]
fn ostlerd_killed_at_any_moment_loses_nothing_and_tells_what_is_so() {
    chosen("kill");
}

#[test]
fn a_process_that_stands_still_for_a_while_loses_nothing() {
    chosen("stop");
}

#[test]
fn a_restart_while_the_disk_is_full_hands_every_worker_over() {
    let machine = small();
    let load = Load::on(&target(&machine)).start();
    load.more(20);
    machine.tell(FILL);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    load.more(20);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    load.more(20);
    machine.tell("rm -f /run/ostler/filler* /var/lib/ostler/filler*");
    let field = Field { machine, load };
    field.settle("there is room again");
    field.machine.run(&["ostler", "restart", "shop"]).exits(0);
    field.load.stop().lost_nothing();
    let journal = field.machine.journal("ostler");
    assert!(!journal.contains("the workers are stopped"), "{journal}");
}

#[test]
fn a_full_disk_loses_nothing_and_is_over_when_there_is_room() {
    chosen("disk");
}

#[test]
fn no_free_descriptor_loses_nothing_and_is_over_when_there_are_some() {
    chosen("files");
}
