//! What is known of one app and of one process, from outside the core.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::load::LoadBook;
use ostler::config::AppName;
use ostler::plan::{Blueprint, Policy, RolloutPolicy};
use ostler::supervise::{AppState, AppView, GenerationId, Moment, Observation, Role, Start, StopSignal};

/// A process that was asked for and is not known to be gone.
#[derive(Clone, Debug)]
pub(crate) struct ProcessEntry {
    pub(crate) role: Role,
    pub(crate) app: AppName,
    pub(crate) generation: GenerationId,
    pub(crate) spawned: Moment,
    pub(crate) hold: bool,
    pub(crate) loaded: Option<Moment>,
    pub(crate) admitted: bool,
    pub(crate) ready: Option<Moment>,
    pub(crate) failed: Option<Moment>,
    /// Whether there is a process of it, started under this ostlerd.
    pub(crate) born: bool,
    /// When it was asked where it stands.
    pub(crate) asked: Vec<Moment>,
    pub(crate) hung: bool,
    /// Whether it has heard that its app stops.
    pub(crate) hurried: bool,
    pub(crate) seen: Observation,
    pub(crate) signals: Vec<(Moment, StopSignal)>,
}

impl ProcessEntry {
    /// One that is started now.
    pub(crate) fn started(now: Moment, start: &Start) -> ProcessEntry {
        ProcessEntry {
            role: start.role.clone(),
            app: start.blueprint.app.clone(),
            generation: start.generation,
            spawned: now,
            hold: start.hold,
            loaded: None,
            admitted: false,
            ready: (!start.role.proves()).then_some(now),
            failed: None,
            born: start.from.is_none(),
            asked: Vec::new(),
            hung: false,
            hurried: false,
            seen: Observation::default(),
            signals: Vec::new(),
        }
    }

    /// Whether it serves clients, or is to.
    pub(crate) fn serves(&self) -> bool {
        self.role == Role::Web
    }

    /// Whether workers are forked from it.
    pub(crate) fn forks(&self) -> bool {
        matches!(self.role, Role::Zygote(_))
    }

    /// Whether its loss counts: one that serves nobody may go once it is up.
    pub(crate) fn counts(&self) -> bool {
        self.serves() || self.ready.is_none()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.signals.is_empty() && self.failed.is_none()
    }

    /// Whether it was told to drain, and nothing harder.
    pub(crate) fn drains(&self) -> bool {
        !self.signals.is_empty() && self.signals.iter().all(|(_, rung)| *rung == StopSignal::Terminate)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_live() && self.ready.is_some() && !self.hung
    }
}

/// An app, as far as it can be known from outside.
#[derive(Clone, Debug)]
pub(crate) struct AppEntry {
    pub(crate) policy: Policy,
    pub(crate) planned: bool,
    /// Whether there was ever something to start.
    pub(crate) startable: bool,
    pub(crate) stopped: bool,
    /// Whether its databases are to be migrated before anything of it runs, and for which releases they were.
    pub(crate) migrates: bool,
    pub(crate) migrated: Vec<Arc<Blueprint>>,
    /// Since when it serves and its databases have not been asked.
    pub(crate) unasked: Option<Moment>,
    /// Whether its first rollout ended with its migration: nothing is tried again by itself.
    pub(crate) not_started: bool,
    /// Whether a stop was ever asked for: a start may fail, and then it stays stopped.
    pub(crate) was_stopped: bool,
    pub(crate) generations: BTreeMap<GenerationId, Arc<Blueprint>>,
    pub(crate) newest: Option<GenerationId>,
    /// The last crash of a worker of each generation.
    pub(crate) crashes: BTreeMap<GenerationId, Moment>,
    /// Of each generation, how many boots failed since one of its workers was ready.
    pub(crate) failed_boots: BTreeMap<GenerationId, u32>,
    /// Starts, with what each was allowed for: recent ones only.
    pub(crate) changed: Moment,
    pub(crate) spawns: VecDeque<(Moment, GenerationId)>,
    pub(crate) allowances: VecDeque<(Moment, u32)>,
    pub(crate) admitted_since_start: BTreeSet<GenerationId>,
    /// Generations whose workers have answered the probe; whether one has well.
    pub(crate) answers_well: BTreeMap<GenerationId, bool>,
    /// Generations of rollouts that failed with nothing to go back to.
    pub(crate) given_up: BTreeSet<GenerationId>,
    /// What the last view said of it.
    pub(crate) view: Option<AppView>,
    /// The highest number of workers wanted since the rollout began.
    pub(crate) peak: u32,
    /// The most workers that it has been configured to have.
    pub(crate) most_configured: u32,
    pub(crate) load: LoadBook,
    /// How many workers of the old generations served when the rollout began.
    pub(crate) old_count: Option<u32>,
}

impl AppEntry {
    pub(crate) fn unknown() -> Self {
        let policy = Policy {
            no_migrations: None,
            workers: 0,
            range: None,
            hang_timeout: None,
            request_timeout: None,
            drain_timeout: Duration::ZERO,
            keepalive: Duration::ZERO,
            quiet_drain: None,
            max_requests: 0,
            max_requests_jitter: 0,
            max_age: None,
            max_rss: None,
            restarts_per_minute: 60,
            rollout: RolloutPolicy {
                boot_timeout: Duration::ZERO,
                settle: Duration::ZERO,
                ..RolloutPolicy::default()
            },
            readiness: ostler::plan::Readiness::default(),
            resources: ostler::plan::Resources::default(),
        };
        AppEntry {
            policy,
            planned: false,
            startable: false,
            stopped: false,
            was_stopped: false,
            migrates: false,
            migrated: Vec::new(),
            unasked: None,
            not_started: false,
            generations: BTreeMap::new(),
            newest: None,
            crashes: BTreeMap::new(),
            failed_boots: BTreeMap::new(),
            changed: Moment::ZERO,
            spawns: VecDeque::new(),
            allowances: VecDeque::new(),
            admitted_since_start: BTreeSet::new(),
            answers_well: BTreeMap::new(),
            given_up: BTreeSet::new(),
            view: None,
            peak: 0,
            most_configured: 0,
            load: LoadBook::default(),
            old_count: None,
        }
    }

    /// Whether it was shown as running when it was last seen.
    pub(crate) fn runs(&self) -> bool {
        let state = self.view.as_ref().map(|view| view.state);
        !matches!(state, None | Some(AppState::Stopping | AppState::Stopped))
    }

    /// Whether neither a generation is shown of it nor one that is to come.
    pub(crate) fn has_nothing(&self) -> bool {
        let nothing =
            |it: &AppView| it.generation.is_none() && it.rollout.is_none() && it.migration.is_none();
        self.view.as_ref().is_some_and(nothing)
    }

    /// Whether a generation of it serves, or tries to.
    pub(crate) fn serves(&self) -> bool {
        self.view.as_ref().is_none_or(|view| view.generation.is_some())
    }

    /// Whether workers should run at all.
    pub(crate) fn should_run(&self) -> bool {
        self.planned && !self.stopped
    }

    /// It is configured so from now on.
    pub(crate) fn goes_by(&mut self, policy: &Policy) {
        let workers = policy.range.map_or(policy.workers, |range| range.min);
        self.most_configured = self.most_configured.max(workers);
        self.policy = policy.clone();
    }

    pub(crate) fn wanted(&self) -> u32 {
        self.view.as_ref().map_or(self.policy.workers, |view| view.wanted)
    }

    pub(crate) fn rollout_on(&self) -> bool {
        let rollout = self.view.as_ref().and_then(|view| view.rollout.as_ref());
        rollout.is_some_and(|rollout| rollout.generation.is_some())
    }

    pub(crate) fn boot_failed(&mut self, generation: GenerationId) {
        *self.failed_boots.entry(generation).or_default() += 1;
    }

    /// An app that was removed and is gone is a new one when it comes back.
    pub(crate) fn forget(&mut self) {
        self.generations.clear();
        self.newest = None;
    }

    /// Every change may start so many workers.
    pub(crate) fn allow_a_change(&mut self, now: Moment) {
        let range = self.policy.range.map_or(0, |range| range.max);
        let most = self.wanted().max(self.policy.workers).max(range).max(7);
        let surge = self.policy.rollout.max_surge.of(most);
        self.changed = now;
        self.allowances.push_back((now, 2 * (most + surge) + self.policy.rollout.max_boot_failures));
    }
}

/// Workers of an app, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) live: u32,
    pub(crate) ready: u32,
}
