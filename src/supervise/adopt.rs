//! Taking over what an earlier ostlerd left running.
//!
//! The apps go on as they were: a rollout that was under way continues, from where it stood. What is found of each
//! worker is put right before the first decision, so that nothing is decided by what has ceased to be so:
//!
//! | it was | and is now | so |
//! | --- | --- | --- |
//! | any | gone | it has ended, and is mourned as if that had been seen |
//! | held back, or not begun | alive | nobody can admit it any more: it is ended, and nobody is to blame |
//! | held back, or not begun | gone | the same |
//! | booting | serving, by its slot | it is ready |
//! | told to drain | serving, by its slot | the word has not reached it: it serves as it did, and what follows is decided anew |
//! | told to drain before it served | not draining, by its slot | told again |
//! | told to die | alive | told again |
//! | a zygote that can be commanded | alive | it forks on |
//! | any other zygote | alive | it is ended; the next is started when it is needed |
//!
//! A rollout that was being watched is watched anew, for all of `settle`.
//!
//! Then the configuration is read: one that differs by now follows as any other does (`reload`, `deploy`).

use std::collections::BTreeMap;

use super::action::{Action, Rung};
use super::app::{App, Mode, Then, Turn};
use super::deploy::Start;
use super::doors::Doors;
use super::event::{Exit, WorkerId};
use super::legacy::{AppLeft, Legacy, ModeLeft, WantedLeft, ZygoteLeft, ZygoteLifeLeft};
use super::news::{Cause, Happening};
use super::random::Random;
use super::reload::Looks;
use super::rollout::Phase;
use super::supervisor::{Out, Supervisor};
use super::time::Moment;
use super::worker::{Life, Worker};
use super::zygote::{Zygote, ZygoteLife};

/// What was found of a worker that an earlier ostlerd started; one of which nothing was found is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether its process lives.
    pub alive: bool,
    /// What its slot of the scoreboard says; `None` where that makes no sense.
    pub stage: Option<Stage>,
}

/// How far a worker has come, by its slot of the scoreboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was written yet.
    Empty,
    /// It loads the app.
    Booting,
    /// It has loaded the app and is held.
    Loaded,
    /// It serves.
    Ready,
    /// It drains.
    Draining,
}

impl Supervisor {
    /// A supervisor that goes on with what an earlier one left. `now` counts from the same origin as under that one.
    pub fn adopt(legacy: Legacy, found: &BTreeMap<WorkerId, Found>, now: Moment, seed: u64) -> Self {
        let owed = if legacy.deploys { legacy.running().cloned().collect() } else { Vec::new() };
        let mut supervisor = Supervisor {
            apps: BTreeMap::new(),
            homes: legacy.workers().map(|(app, worker, _)| (worker, app.clone())).collect(),
            random: Random::seeded(seed),
            next_worker: legacy.next_worker,
            next_run: legacy.next_run,
            now,
            machine: legacy.machine,
            drain: legacy.drain.map(Into::into),
            shutdown: None,
            looks: Looks::default(),
            reloads: BTreeMap::new(),
            start: Start::owes(owed),
            leaving: None,
            own_requests: 0,
            first: Vec::new(),
        };
        let mut out = Out::default();
        for (name, left) in legacy.apps {
            supervisor.with_new_app(name, &mut out, |app, turn| app.take_over(turn, left, found));
        }
        supervisor.homes.retain(|worker, app| {
            let there = |app: &App| app.workers.contains_key(worker) || app.zygotes.contains_key(worker);
            supervisor.apps.get(app).is_some_and(there)
        });
        supervisor.first = out.actions;
        supervisor.looks = Looks::first(supervisor.own_request());
        supervisor
    }
}

impl App {
    fn take_over(&mut self, turn: &mut Turn<'_>, left: AppLeft, found: &BTreeMap<WorkerId, Found>) {
        let waiters = Vec::new();
        self.mode = match left.mode {
            ModeLeft::Running => Mode::Running,
            ModeLeft::Stopped if left.workers.is_empty() => Mode::Stopped,
            ModeLeft::Stopped => Mode::Stopping { waiters, then: Then::Rest, emptying: None },
            ModeLeft::Leaving => Mode::Stopping { waiters, then: Then::Forget, emptying: None },
        };
        self.serving = left.serving.map(Into::into);
        self.rollout = left.rollout.map(Into::into);
        if let Some(rollout) = self.rollout.as_mut().filter(|it| matches!(it.phase, Phase::Settling { .. })) {
            // What nobody has watched does not count.
            rollout.phase = Phase::Replacing;
        }
        self.bucket = left.bucket;
        self.scale = left.scale;
        self.scaling.begin_with(left.load);
        self.generations = left.generations;
        self.refusal = left.refusal;
        self.look_again_later(turn);
        self.last_rollout = left.last_rollout;
        self.last_words = left.last_words;
        // Whether the shell was told before is not known.
        self.settled = false;
        self.doors = Doors::Unknown;
        let gone = Found { alive: false, stage: None };
        let found = |id: WorkerId| found.get(&id).copied().unwrap_or(gone);
        let workers = left.workers.into_iter().map(Worker::from);
        // Who serves first: by that it is judged whether a release is to be given up. And whoever is gone is not
        // there while that is judged of another.
        let (alive, dead): (Vec<Worker>, Vec<Worker>) = workers.partition(|worker| found(worker.id).alive);
        let ids: Vec<WorkerId> = alive.iter().map(|worker| worker.id).collect();
        self.workers = alive.into_iter().map(|worker| (worker.id, worker)).collect();
        for id in ids {
            self.find(turn, id, found(id));
        }
        for worker in dead {
            let id = worker.id;
            self.workers.insert(id, worker);
            self.find(turn, id, found(id));
        }
        for zygote in left.zygotes {
            let found = found(zygote.id);
            self.find_zygote(turn, zygote, found);
        }
        self.databases.last = left.last_migration;
        self.databases.problem = left.migration_problem;
        self.databases.last_plan = left.last_plan;
        self.databases.post_deploy = left.post_deploy;
        let asks = left.unasked.clone().map(|plan| WantedLeft { plan, rolls_out: false });
        self.databases.unasked = left.unasked;
        self.migrate_anew(turn, left.wanted.or(asks));
        self.take_over_link(turn, left.switch);
    }

    /// A migration that was under way is begun anew: its first step is to sweep what the old one left behind, and to find
    /// out what it has done.
    fn migrate_anew(&mut self, turn: &mut Turn<'_>, wanted: Option<WantedLeft>) {
        if let (Some(WantedLeft { plan, rolls_out }), Mode::Running) = (wanted, &self.mode) {
            match rolls_out {
                true => self.roll_out(turn, plan, Vec::new()),
                false => self.migrate_only(turn, plan, Vec::new()),
            }
        }
    }

    fn find(&mut self, turn: &mut Turn<'_>, id: WorkerId, Found { alive, stage }: Found) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        match &worker.life {
            Life::Booting { hold, .. } => {
                let unheard = *hold || matches!(stage, Some(Stage::Empty | Stage::Loaded | Stage::Draining));
                if unheard {
                    self.end_orphan(turn, id, alive);
                } else if stage == Some(Stage::Ready) {
                    self.worker_ready(turn, id);
                }
            }
            Life::Ending { rung: Rung::Drain, was_ready, .. } if alive => match stage {
                Some(Stage::Ready) if *was_ready => worker.life = Life::Ready,
                Some(Stage::Ready) => {
                    worker.life = Life::Booting { hold: false, until: turn.now };
                    self.worker_ready(turn, id);
                }
                Some(Stage::Draining) | None => {}
                Some(_) => self.end_orphan(turn, id, alive),
            },
            Life::Ending { rung: Rung::Kill, .. } if alive => {
                turn.actions.push(Action::SignalWorker { worker: id, rung: Rung::Kill });
            }
            Life::Held { .. } | Life::Ready | Life::Ending { .. } => {}
        }
        if !alive {
            self.worker_exited(turn, id, Exit::Unknown);
        }
    }

    fn find_zygote(&mut self, turn: &mut Turn<'_>, left: ZygoteLeft, Found { alive, stage }: Found) {
        let ZygoteLeft { id, generation, loads, started, life } = left;
        let (seen, words, boot) = Default::default();
        let begun = matches!(stage, Some(Stage::Booting | Stage::Ready));
        let (life, goes_on) = match life {
            ZygoteLifeLeft::Loading { until } => (ZygoteLife::Loading { until }, begun),
            ZygoteLifeLeft::Ready => (ZygoteLife::Ready, stage == Some(Stage::Ready)),
            ZygoteLifeLeft::Ending { .. } => (ZygoteLife::Ready, false),
        };
        let orphaned = ZygoteLife::Ending { cause: Cause::Orphaned, rung: Rung::Drain, next: None };
        let life = if goes_on || alive { life } else { orphaned };
        let zygote = Zygote { id, generation, loads, started, life, seen, words, boot };
        self.zygotes.insert(id, zygote);
        match (alive, goes_on) {
            (false, _) => self.zygote_gone(turn, id, Ok(Exit::Unknown)),
            (true, false) => self.end_zygote(turn, id, Cause::Orphaned),
            (true, true) if stage == Some(Stage::Ready) => self.zygote_ready(turn, id),
            (true, true) => {}
        }
    }

    /// Ends a worker that waits for a word that nobody will say, or that was told to go and may not have heard it.
    fn end_orphan(&mut self, turn: &mut Turn<'_>, id: WorkerId, alive: bool) {
        let Some(generation) = self.workers.get(&id).map(|worker| worker.generation) else { return };
        let patience = self.policy(generation).map(|policy| policy.drain_timeout).unwrap_or_default();
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let (cause, next) = (Cause::Orphaned, Some(turn.now + patience));
        worker.life = Life::Ending { cause, was_ready: false, rung: Rung::Drain, since: turn.now, next };
        if alive {
            self.announce(turn, Happening::WorkerDraining { worker: id, generation, cause });
            turn.actions.push(Action::SignalWorker { worker: id, rung: Rung::Drain });
        }
    }
}
