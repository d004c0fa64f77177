//! ostlerd crashes at any moment, and another takes over what it has left: what the file says, and what lives.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{
    Exit, FoundProcess, Moment, ProcessFact, ProcessId, Role, SlotStage, Snapshot, StopSignal, Supervisor,
};
use serde_json::{Map, Value};

use crate::entry::AppEntry;
use crate::flaw::Flaw;
use crate::ledger::Ledger;
use crate::process::{Process, Stage as At};
use crate::rng::Rng;
use crate::scenario::Scenario;

/// A crash that is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    pub(crate) at: Moment,
    /// Whether it comes between what is written down and what is done.
    pub(crate) half_done: bool,
    /// How long nobody is there.
    pub(crate) downtime: Duration,
    /// Whether systemd starts it again: it ends in order, and says so.
    pub(crate) restart: bool,
}

/// When ostlerd crashes. Drawn aside, so that what a seed stands for otherwise stays as it was.
pub(crate) fn crashes(scenario: &Scenario, rng: &Rng) -> Vec<Crash> {
    let mut aside = rng.clone();
    // The generator's first numbers are spoken for.
    (0..17).for_each(|_| _ = aside.below(2));
    let count = if aside.chance(0.5) { 0 } else { aside.within(1, 4) };
    let last = scenario.calm_from.as_millis() as u64 - 1;
    let mut crashes: Vec<Crash> = (0..count)
        .map(|_| Crash {
            at: Moment::at(aside.millis(1, last)),
            half_done: aside.chance(0.5),
            downtime: if aside.chance(0.7) { aside.millis(20, 500) } else { aside.millis(500, 12_000) },
            restart: false,
        })
        .collect();
    crashes.iter_mut().for_each(|crash| crash.restart = !crash.half_done && aside.chance(0.6));
    crashes.sort_by_key(|crash| std::cmp::Reverse(crash.at));
    crashes
}

/// What the slot and the process of a worker say to whoever looks; whether it ever `began`.
pub(crate) fn found(process: Option<&Process>, began: bool, now: Moment) -> FoundProcess {
    let last = if began { SlotStage::Booting } else { SlotStage::Empty };
    let Some(process) = process else { return FoundProcess { alive: false, stage: Some(last) } };
    let stage = match process.stage {
        // It has no slot.
        _ if process.is_command => return FoundProcess { alive: true, stage: None },
        _ if process.draining => SlotStage::Draining,
        At::Loading if now.since(process.started) < Duration::from_millis(80) => SlotStage::Empty,
        At::Loading => SlotStage::Booting,
        At::Waiting => SlotStage::Loaded,
        At::Serving => SlotStage::Ready,
    };
    FoundProcess { alive: true, stage: Some(stage) }
}

/// Loses some of an app's processes.
fn forget(app: &mut Value, which: impl Fn(&mut Map<String, Value>)) {
    app["processes"].as_object_mut().into_iter().for_each(which);
}

/// The core after a crash, from the text of the file and what is found.
pub(crate) fn recovered(
    snapshot: &Snapshot,
    found: &BTreeMap<ProcessId, FoundProcess>,
    now: Moment,
    seed: u64,
    flaw: Option<Flaw>,
) -> Supervisor {
    let mut file = serde_json::to_value(snapshot).expect("a snapshot is JSON");
    let mut found = found.clone();
    if let Some(flaw) = flaw {
        spoil(flaw, &mut file, &mut found);
    }
    let snapshot: Snapshot = serde_json::from_value(file).expect("what was written can be read");
    Supervisor::adopt(snapshot, &found, now, seed)
}

fn spoil(flaw: Flaw, file: &mut Value, found: &mut BTreeMap<ProcessId, FoundProcess>) {
    match flaw {
        Flaw::Load(misjudged) => misjudged.leaves(file),
        Flaw::ForgetsNumbers => file["next_process"] = 0.into(),
        Flaw::ForgetsToDeploy => file["deploys"] = false.into(),
        Flaw::DeploysAfterACrash => file["deploys"] = true.into(),
        Flaw::ForgetsTheDrain => file["drain"] = Value::Null,
        Flaw::TakesTheDeadForLiving => found.values_mut().for_each(|found| found.alive = true),
        Flaw::ForgetsAWorker | Flaw::ForgetsZygotes | Flaw::ForgetsTheStopped | Flaw::ForgetsGenerations => {
            let apps = file["apps"].as_object_mut().into_iter().flatten();
            for (_, app) in apps {
                match flaw {
                    Flaw::ForgetsAWorker => forget(app, |all| {
                        let web = all.values().filter(|it| it["role"] == "web");
                        let last = web.filter_map(|it| it["id"].as_u64()).max();
                        last.map(|last| all.remove(&last.to_string()));
                    }),
                    Flaw::ForgetsZygotes => forget(app, |all| all.retain(|_, it| it["role"] == "web")),
                    Flaw::ForgetsGenerations => app["generations"] = 0.into(),
                    _ => app["mode"] = "running".into(),
                }
            }
        }
        _ => {}
    }
}

/// A command or a hook host runs on, or goes on ending; a zygote forks on, or is ended anew.
fn single_is_found(
    ledger: &mut Ledger,
    now: Moment,
    id: ProcessId,
    is_left: bool,
    (alive, stage): (bool, Option<SlotStage>),
) {
    if !is_left {
        drop(ledger.processes.remove(&id));
    } else if !alive {
        ledger.hear(now, &ProcessFact::Exited(Exit::Unknown).of(id));
    } else if let Some(known) = ledger.processes.get_mut(&id) {
        match known.role {
            Role::Background(_) => return,
            Role::Hooks if stage.is_some() => return,
            // It is ended anew.
            Role::Hooks => return known.signals.retain(|(_, signal)| *signal > StopSignal::EndInput),
            Role::Web | Role::Zygote(_) => {}
        }
        known.signals.clear();
        known.hung = false;
        known.ready = (stage == Some(SlotStage::Ready)).then_some(now);
    }
}

/// What is known from outside is put right in the same way: whoever asked is gone, and so are some workers.
pub(crate) fn put_right(
    ledger: &mut Ledger,
    now: Moment,
    snapshot: &Snapshot,
    found: &BTreeMap<ProcessId, FoundProcess>,
) {
    // The next one counts its own requests anew.
    ledger.asked.retain(|id, asked| asked.answers > 0 && !id.is_own());
    ledger.hooks.ostlerd_recovers(now);
    // Another ostlerd asks anew where a worker stands.
    ledger.processes.values_mut().for_each(|known| known.asked.truncate(1));
    if ledger.machine.shutdown {
        ledger.machine.shutdown = false;
        ledger.machine.stopping = false;
        ledger.machine.drained = None;
        // What has ended by then is started by what is configured, and by nothing else.
        let ended =
            |app: &AppName, entry: &AppEntry| entry.has_nothing() && snapshot.blueprints(app).is_empty();
        let apps = ledger.apps.iter_mut().filter(|(app, entry)| ended(app, entry));
        apps.for_each(|(_, entry)| entry.startable = false);
    }
    let left: Vec<ProcessId> = snapshot.processes().map(|(_, process, ..)| process).collect();
    let mut ids: Vec<ProcessId> = ledger.processes.keys().copied().collect();
    // Who serves is heard of first.
    ids.sort_by_key(|id| !found.get(id).is_some_and(|found| found.alive));
    for id in ids {
        let (alive, stage) = found.get(&id).map_or((false, None), |found| (found.alive, found.stage));
        let Some(known) = ledger.processes.get_mut(&id) else { continue };
        known.born = false;
        // Who was told to die, or that nothing more comes, is told again.
        match &mut known.signals[..] {
            [.., (_, last @ StopSignal::Kill)] => *last = StopSignal::Quit,
            [(_, StopSignal::EndInput)] => known.signals.clear(),
            _ => {}
        }
        if !known.serves() {
            single_is_found(ledger, now, id, left.contains(&id), (alive, stage));
            continue;
        }
        let unheard = known.ready.is_none()
            && known.signals.is_empty()
            && ((known.hold && !known.admitted)
                || matches!(stage, Some(SlotStage::Empty | SlotStage::Loaded)));
        if !alive && (unheard || !left.contains(&id)) {
            ledger.processes.remove(&id);
            continue;
        }
        let untold = stage.is_some_and(|stage| stage != SlotStage::Draining);
        if alive && untold && known.drains() {
            known.signals.clear();
            // It serves after all, and is heard of anew.
            known.ready = None;
        }
        if alive && stage == Some(SlotStage::Ready) && (!known.hold || known.admitted) {
            ledger.hear(now, &ProcessFact::Ready.of(id));
        }
        if !alive {
            let exit = Exit::Unknown;
            ledger.hear(now, &ProcessFact::Exited(exit).of(id));
        }
    }
    for book in ledger.books.values_mut() {
        (book.open, book.command) = (false, false);
    }
    for entry in ledger.apps.values_mut() {
        entry.unasked = entry.unasked.map(|_| now);
        entry.allow_a_change(now);
        entry.load.begin_anew();
    }
}
