//! ostlerd falls at any moment, and another takes over what it has left: what the file says, and what lives.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::supervise::{Event, Exit, Found, Legacy, Moment, Rung, Stage, Supervisor, WorkerId};
use serde_json::Value;

use crate::flaw::Flaw;
use crate::hooks::Hooks;
use crate::ledger::Ledger;
use crate::process::{Process, Stage as At};
use crate::rng::Rng;
use crate::scenario::Scenario;

/// A fall that is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fall {
    pub(crate) at: Moment,
    /// Whether it comes between what is written down and what is done.
    pub(crate) half_done: bool,
    /// How long nobody is there.
    pub(crate) downtime: Duration,
    /// Whether systemd starts it again: it ends in order, and says so.
    pub(crate) restart: bool,
}

/// When ostlerd falls. Drawn aside, so that what a seed stands for otherwise stays as it was.
pub(crate) fn falls(scenario: &Scenario, rng: &Rng) -> Vec<Fall> {
    let mut aside = rng.clone();
    // The generator's first numbers are spoken for.
    (0..17).for_each(|_| _ = aside.below(2));
    let count = if aside.chance(0.5) { 0 } else { aside.within(1, 4) };
    let last = scenario.calm_from.as_millis() as u64 - 1;
    let mut falls: Vec<Fall> = (0..count)
        .map(|_| Fall {
            at: Moment::at(aside.millis(1, last)),
            half_done: aside.chance(0.5),
            downtime: if aside.chance(0.7) { aside.millis(20, 500) } else { aside.millis(500, 12_000) },
            restart: false,
        })
        .collect();
    falls.iter_mut().for_each(|fall| fall.restart = !fall.half_done && aside.chance(0.6));
    falls.sort_by_key(|fall| std::cmp::Reverse(fall.at));
    falls
}

/// What the slot and the process of a worker say to whoever looks; whether it ever `began`.
pub(crate) fn found(process: Option<&Process>, began: bool, now: Moment) -> Found {
    let last = if began { Stage::Booting } else { Stage::Empty };
    let Some(process) = process else { return Found { alive: false, stage: Some(last) } };
    let stage = match process.stage {
        _ if process.draining => Stage::Draining,
        At::Loading if now.since(process.started) < Duration::from_millis(80) => Stage::Empty,
        At::Loading => Stage::Booting,
        At::Waiting => Stage::Loaded,
        At::Serving => Stage::Ready,
    };
    Found { alive: true, stage: Some(stage) }
}

/// The core after a fall, from the text of the file and what is found.
pub(crate) fn risen(
    legacy: &Legacy,
    found: &BTreeMap<WorkerId, Found>,
    now: Moment,
    seed: u64,
    flaw: Option<Flaw>,
) -> Supervisor {
    let mut file = serde_json::to_value(legacy).expect("a legacy is JSON");
    let mut found = found.clone();
    if let Some(flaw) = flaw {
        spoil(flaw, &mut file, &mut found);
    }
    let legacy: Legacy = serde_json::from_value(file).expect("what was written can be read");
    Supervisor::adopt(legacy, &found, now, seed)
}

fn spoil(flaw: Flaw, file: &mut Value, found: &mut BTreeMap<WorkerId, Found>) {
    match flaw {
        Flaw::Load(misjudged) => misjudged.leaves(file),
        Flaw::ForgetsNumbers => file["next_worker"] = 0.into(),
        Flaw::ForgetsToDeploy => file["deploys"] = false.into(),
        Flaw::DeploysAfterACrash => file["deploys"] = true.into(),
        Flaw::ForgetsTheDrain => file["drain"] = Value::Null,
        Flaw::TakesTheDeadForLiving => found.values_mut().for_each(|found| found.alive = true),
        Flaw::ForgetsAWorker
        | Flaw::ForgetsZygotes
        | Flaw::ForgetsTheStopped
        | Flaw::ForgetsGenerations
        | Flaw::ForgetsTheSwitch => {
            let apps = file["apps"].as_object_mut().into_iter().flatten();
            for (_, app) in apps {
                match flaw {
                    Flaw::ForgetsAWorker => drop(app["workers"].as_array_mut().map(Vec::pop)),
                    Flaw::ForgetsTheSwitch => drop(app.as_object_mut().map(|it| it.remove("switch"))),
                    Flaw::ForgetsZygotes => app["zygotes"] = Value::Array(Vec::new()),
                    Flaw::ForgetsGenerations => app["generations"] = 0.into(),
                    _ => app["mode"] = "running".into(),
                }
            }
        }
        _ => {}
    }
}

/// What is known from outside is put right in the same way: whoever asked is gone, and so are some workers.
pub(crate) fn put_right(
    ledger: &mut Ledger,
    now: Moment,
    legacy: &Legacy,
    found: &BTreeMap<WorkerId, Found>,
) {
    // The next one counts its own requests anew.
    ledger.asked.retain(|id, asked| asked.answers > 0 && !id.is_own());
    // Their processes end with ostlerd.
    ledger.hooks = Hooks::default();
    // Another ostlerd asks anew where a worker stands.
    ledger.hands.values_mut().for_each(|hand| hand.asked.truncate(1));
    if ledger.machine.shutdown {
        ledger.machine.shutdown = false;
        ledger.machine.stopping = false;
        ledger.machine.drained = None;
    }
    let left: Vec<WorkerId> = legacy.workers().map(|(_, worker, _)| worker).collect();
    let mut ids: Vec<WorkerId> = ledger.hands.keys().copied().collect();
    // Who serves is heard of first.
    ids.sort_by_key(|id| !found.get(id).is_some_and(|found| found.alive));
    for id in ids {
        let (alive, stage) = found.get(&id).map_or((false, None), |found| (found.alive, found.stage));
        let Some(hand) = ledger.hands.get_mut(&id) else { continue };
        hand.born = false;
        let unheard = hand.ready.is_none()
            && hand.signals.is_empty()
            && ((hand.hold && !hand.admitted) || matches!(stage, Some(Stage::Empty | Stage::Loaded)));
        if !alive && (unheard || !left.contains(&id)) {
            ledger.hands.remove(&id);
            continue;
        }
        let untold = stage.is_some_and(|stage| stage != Stage::Draining);
        // Who was told to die is told again.
        if let Some((_, last @ Rung::Kill)) = hand.signals.last_mut() {
            *last = Rung::Quit;
        }
        if alive && untold && hand.drains() {
            hand.signals.clear();
            // It serves after all, and is heard of anew.
            hand.ready = None;
        }
        if alive && stage == Some(Stage::Ready) && (!hand.hold || hand.admitted) {
            ledger.hear(now, &Event::WorkerReady { worker: id });
        }
        if !alive {
            let exit = Exit::Unknown;
            ledger.hear(now, &Event::WorkerExited { worker: id, exit });
        }
    }
    let lives = |id: &WorkerId| found.get(id).is_some_and(|found| found.alive);
    let dead: Vec<WorkerId> =
        ledger.zygotes.keys().filter(|id| left.contains(id) && !lives(id)).copied().collect();
    for worker in dead {
        ledger.hear(now, &Event::WorkerExited { worker, exit: Exit::Unknown });
    }
    ledger.zygotes.retain(|id, _| left.contains(id));
    for (id, zygote) in &mut ledger.zygotes {
        zygote.signals.clear();
        zygote.hung = false;
        zygote.ready = found.get(id).is_some_and(|found| found.stage == Some(Stage::Ready));
    }
    for book in ledger.books.values_mut() {
        (book.open, book.command) = (false, false);
    }
    for crew in ledger.crews.values_mut() {
        crew.unproven = false;
        crew.unasked = crew.unasked.map(|_| now);
        crew.allow_a_change(now);
        crew.load.begin_anew();
    }
}
