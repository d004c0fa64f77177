//! What the interpreters of the running apps have said, so that a reload asks only those that it has to.
//!
//! What belongs to a release (the code, `gunicorn.conf.py`, where the `current` link points) is brought in by
//! `ostler restart` or SIGHUP. A reload that finds an app configured as it is takes the release as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inspect::Inspection;
use super::unlooked::Unlooked;
use super::world;
use crate::config::{App, AppName, Config, HealthConfig};
use crate::observe::Release;
use crate::plan::{AppPlan, Blueprint, Fingerprint, MachinePolicy, Paths, Plan, Refusal};
use crate::worker::Settings;

/// More of an app's earlier answers are not kept than this, beside those of what runs.
const KEPT: usize = 4;

/// An app that has been looked at: what to run, and how that was found.
#[derive(Debug)]
pub struct Looked {
    /// What to run.
    pub plan: AppPlan,
    /// How it was found.
    pub known: Known,
}

/// One look at an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// As it was configured.
    pub app: App,
    /// Its release, links resolved.
    pub paths: Paths,
    /// What the interpreter was asked with.
    pub inspection: Inspection,
    /// What it said.
    pub settings: Settings,
    /// What came of it.
    pub blueprint: Arc<Blueprint>,
}

impl Known {
    /// The paths of an app as it is configured now, in the release that runs; `None` where that is another folder by
    /// configuration, or is gone.
    pub(super) fn paths(&self, app: &App) -> Option<Paths> {
        super::files::at(&self.paths.directory);
        if app.directory != self.app.directory || !self.paths.directory.is_dir() {
            return None;
        }
        let kept = |path: &PathBuf| {
            let files = self.app.env_files.iter().zip(&self.paths.env_files);
            let mut pairs = files
                .chain([(&self.app.python, &self.paths.python)])
                .chain(self.app.log_file.iter().zip(&self.paths.log_file));
            let known = pairs.find(|(written, _)| *written == path).map(|(_, resolved)| resolved.clone());
            known.unwrap_or_else(|| world::pin(&app.directory, &self.paths.directory, path))
        };
        Some(Paths {
            directory: self.paths.directory.clone(),
            python: kept(&app.python),
            env_files: app.env_files.iter().map(kept).collect(),
            log_file: app.log_file.as_ref().map(kept),
        })
    }
}

/// What is known of every app.
#[derive(Debug, Default)]
pub struct KnownApps {
    apps: BTreeMap<AppName, Vec<Arc<Known>>>,
}

impl KnownApps {
    /// Keeps what a look found, and of the earlier ones those whose blueprint `runs`.
    pub fn learn(&mut self, known: Known, runs: impl Fn(&Blueprint) -> bool) {
        let all = self.apps.entry(known.app.name.clone()).or_default();
        all.retain(|it| it.blueprint != known.blueprint);
        all.push(Arc::new(known));
        let mut old = all.len().saturating_sub(KEPT);
        all.retain(|it| {
            let drop = old > 0 && !runs(&it.blueprint);
            old -= usize::from(drop);
            !drop
        });
    }

    /// What is known of the blueprints of `plan`, by app.
    pub fn of(&self, plan: &Plan) -> BTreeMap<AppName, Known> {
        let running = plan.apps.iter().filter_map(|(name, app)| Some((name, &app.as_ref().ok()?.blueprint)));
        let known = running.filter_map(|(name, blueprint)| Some((name.clone(), self.get(name, blueprint)?)));
        known.map(|(name, known)| (name, known.clone())).collect()
    }

    /// All of it, for the next ostlerd.
    pub(super) fn all(&self) -> Vec<Arc<Known>> {
        self.apps.values().flatten().cloned().collect()
    }

    /// What an earlier ostlerd knew.
    pub(super) fn again(all: Vec<Arc<Known>>) -> KnownApps {
        let mut apps: BTreeMap<AppName, Vec<Arc<Known>>> = BTreeMap::new();
        for known in all {
            apps.entry(known.app.name.clone()).or_default().push(known);
        }
        KnownApps { apps }
    }

    /// What came of the last look at an app of this user.
    pub(super) fn latest(&self, app: &App) -> Option<&Blueprint> {
        let looks = self.apps.get(&app.name)?;
        looks.iter().rev().find(|it| it.app.user == app.user).map(|it| &*it.blueprint)
    }

    /// What is known of one blueprint.
    pub fn get(&self, app: &AppName, blueprint: &Blueprint) -> Option<&Known> {
        self.apps.get(app)?.iter().find(|it| *it.blueprint == *blueprint).map(Arc::as_ref)
    }
}

/// Looks whether the release of a generation is still what it was made from. Reads many directories: not for the loop.
pub fn release_change(written: &Path, directory: &Path, release: Fingerprint) -> Release {
    super::files::at(written);
    match std::fs::canonicalize(written) {
        Ok(now) if now != directory => Release::Moved(now),
        Ok(_) if world::fingerprint(directory) != release => Release::Changed,
        _ => Release::AsItWas,
    }
}

/// A whole configuration, looked at without a refusal.
#[derive(Debug)]
pub struct Found {
    /// What holds for the machine.
    pub machine: MachinePolicy,
    /// What health should be.
    pub health: HealthConfig,
    /// Every app but those of `held`.
    pub apps: BTreeMap<AppName, Looked>,
    /// Apps whose files hang: what of them runs goes on as it is.
    pub held: BTreeMap<AppName, Refusal>,
    /// The files, as they were read.
    pub config: Arc<Config>,
}

/// Looks found for several apps.
pub(super) type AllLooked = BTreeMap<AppName, Result<Looked, Unlooked>>;
