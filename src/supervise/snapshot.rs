//! What runs, as the next ostlerd has to know it: everything of the core that is not somebody's question.
//!
//! The shell writes it down whenever it changes, before it does what follows from the change. So whatever was done
//! in the world stands here; the other way round, what stands here may not have been done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::plan::{Blueprint, MachinePolicy};

use super::ids::{GenerationId, ProcessId};
use super::pool::Role;
use super::state::{
    Accepting, AnotherLook, App, Drain, Joins, Mode, ReleaseState, Rollout, Scaling, Supervisor, WantedPlan,
};

/// What an ostlerd leaves to the next one. Moments count from the same origin under both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub(super) next_process: u64,
    pub(super) next_run: u64,
    pub(super) machine: MachinePolicy,
    pub(super) drain: Option<Drain>,
    pub(super) apps: BTreeMap<AppName, App>,
    /// Whether the next ostlerd rolls every app out: this one ended for a restart.
    pub(super) deploys: bool,
}

impl Snapshot {
    /// Every process with its app, by its number.
    pub fn processes(&self) -> impl Iterator<Item = (&AppName, ProcessId, GenerationId, &Role)> {
        self.apps.iter().flat_map(|(app, left)| {
            left.processes.values().map(move |it| (app, it.id, it.generation, &it.role))
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
            drain: self.drain.clone().filter(|_| !shutdown).map(Drain::left),
            apps: self
                .apps
                .iter()
                .map(|(name, app)| (name.clone(), app.clone().left(self.was_stopped(name))))
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

    /// The same for the next ostlerd. What is not written is left out here already: where it alone changes, nothing is written.
    fn left(self, was_stopped: bool) -> App {
        let gives_up = self.databases.newest().is_some_and(|it| self.gives_up(it));
        App {
            mode: self.mode.left(was_stopped),
            rollout: self.rollout.map(Rollout::left),
            databases: self.databases.left(gives_up),
            scaling: Scaling { wanted: self.scaling.wanted, ..Scaling::default() },
            preparing: None,
            release: ReleaseState::default(),
            waiting: Vec::new(),
            another_look: AnotherLook::default(),
            limited: None,
            settled: false,
            accepting: Accepting::Unknown,
            joins: Joins::default(),
            wake: None,
            ..self
        }
    }
}
