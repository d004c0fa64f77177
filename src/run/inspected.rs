//! What the interpreters of the running apps have said, so that a reload asks only those that it has to.
//!
//! What belongs to a release (the code, `gunicorn.conf.py`, where the `current` link points) is brought in by
//! `ostler restart` or SIGHUP. A reload that finds an app configured as it is takes the release as it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inspect::Inspection;
use super::inspection_error::InspectionError;
use super::{image, release_files};
use crate::config::{AppConfig, AppName, Config, HealthConfig};
use crate::plan::{AppPlan, Blueprint, MachinePolicy, Plan, Refusal, ReleasePaths};
use crate::worker::Settings;

/// More of an app's earlier answers are not kept than this, beside those of what runs.
const KEPT: usize = 4;

/// An app that was inspected: what to run, and how that was found.
#[derive(Debug)]
pub struct InspectedApp {
    /// What to run.
    pub plan: AppPlan,
    /// How it was found.
    pub record: InspectionRecord,
}

/// One inspection of an app: what its interpreter was asked, what it said, what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InspectionRecord {
    /// As it was configured.
    pub app: AppConfig,
    /// Its release, links resolved.
    pub paths: ReleasePaths,
    /// What the interpreter was asked with.
    pub inspection: Inspection,
    /// What it said.
    pub settings: Settings,
    /// What came of it.
    pub blueprint: Arc<Blueprint>,
}

impl InspectionRecord {
    /// The paths of an app as it is configured now, in the release that runs; `None` where that is another folder by
    /// configuration, or is gone.
    pub(super) fn paths(&self, app: &AppConfig) -> Option<ReleasePaths> {
        super::files::at(&self.paths.directory);
        if app.directory != self.app.directory || !self.paths.directory.is_dir() {
            return None;
        }
        let image = self.paths.image.clone();
        if let Some(of) = &image {
            let python = image::python(&self.paths.directory, of, app.python.as_ref()).ok()?;
            let pin = |path| release_files::pin(&app.directory, &self.paths.directory, path);
            return Some(ReleasePaths {
                directory: self.paths.directory.clone(),
                python,
                env_files: app.env_files.iter().map(|path| pin(path)).collect(),
                log_file: app.log_file.clone(),
                image,
            });
        }
        let kept = |path: &PathBuf| {
            let files = self.app.env_files.iter().zip(&self.paths.env_files);
            let mut pairs = files
                .chain(self.app.python.iter().map(|written| (written, &self.paths.python)))
                .chain(self.app.log_file.iter().zip(&self.paths.log_file));
            let known = pairs.find(|(written, _)| *written == path).map(|(_, resolved)| resolved.clone());
            known.unwrap_or_else(|| release_files::pin(&app.directory, &self.paths.directory, path))
        };
        Some(ReleasePaths {
            directory: self.paths.directory.clone(),
            python: kept(app.python.as_ref()?),
            env_files: app.env_files.iter().map(kept).collect(),
            log_file: app.log_file.as_ref().map(kept),
            image,
        })
    }
}

/// What is kept of the inspections of every app.
#[derive(Debug, Default)]
pub struct InspectionRecords {
    apps: BTreeMap<AppName, Vec<Arc<InspectionRecord>>>,
}

impl InspectionRecords {
    /// Keeps what an inspection found, and of the earlier ones those whose blueprint `runs`.
    pub fn learn(&mut self, record: InspectionRecord, runs: impl Fn(&Blueprint) -> bool) {
        let all = self.apps.entry(record.app.name.clone()).or_default();
        all.retain(|it| it.blueprint != record.blueprint);
        all.push(Arc::new(record));
        let mut old = all.len().saturating_sub(KEPT);
        all.retain(|it| {
            let drop = old > 0 && !runs(&it.blueprint);
            old -= usize::from(drop);
            !drop
        });
    }

    /// What is known of the blueprints of `plan`, by app.
    pub fn of(&self, plan: &Plan) -> BTreeMap<AppName, InspectionRecord> {
        let running = plan.apps.iter().filter_map(|(name, app)| Some((name, &app.as_ref().ok()?.blueprint)));
        let records =
            running.filter_map(|(name, blueprint)| Some((name.clone(), self.get(name, blueprint)?)));
        records.map(|(name, record)| (name, record.clone())).collect()
    }

    /// All of it, for the next ostlerd.
    pub(super) fn all(&self) -> Vec<Arc<InspectionRecord>> {
        self.apps.values().flatten().cloned().collect()
    }

    /// What an earlier ostlerd knew.
    pub(super) fn restore(all: Vec<Arc<InspectionRecord>>) -> InspectionRecords {
        let mut apps: BTreeMap<AppName, Vec<Arc<InspectionRecord>>> = BTreeMap::new();
        for record in all {
            apps.entry(record.app.name.clone()).or_default().push(record);
        }
        InspectionRecords { apps }
    }

    /// What came of the last inspection of an app of this user.
    pub(super) fn latest(&self, app: &AppConfig) -> Option<&Blueprint> {
        let looks = self.apps.get(&app.name)?;
        looks.iter().rev().find(|it| it.app.user == app.user).map(|it| &*it.blueprint)
    }

    /// What is known of one blueprint.
    pub fn get(&self, app: &AppName, blueprint: &Blueprint) -> Option<&InspectionRecord> {
        self.apps.get(app)?.iter().find(|it| *it.blueprint == *blueprint).map(Arc::as_ref)
    }
}

/// A whole configuration, inspected without a refusal.
#[derive(Debug)]
pub struct InspectedConfig {
    /// What holds for the machine.
    pub machine: MachinePolicy,
    /// What health should be.
    pub health: HealthConfig,
    /// Every app but those of `held`.
    pub apps: BTreeMap<AppName, InspectedApp>,
    /// Apps whose files hang: what of them runs goes on as it is.
    pub held: BTreeMap<AppName, Refusal>,
    /// The files, as they were read.
    pub config: Arc<Config>,
}

/// Several apps, each inspected or not.
pub(super) type InspectedApps = BTreeMap<AppName, Result<InspectedApp, InspectionError>>;
