//! What runs, as the next ostlerd has to know it: everything of the core that is not somebody's question.
//!
//! The shell writes it down whenever it changes, before it does what follows from the change. So whatever was done
//! in the world stands here; the other way round, what stands here may not have been done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::plan::{AppPlan, Blueprint, MachinePolicy, Refusal};

use super::ids::{GenerationId, ProcessId};
use super::migration::{LastMigration, Opening};
use super::pool::{Backoff, Bucket, Process, Role};
use super::process_fact::LastWords;
use super::state::{App, Drain, Generation, Hooks, Mode, Rollout, Supervisor, WantedPlan};
use super::view::LastRollout;

/// What an ostlerd leaves to the next one. Moments count from the same origin under both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub(super) next_process: u64,
    pub(super) next_run: u64,
    pub(super) machine: MachinePolicy,
    pub(super) drain: Option<Drain>,
    pub(super) apps: BTreeMap<AppName, AppLeft>,
    /// Whether the next ostlerd rolls every app out: this one ended for a restart.
    pub(super) deploys: bool,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AppLeft {
    pub(super) mode: Mode,
    pub(super) serving: Option<Generation>,
    pub(super) rollout: Option<Rollout>,
    pub(super) processes: Vec<Process>,
    pub(super) hooks: Hooks,
    pub(super) bucket: Bucket,
    /// Of the processes beside its workers that are waited with.
    pub(super) backoffs: Vec<((GenerationId, Role), Backoff)>,
    pub(super) scale: Option<u32>,
    /// How many workers the load takes.
    pub(super) load: Option<u32>,
    pub(super) generations: u64,
    pub(super) refusal: Option<Refusal>,
    pub(super) last_rollout: Option<LastRollout>,
    pub(super) last_words: Option<LastWords>,
    /// What the migration is for that is under way, or waits.
    pub(super) wanted: Option<WantedPlan>,
    pub(super) last_migration: Option<LastMigration>,
    pub(super) migration_problem: Option<String>,
    pub(super) last_plan: Option<AppPlan>,
    pub(super) post_deploy: Option<Opening>,
    pub(super) unasked: Option<AppPlan>,
}

impl Snapshot {
    /// Every process with its app, by its number.
    pub fn processes(&self) -> impl Iterator<Item = (&AppName, ProcessId, GenerationId, &Role)> {
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
        self.apps.iter().filter(|(_, left)| left.mode == Mode::Running).map(|(name, _)| name)
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
            drain: self.drain.as_ref().filter(|_| !shutdown).map(Drain::left),
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
    /// Whether the app stops, and a release is not to be brought in any more though its migration may not have ended: its
    /// link leads back. New code in the folder that serves is there all the same, and has to find its databases migrated.
    fn gives_up(&self, wanted: &WantedPlan) -> bool {
        let serving = self.serving.as_ref().map(|it| &it.blueprint.directory);
        let in_place = serving == Some(&wanted.plan.blueprint.directory);
        self.mode != Mode::Running && wanted.rolls_out && !in_place
    }

    fn left(&self, was_stopped: bool) -> AppLeft {
        AppLeft {
            mode: self.mode.left(was_stopped),
            serving: self.serving.clone(),
            rollout: self.rollout.as_ref().map(Rollout::left),
            processes: self.processes.values().cloned().collect(),
            hooks: self.hooks.clone(),
            bucket: self.bucket.clone(),
            backoffs: self.backoffs.iter().map(|(of, backoff)| (of.clone(), backoff.clone())).collect(),
            scale: self.scale,
            load: self.scaling.left(),
            generations: self.generations,
            refusal: self.refusal.clone(),
            last_rollout: self.last_rollout.clone(),
            last_words: self.last_words.clone(),
            wanted: self.databases.newest().filter(|it| !self.gives_up(it)).map(WantedPlan::left),
            last_migration: self.databases.last.clone(),
            migration_problem: self.databases.problem.clone(),
            last_plan: self.databases.last_plan.clone(),
            post_deploy: self.databases.owed_post_deploy().cloned(),
            unasked: self.databases.unasked.clone(),
        }
    }
}
