//! One app: its generations and workers, and what facts do to them. What follows from the facts is in `converge`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::AppName;
use crate::plan::{AppPlan, Blueprint, Migrate, Policy, Prepared, Refusal, Resources};

use super::action::{Action, Rung};
use super::another_look::AnotherLook;
use super::budget::{Backoff, Bucket};
use super::doors::Doors;
use super::event::{Exit, GenerationId, LastWords, Observation, WorkerId};
use super::hooks::Hooks;
use super::joins::Joins;
use super::loss::Lost;
use super::migrating::Databases;
use super::migration::RunId;
use super::news::{Cause, Happening, News};
use super::proof::Proof;
use super::random::Random;
use super::request::{Outcome, RequestId};
use super::rollout::Rollout;
use super::scaling::Scaling;
use super::switch::Switch;
use super::time::Moment;
use super::view::LastRollout;
use super::waiting::{Preparing, Waiting};
use super::worker::{Life, Worker};
use super::zygote::Zygote;

/// What one call of `handle` works with: the time, and where decisions go.
pub(super) struct Turn<'a> {
    pub(super) now: Moment,
    pub(super) random: &'a mut Random,
    pub(super) next_worker: &'a mut u64,
    pub(super) next_run: &'a mut u64,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) answers: &'a mut Vec<(RequestId, AppName, Outcome)>,
}

impl Turn<'_> {
    /// A number for a migration's run that no other has.
    pub(super) fn next_run(&mut self) -> RunId {
        *self.next_run += 1;
        RunId(*self.next_run)
    }
}

/// The workers of an app that were started from the same code and settings.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) id: GenerationId,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) policy: Policy,
    pub(super) migrate: Option<Arc<Migrate>>,
    /// Whether something is to be run once it serves: it came with a migration.
    pub(super) owes_post_deploy: bool,
    pub(super) backoff: Backoff,
    /// Whether a worker of it has served: only then is it worth going back to.
    pub(super) served: bool,
    /// Whether it has been at full strength.
    pub(super) complete: bool,
    /// What its workers have shown of themselves; `None` until one has.
    pub(super) proof: Option<Proof>,
}

/// What is wanted of an app.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    Running,
    Stopping {
        waiters: Vec<RequestId>,
        then: Then,
        /// Until when its ready workers go on, to take the connections that wait.
        emptying: Option<Moment>,
    },
    /// Stopped, and forgotten as soon as that has been said.
    Removed,
    Stopped,
}

/// What follows a stop.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    /// It stays stopped until somebody starts it.
    Rest,
    /// It is no longer configured.
    Forget,
    /// It was configured again while it drained: it starts anew, and whoever configured it gets an answer.
    Return(Box<Prepared>, RequestId),
}

#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) name: AppName,
    pub(super) mode: Mode,
    /// The generation that serves; while there are workers there is one.
    pub(super) serving: Option<Generation>,
    pub(super) rollout: Option<Rollout>,
    pub(super) preparing: Option<Preparing>,
    pub(super) switch: Switch,
    pub(super) databases: Databases,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    pub(super) zygotes: BTreeMap<WorkerId, Zygote>,
    pub(super) hooks: Hooks,
    pub(super) bucket: Bucket,
    /// The number of workers that a command asked for.
    pub(super) scale: Option<u32>,
    pub(super) scaling: Scaling,
    pub(super) generations: u64,
    /// Requests that wait until the app serves at full strength.
    pub(super) waiting: Vec<Waiting>,
    pub(super) refusal: Option<Refusal>,
    pub(super) another_look: AnotherLook,
    pub(super) last_rollout: Option<LastRollout>,
    pub(super) last_words: Option<LastWords>,
    /// The bounds that the shell was told last.
    pub(super) limited: Option<Resources>,
    /// Whether the shell was told that only the serving generation's listeners are needed.
    pub(super) settled: bool,
    pub(super) doors: Doors,
    pub(super) joins: Joins,
    /// When a start that had to wait may be made.
    pub(super) wake: Option<Moment>,
}

impl App {
    pub(super) fn new(name: AppName) -> Self {
        App {
            name,
            mode: Mode::Running,
            serving: None,
            rollout: None,
            preparing: None,
            switch: Switch::default(),
            databases: Databases::default(),
            workers: BTreeMap::new(),
            zygotes: BTreeMap::new(),
            hooks: Hooks::default(),
            bucket: Bucket::default(),
            scale: None,
            scaling: Scaling::default(),
            generations: 0,
            waiting: Vec::new(),
            refusal: None,
            another_look: AnotherLook::default(),
            last_rollout: None,
            last_words: None,
            limited: None,
            settled: true,
            doors: Doors::default(),
            joins: Joins::default(),
            wake: None,
        }
    }

    pub(super) fn announce(&self, turn: &mut Turn<'_>, happening: Happening) {
        turn.actions.push(Action::Announce(News { app: self.name.clone(), happening }));
    }

    pub(super) fn answer(&self, turn: &mut Turn<'_>, id: RequestId, outcome: Outcome) {
        turn.answers.push((id, self.name.clone(), outcome));
    }

    pub(super) fn next_generation(&mut self, plan: AppPlan) -> Generation {
        self.follow_load_from_here();
        self.generations += 1;
        Generation {
            id: GenerationId(self.generations),
            blueprint: plan.blueprint,
            policy: plan.policy,
            owes_post_deploy: plan.migrate.is_some(),
            migrate: plan.migrate,
            backoff: Backoff::default(),
            served: false,
            complete: false,
            proof: None,
        }
    }

    /// The policy of a generation; of one that is neither served nor rolled out any more, the serving one's.
    pub(super) fn policy(&self, generation: GenerationId) -> Option<&Policy> {
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        rolling
            .filter(|it| it.id == generation)
            .or(self.serving.as_ref())
            .or(rolling)
            .map(|generation| &generation.policy)
    }

    pub(super) fn generation_mut(&mut self, id: GenerationId) -> Option<&mut Generation> {
        let rolling = self.rollout.as_mut().map(|rollout| &mut rollout.generation);
        rolling.into_iter().chain(self.serving.as_mut()).find(|generation| generation.id == id)
    }

    /// How many workers of a generation with this policy are wanted.
    pub(super) fn wanted(&self, policy: &Policy) -> u32 {
        let by_load = policy.range.map(|range| self.scaling.wanted(range));
        self.scale.or(by_load).unwrap_or(policy.workers)
    }

    pub(super) fn ready_workers(&self) -> usize {
        self.workers.values().filter(|worker| worker.is_ready()).count()
    }

    /// The generation that answers visitors now, where one does.
    pub(super) fn answering(&self) -> Option<GenerationId> {
        let serving = self.serving.as_ref().map(|serving| serving.id);
        let mut ready: Vec<GenerationId> = self
            .workers
            .values()
            .filter(|worker| worker.is_ready())
            .map(|worker| worker.generation)
            .collect();
        // Where several do, it is the one that should, or else the newest: the others are replaced before it.
        ready.sort_by_key(|generation| (Some(*generation) != serving, Reverse(*generation)));
        ready.first().copied()
    }

    /// A zygote has made it.
    pub(super) fn worker_forked(&mut self, turn: &mut Turn<'_>, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.unborn) else { return };
        worker.unborn = false;
        let generation = worker.generation;
        self.announce(turn, Happening::WorkerStarted { worker: id, generation });
        self.hooks_of_started(turn, id, generation);
    }

    pub(super) fn worker_loaded(&mut self, turn: &mut Turn<'_>, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let generation = worker.generation;
        let held = matches!(worker.life, Life::Booting { hold: true, .. });
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        let Some(settle) = rolling.filter(|it| it.id == generation).map(|it| it.policy.rollout.settle) else {
            return;
        };
        if held {
            worker.life = Life::Held { until: turn.now + settle };
            self.announce(turn, Happening::WorkerHeld { worker: id, generation, settle });
        }
    }

    pub(super) fn worker_ready(&mut self, turn: &mut Turn<'_>, id: WorkerId) {
        self.zygote_ready(turn, id);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if !matches!(worker.life, Life::Booting { .. }) {
            return;
        }
        worker.life = Life::Ready;
        let (generation, took) = (worker.generation, turn.now.since(worker.spawned));
        if let Some(generation) = self.generation_mut(generation) {
            generation.backoff.succeeded();
            generation.served = true;
        }
        if let Some(rollout) = &mut self.rollout
            && rollout.generation.id == generation
        {
            rollout.canary_ready = true;
        }
        let of_generation = |worker: &&Worker| worker.generation == generation && worker.is_ready();
        let ready = self.workers.values().filter(of_generation).count() as u32;
        let wanted = self.policy(generation).map_or(0, |policy| self.wanted(policy));
        self.announce(turn, Happening::WorkerReady { worker: id, generation, ready, wanted, took });
    }

    pub(super) fn worker_exited(&mut self, turn: &mut Turn<'_>, id: WorkerId, exit: Exit) {
        self.zygote_gone(turn, id, Ok(exit));
        let Some(worker) = self.workers.remove(&id) else { return };
        let (generation, ready) = (worker.generation, worker.is_ready());
        if let Life::Ending { .. } = worker.life {
            self.announce(turn, Happening::WorkerExited { worker: id, generation, exit });
            self.hooks_of_ended(turn, &worker);
            return;
        }
        let mut words = worker.words.clone();
        let died = Happening::WorkerDied { worker: id, generation, exit, ready, last_words: words.clone() };
        self.announce(turn, died);
        self.hooks_of_ended(turn, &worker);
        if words.message.is_empty() {
            let when = if ready { "died" } else { "did not boot" };
            words.message = format!("worker {id} {when}: {exit}");
        }
        self.lost(turn, Lost::worker(&worker, ready, words));
    }

    pub(super) fn spawn_failed(&mut self, turn: &mut Turn<'_>, id: WorkerId, reason: String) {
        self.zygote_gone(turn, id, Err(reason.clone()));
        let Some(worker) = self.workers.remove(&id) else { return };
        let generation = worker.generation;
        self.announce(turn, Happening::SpawnFailed { worker: id, generation, reason: reason.clone() });
        self.hooks_of_not_started(turn, id);
        let message = format!("worker {id} could not be started: {reason}");
        if worker.is_live() {
            self.lost(turn, Lost::worker(&worker, false, LastWords { message, traceback: String::new() }));
        }
    }

    /// What was seen of workers, all of it at the same moment: each is judged by what is known of all.
    pub(super) fn observed(&mut self, turn: &mut Turn<'_>, seen: Vec<(WorkerId, Observation)>) {
        let mut hung = Vec::new();
        for (id, seen) in seen {
            self.zygote_observed(turn, id, seen);
            let Some(generation) = self.workers.get(&id).map(|worker| worker.generation) else { continue };
            let Some(policy) = self.policy(generation).cloned() else { continue };
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            worker.observe(turn.now, seen, &policy);
            let Some((cause, age)) = worker.hang(&policy) else { continue };
            // One that drains was to go anyway: nothing is lost with it.
            hung.extend(worker.is_live().then(|| (worker.clone(), cause)));
            self.announce(turn, Happening::WorkerHung { worker: id, generation, cause, age });
            self.end(turn, id, cause);
        }
        for (worker, cause) in hung {
            let message = format!("worker {} hung: {cause}", worker.id);
            self.lost(turn, Lost::worker(&worker, true, LastWords { message, traceback: String::new() }));
        }
    }

    /// What time alone does to its databases and its workers: patience that is over, boots that took too long, age.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        self.tell_joins(turn);
        self.look_again(turn);
        self.expire_databases(turn);
        self.expire_zygotes(turn);
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for id in ids {
            let Some(policy) =
                self.workers.get(&id).and_then(|worker| self.policy(worker.generation)).cloned()
            else {
                continue;
            };
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            worker.age(turn.now, &policy);
            match worker.life {
                Life::Booting { until, .. } if turn.now >= until => {
                    self.boot_timed_out(turn, id, policy.rollout.boot_timeout);
                }
                // One that has not been forked yet is nowhere.
                Life::Booting { until, .. }
                    if worker.boot.asks(turn.now, until, policy.rollout.boot_timeout) && !worker.unborn =>
                {
                    turn.actions.push(Action::AskWhere { worker: id });
                }
                Life::Held { until } if turn.now >= until => {
                    worker.life =
                        Life::Booting { hold: false, until: turn.now + policy.rollout.boot_timeout };
                    worker.boot = Default::default();
                    turn.actions.push(Action::AdmitWorker { worker: id });
                }
                Life::Ending { .. } => self.climb(turn, id),
                _ => {}
            }
        }
    }

    fn climb(&mut self, turn: &mut Turn<'_>, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(rung) = worker.climb(turn.now) else { return };
        let generation = worker.generation;
        let Life::Ending { cause, .. } = worker.life else { return };
        turn.actions.push(Action::SignalWorker { worker: id, rung });
        if rung == Rung::Kill {
            self.announce(turn, Happening::WorkerKilled { worker: id, generation, cause });
        }
    }

    /// Begins the end of a worker.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>, id: WorkerId, cause: Cause) {
        let Some(worker) = self.workers.get(&id) else { return };
        let generation = worker.generation;
        let Some(policy) = self.policy(generation).cloned() else { return };
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(rung) = worker.end(turn.now, cause, &policy) else { return };
        if rung == Rung::Drain {
            self.announce(turn, Happening::WorkerDraining { worker: id, generation, cause });
        }
        turn.actions.push(Action::SignalWorker { worker: id, rung });
    }
}
