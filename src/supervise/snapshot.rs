//! What runs, as the next ostlerd has to know it: everything of the core that is not somebody's question.
//!
//! The shell writes it down whenever it changes, before it does what follows from the change. So whatever was done
//! in the world stands here; the other way round, what stands here may not have been done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::plan::{AppPlan, Blueprint, MachinePolicy, Migrate, Policy, Refusal};

use super::app::{App, Generation, Mode, Then};
use super::event::{GenerationId, LastWords, WorkerId};
use super::migration::{LastMigration, Opening};
use super::pool::{Backoff, Bucket, Process, Role};
use super::proof::Proof;
use super::rollout::{Phase, Rollout};
use super::supervisor::Supervisor;
use super::switch::SwitchLeft;
use super::time::Moment;
use super::view::LastRollout;

/// What an ostlerd leaves to the next one. Moments count from the same origin under both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub(super) next_process: u64,
    pub(super) next_run: u64,
    pub(super) machine: MachinePolicy,
    pub(super) drain: Option<DrainLeft>,
    pub(super) apps: BTreeMap<AppName, AppLeft>,
    /// Whether the next ostlerd rolls every app out: this one ended for a restart.
    #[serde(default)]
    pub(super) deploys: bool,
}

/// A drain of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DrainLeft {
    pub(super) since: Moment,
    pub(super) length: Option<Duration>,
    pub(super) noticed: bool,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AppLeft {
    pub(super) mode: ModeLeft,
    pub(super) serving: Option<GenerationLeft>,
    pub(super) rollout: Option<RolloutLeft>,
    pub(super) processes: Vec<Process>,
    pub(super) bucket: Bucket,
    /// Of the processes beside its workers that are waited with.
    #[serde(default)]
    pub(super) backoffs: Vec<((GenerationId, Role), Backoff)>,
    pub(super) scale: Option<u32>,
    /// How many workers the load takes.
    #[serde(default)]
    pub(super) load: Option<u32>,
    pub(super) generations: u64,
    pub(super) refusal: Option<Refusal>,
    pub(super) last_rollout: Option<LastRollout>,
    pub(super) last_words: Option<LastWords>,
    /// What the migration is for that is under way, or waits.
    pub(super) wanted: Option<WantedLeft>,
    pub(super) last_migration: Option<LastMigration>,
    pub(super) migration_problem: Option<String>,
    pub(super) last_plan: Option<AppPlan>,
    pub(super) post_deploy: Option<Opening>,
    #[serde(default)]
    pub(super) unasked: Option<AppPlan>,
    #[serde(default)]
    pub(super) switch: SwitchLeft,
}

/// A plan whose databases are to be brought up to date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WantedLeft {
    pub(super) plan: AppPlan,
    pub(super) rolls_out: bool,
}

/// What was wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModeLeft {
    Running,
    /// Somebody stopped it; its workers may still drain.
    Stopped,
    /// It was taken out of the configuration and drains.
    Leaving,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct GenerationLeft {
    pub(super) id: GenerationId,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) policy: Policy,
    pub(super) migrate: Option<Arc<Migrate>>,
    pub(super) owes_post_deploy: bool,
    pub(super) backoff: Backoff,
    pub(super) served: bool,
    pub(super) complete: bool,
    #[serde(default)]
    pub(super) proof: Option<Proof>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RolloutLeft {
    pub(super) generation: GenerationLeft,
    pub(super) phase: PhaseLeft,
    pub(super) started: Moment,
    pub(super) failures: u32,
    pub(super) ready_before: usize,
    pub(super) canary_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PhaseLeft {
    Replacing,
    Settling { until: Moment },
    RollingBack { words: LastWords },
}

impl Snapshot {
    /// Every process with its app, by its number.
    pub fn processes(&self) -> impl Iterator<Item = (&AppName, WorkerId, GenerationId, &Role)> {
        self.apps.iter().flat_map(|(app, left)| {
            left.processes.iter().map(move |it| (app, it.id, it.generation, &it.role))
        })
    }

    /// The blueprints of an app that may still be started from: the one that serves first.
    pub fn blueprints(&self, app: &AppName) -> Vec<(GenerationId, Arc<Blueprint>)> {
        let Some(left) = self.apps.get(app) else { return Vec::new() };
        let rolling = left.rollout.as_ref().map(|rollout| &rollout.generation);
        left.serving.iter().chain(rolling).map(|it| (it.id, it.blueprint.clone())).collect()
    }

    /// The longest that any worker is given to finish what it has.
    pub fn patience(&self) -> Duration {
        let generations = self.apps.values().flat_map(|left| {
            left.serving.iter().chain(left.rollout.as_ref().map(|rollout| &rollout.generation))
        });
        generations.map(|generation| generation.policy.drain_timeout).max().unwrap_or_default()
    }

    /// The apps that somebody wants to run.
    pub(super) fn running(&self) -> impl Iterator<Item = &AppName> {
        self.apps.iter().filter(|(_, left)| left.mode == ModeLeft::Running).map(|(name, _)| name)
    }
}

impl Supervisor {
    /// What the next ostlerd has to know, should this one end now.
    pub fn snapshot(&self) -> Snapshot {
        let shutdown = self.shutdown.is_some();
        Snapshot {
            next_process: self.next_process,
            next_run: self.next_run,
            machine: self.machine,
            drain: self.drain.as_ref().filter(|_| !shutdown).map(|drain| drain.left()),
            apps: self
                .apps
                .iter()
                .map(|(name, app)| (name.clone(), app.left(self.was_stopped(name))))
                .collect(),
            deploys: self.leaves_for_a_restart(),
        }
    }
}

impl App {
    fn left(&self, was_stopped: bool) -> AppLeft {
        let mode = match &self.mode {
            Mode::Stopping { then: Then::Forget, .. } | Mode::Removed => ModeLeft::Leaving,
            // It is configured again: the next ostlerd reads as what, and until then it goes on.
            Mode::Stopping { then: Then::Return(..), .. } => ModeLeft::Running,
            Mode::Stopping { then: Then::Rest, .. } | Mode::Stopped if was_stopped => ModeLeft::Stopped,
            // In a shutdown every app is stopped; the next ostlerd runs it again.
            Mode::Stopping { .. } | Mode::Stopped | Mode::Running => ModeLeft::Running,
        };
        AppLeft {
            mode,
            serving: self.serving.as_ref().map(GenerationLeft::from),
            rollout: self.rollout.as_ref().map(RolloutLeft::from),
            processes: self.processes.values().cloned().collect(),
            bucket: self.bucket.clone(),
            backoffs: self.backoffs.iter().map(|(of, backoff)| (of.clone(), backoff.clone())).collect(),
            scale: self.scale,
            load: self.scaling.left(),
            generations: self.generations,
            refusal: self.refusal.clone(),
            last_rollout: self.last_rollout.clone(),
            last_words: self.last_words.clone(),
            wanted: self
                .databases
                .newest()
                .map(|wanted| WantedLeft { plan: wanted.plan.clone(), rolls_out: wanted.rolls_out }),
            last_migration: self.databases.last.clone(),
            migration_problem: self.databases.problem.clone(),
            last_plan: self.databases.last_plan.clone(),
            post_deploy: self.databases.owed_post_deploy().cloned(),
            unasked: self.databases.unasked.clone(),
            switch: self.switch.left(),
        }
    }
}

impl From<&Generation> for GenerationLeft {
    fn from(it: &Generation) -> Self {
        GenerationLeft {
            id: it.id,
            blueprint: it.blueprint.clone(),
            policy: it.policy.clone(),
            migrate: it.migrate.clone(),
            owes_post_deploy: it.owes_post_deploy,
            backoff: it.backoff.clone(),
            served: it.served,
            complete: it.complete,
            proof: it.proof.clone(),
        }
    }
}

impl From<GenerationLeft> for Generation {
    fn from(it: GenerationLeft) -> Self {
        Generation {
            id: it.id,
            blueprint: it.blueprint,
            policy: it.policy,
            migrate: it.migrate,
            owes_post_deploy: it.owes_post_deploy,
            backoff: it.backoff,
            served: it.served,
            complete: it.complete,
            proof: it.proof,
        }
    }
}

impl From<&Rollout> for RolloutLeft {
    fn from(it: &Rollout) -> Self {
        RolloutLeft {
            generation: (&it.generation).into(),
            phase: match &it.phase {
                Phase::Replacing => PhaseLeft::Replacing,
                Phase::Settling { until } => PhaseLeft::Settling { until: *until },
                Phase::RollingBack { words } => PhaseLeft::RollingBack { words: words.clone() },
            },
            started: it.started,
            failures: it.failures,
            ready_before: it.ready_before,
            canary_ready: it.canary_ready,
        }
    }
}

impl From<RolloutLeft> for Rollout {
    fn from(it: RolloutLeft) -> Self {
        Rollout {
            generation: it.generation.into(),
            phase: match it.phase {
                PhaseLeft::Replacing => Phase::Replacing,
                PhaseLeft::Settling { until } => Phase::Settling { until },
                PhaseLeft::RollingBack { words } => Phase::RollingBack { words },
            },
            started: it.started,
            failures: it.failures,
            ready_before: it.ready_before,
            // Who waited has gone with the ostlerd that they asked.
            waiters: Vec::new(),
            canary_ready: it.canary_ready,
        }
    }
}
