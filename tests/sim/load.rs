//! What clients ask of the simulated apps whose workers follow the load, and the memory of the simulated machine.
//!
//! It has a generator of its own: what a seed stands for otherwise stays as it was.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{AppLoad, Event, LoadLook, MachineMemory, Moment, ProcessId, WorkerLoad};

use crate::entry::AppEntry;
use crate::entry::Count;
use crate::ledger::Ledger;
use crate::process::{Process, Stage};
use crate::rng::Rng;
use crate::world::World;

/// So many workers one app keeps busy at most.
const MOST: u64 = 10;

pub(crate) struct Loads {
    pub(crate) rng: Rng,
    app_of: BTreeMap<ProcessId, AppName>,
    /// How many workers would have something to do, and until when.
    demand: BTreeMap<AppName, (u32, Moment)>,
    memory: Option<MachineMemory>,
    memory_until: Moment,
}

impl Loads {
    pub(crate) fn new(rng: Rng) -> Self {
        let (app_of, demand) = Default::default();
        Loads { rng, app_of, demand, memory: Some(AMPLE), memory_until: Moment::ZERO }
    }

    pub(crate) fn spawned(&mut self, worker: ProcessId, app: &AppName) {
        self.app_of.insert(worker, app.clone());
    }

    /// A look as it is asked for, and whether memory is tight. In the calm nothing changes any more.
    pub(crate) fn look(
        &mut self,
        (now, calm): (Moment, bool),
        look: LoadLook,
        processes: &BTreeMap<ProcessId, Process>,
    ) -> (bool, Event) {
        if calm {
            self.memory = Some(AMPLE);
        } else if self.memory_until <= now {
            self.memory = [Some(AMPLE), Some(AMPLE), Some(TIGHT), None][self.rng.below(4) as usize];
            self.memory_until = now + self.rng.millis(2000, 20_000);
        }
        let apps = look.apps.into_iter().map(|app| self.load(now, calm, app, processes)).collect();
        let event = Event::LoadObserved { apps, memory: self.memory.filter(|_| look.memory) };
        (self.memory == Some(TIGHT), event)
    }

    fn load(
        &mut self,
        now: Moment,
        calm: bool,
        app: AppName,
        processes: &BTreeMap<ProcessId, Process>,
    ) -> AppLoad {
        let lasts = if calm { Duration::from_secs(100_000) } else { self.rng.millis(500, 20_000) };
        let drawn = if self.rng.chance(0.3) { 0 } else { self.rng.below(MOST + 1) as u32 };
        let (demand, until) = self.demand.entry(app.clone()).or_insert((drawn, now + lasts));
        if *until <= now {
            (*demand, *until) = (drawn, now + lasts);
        }
        let mut left = *demand;
        let its = processes.values().filter(|it| it.stage == Stage::Serving && !it.draining);
        let its = its.filter(|it| self.app_of.get(&it.worker) == Some(&app));
        let workers = its.map(|it| {
            let in_flight = left.min(1);
            left -= in_flight;
            (it.worker, WorkerLoad { in_flight, cpu: None })
        });
        let workers = workers.collect();
        AppLoad { app, workers, waiting: Some(left), memory: None }
    }
}

const AMPLE: MachineMemory = MachineMemory { total: 64 << 30, available: 48 << 30 };
const TIGHT: MachineMemory = MachineMemory { total: 64 << 30, available: 1 << 30 };

/// What is known from outside of the load of one app.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadBook {
    looked: Option<Moment>,
    /// Since when, at every look, nobody has had time although as many served as were wanted.
    pub(crate) pressed: Option<Moment>,
    /// When that had last been so for long.
    pub(crate) long_pressed: Option<Moment>,
    /// Since when, besides, nothing was on the way and the queue did not shrink.
    pub(crate) stuck: Option<Moment>,
    waiting: u32,
    /// When the load last asked for more.
    pub(crate) grown: Option<Moment>,
}

/// So long is long.
const LONG: Duration = Duration::from_secs(8);
const GAP: Duration = Duration::from_secs(2);

impl LoadBook {
    /// Another ostlerd looks from now on.
    pub(crate) fn begin_anew(&mut self) {
        *self = LoadBook { grown: self.grown, ..LoadBook::default() };
    }

    /// Takes a look in: `ready` of `wanted` workers serve; whether nothing but the load decides is `steady`.
    pub(crate) fn look(&mut self, now: Moment, load: &AppLoad, (ready, wanted): (u32, u32), steady: bool) {
        if self.looked.is_some_and(|at| now.since(at) > GAP) {
            (self.pressed, self.stuck) = (None, None);
        }
        self.looked = Some(now);
        let busy: u32 = load.workers.iter().map(|(_, it)| it.in_flight.min(1)).sum();
        let waiting = load.waiting.unwrap_or(0);
        let pressed = ready >= wanted && ready > 0 && (waiting > 0 || busy >= ready);
        self.pressed = pressed.then(|| self.pressed.unwrap_or(now));
        if self.pressed.is_some_and(|since| now.since(since) >= LONG) {
            self.long_pressed = Some(now);
        }
        let stuck = pressed && steady && waiting >= self.waiting;
        self.stuck = stuck.then(|| self.stuck.unwrap_or(now));
        self.waiting = waiting;
    }
}

impl Ledger {
    /// Writes down a look at the load of apps.
    pub(crate) fn load_seen(&mut self, now: Moment, apps: &[AppLoad]) {
        for load in apps {
            let (count, free) = (self.count(&load.app), !self.memory_is_tight);
            // One that drains may go on taking clients for a moment.
            let mut load = load.clone();
            load.workers.retain(|(worker, _)| {
                self.processes.get(worker).is_some_and(|it| it.serves() && it.is_ready())
            });
            if let Some(entry) = self.apps.get_mut(&load.app) {
                entry.load_seen(now, &load, count, free);
            }
        }
    }
}

impl AppEntry {
    /// The load has asked for another number of workers.
    pub(crate) fn scaled_by_load(&mut self, now: Moment, from: u32, to: u32) {
        self.changed = now;
        self.allowances.push_back((now, to.saturating_sub(from)));
        self.load.grown = if to > from { Some(now) } else { self.load.grown };
    }

    /// Writes down a look at its load; `count` workers are there, and memory is `free`.
    fn load_seen(&mut self, now: Moment, load: &AppLoad, count: Count, free: bool) {
        let wanted = self.wanted();
        let moves = self.view.as_ref().is_none_or(|view| view.rollout.is_some() || view.backoff.is_some());
        let well = !moves && self.failed_boots.values().all(|failures| *failures == 0);
        let steady = well && free && count.live == count.ready;
        self.load.look(now, load, (count.ready, wanted), steady);
    }
}

impl World {
    pub(crate) fn look_at_load(&mut self, look: LoadLook) -> (bool, Event) {
        let at = (self.now, self.is_calm());
        self.loads.look(at, look, &self.processes)
    }
}
