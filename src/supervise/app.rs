//! One app: its generations and workers, and what facts do to them. What follows from the facts is in `converge`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::plan::{AppPlan, Blueprint, Migrate, Policy, Prepared, Refusal, Resources};

use super::accepting::Accepting;
use super::action::Action;
use super::another_look::AnotherLook;
use super::app_event::{AppEvent, AppEventKind};
use super::event::{GenerationId, LastWords, ProcessId};
use super::hooks::Hooks;
use super::joins::Joins;
use super::migrating::Databases;
use super::migration::RunId;
use super::pool::{Backoff, Bucket, Process, Role};
use super::proof::Proof;
use super::random::Random;
use super::release::{HeldLinks, ReleaseState};
use super::request::{Outcome, RequestId};
use super::rollout::Rollout;
use super::scaling::Scaling;
use super::time::Moment;
use super::view::LastRollout;
use super::waiting::{Preparing, Waiting};

/// What one call of `handle` works with: the time, and where decisions go.
pub(super) struct Context<'a> {
    pub(super) now: Moment,
    pub(super) random: &'a mut Random,
    pub(super) next_process: &'a mut u64,
    pub(super) next_run: &'a mut u64,
    pub(super) links: &'a mut HeldLinks,
    /// Whether the configuration is being read, and with it what the links lead to.
    pub(super) reads_config: bool,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) answers: &'a mut Vec<(RequestId, AppName, Outcome)>,
}

impl Context<'_> {
    /// A name for a process that no other has, whatever they are for.
    pub(super) fn next_process(&mut self) -> ProcessId {
        *self.next_process += 1;
        ProcessId(*self.next_process)
    }

    /// A number for a migration's run that no other has.
    pub(super) fn next_run(&mut self) -> RunId {
        *self.next_run += 1;
        RunId(*self.next_run)
    }
}

/// The workers of an app that were started from the same code and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Running,
    Stopping {
        #[serde(skip)]
        waiters: Vec<RequestId>,
        then: Then,
        /// Until when its ready workers go on, to take the connections that wait.
        #[serde(skip)]
        emptying: Option<Moment>,
    },
    /// Stopped, and forgotten as soon as that has been said.
    Removed,
    Stopped,
}

impl Mode {
    pub(super) fn stopping(then: Then) -> Mode {
        Mode::Stopping { waiters: Vec::new(), then, emptying: None }
    }

    /// The same for the next ostlerd; `was_stopped`: somebody has asked for just that. In a shutdown every app is stopped,
    /// and the next ostlerd runs it again.
    pub(super) fn left(&self, was_stopped: bool) -> Mode {
        match self {
            Mode::Stopping { then: Then::Forget, .. } | Mode::Removed => Mode::stopping(Then::Forget),
            Mode::Stopping { then: Then::Rest, .. } if was_stopped => Mode::stopping(Then::Rest),
            Mode::Stopped if was_stopped => Mode::Stopped,
            // Also one that is configured again: the next ostlerd reads as what, and until then it goes on.
            Mode::Stopping { .. } | Mode::Stopped | Mode::Running => Mode::Running,
        }
    }
}

/// What follows a stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    /// It stays stopped until somebody starts it.
    Rest,
    /// It is no longer configured.
    Forget,
    /// It was configured again while it drained: it starts anew, and whoever configured it gets an answer.
    #[serde(skip)]
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
    pub(super) release: ReleaseState,
    pub(super) databases: Databases,
    pub(super) processes: BTreeMap<ProcessId, Process>,
    pub(super) hooks: Hooks,
    pub(super) bucket: Bucket,
    /// Of the background processes that have ended by themselves.
    pub(super) backoffs: BTreeMap<(GenerationId, Role), Backoff>,
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
    pub(super) accepting: Accepting,
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
            release: ReleaseState::default(),
            databases: Databases::default(),
            processes: BTreeMap::new(),
            hooks: Hooks::default(),
            bucket: Bucket::default(),
            backoffs: BTreeMap::new(),
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
            accepting: Accepting::default(),
            joins: Joins::default(),
            wake: None,
        }
    }

    pub(super) fn announce(&self, context: &mut Context<'_>, kind: AppEventKind) {
        context.actions.push(Action::Announce(AppEvent { app: self.name.clone(), kind }));
    }

    pub(super) fn answer(&self, context: &mut Context<'_>, id: RequestId, outcome: Outcome) {
        context.answers.push((id, self.name.clone(), outcome));
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

    /// One that serves or is brought in.
    pub(super) fn generation(&self, id: GenerationId) -> Option<&Generation> {
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        rolling.into_iter().chain(&self.serving).find(|generation| generation.id == id)
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

    /// Whether it was configured again while it stops.
    pub(super) fn returns(&self) -> bool {
        matches!(self.mode, Mode::Stopping { then: Then::Return(..), .. })
    }

    pub(super) fn ready_workers(&self) -> usize {
        self.workers().filter(|worker| worker.is_ready()).count()
    }

    /// The generation that answers clients now, where one does.
    pub(super) fn answering(&self) -> Option<GenerationId> {
        let serving = self.serving.as_ref().map(|serving| serving.id);
        let mut ready: Vec<GenerationId> =
            self.workers().filter(|worker| worker.is_ready()).map(|worker| worker.generation).collect();
        // Where several do, it is the one that should, or else the newest: the others are replaced before it.
        ready.sort_by_key(|generation| (Some(*generation) != serving, Reverse(*generation)));
        ready.first().copied()
    }

    /// What time alone does to it.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        self.tell_joins(context);
        self.look_again(context);
        self.expire_databases(context);
        self.expire_processes(context);
    }
}
