//! What the shell adds to the view: what it knows of processes, listeners and files, and the core does not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::plan::Readiness;
use crate::supervise::{GenerationId, ProcessId};

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct ShellFacts {
    /// The process of each worker.
    pub pids: BTreeMap<ProcessId, i32>,
    /// Resident memory of those that the core has not been told of yet.
    pub memory: BTreeMap<ProcessId, u64>,
    /// Of each app: listeners, directory, what it runs.
    pub apps: BTreeMap<AppName, AppFacts>,
    /// The files.
    pub config: ConfigStatus,
    /// When each app counts as ready, as configured: for those that could not be prepared.
    pub readiness: BTreeMap<AppName, Readiness>,
    /// Whether processes without a file of their own print to the journal.
    pub journal: bool,
}

/// What the shell knows of one app.
#[derive(Clone, Debug, Default)]
pub struct AppFacts {
    /// Where it listens.
    pub listeners: Vec<String>,
    /// Connections that wait, of each listener that the kernel tells of.
    pub queues: Vec<QueueStatus>,
    /// Its release.
    pub release: ReleaseChange,
}

/// A release, against what the serving generation was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReleaseChange {
    /// No change is known.
    #[default]
    AsItWas,
    /// The link points elsewhere now.
    Moved(PathBuf),
    /// Files in it were written, added or removed.
    Changed,
}

impl ReleaseChange {
    pub(super) fn note(&self, app: &AppName, generation: Option<GenerationId>) -> Option<String> {
        let generation = generation?;
        let remedy = format!("`ostler restart {app}` brings it in");
        match self {
            ReleaseChange::AsItWas => None,
            ReleaseChange::Moved(to) => Some(format!("the release is now {}; {remedy}", to.display())),
            ReleaseChange::Changed => {
                Some(format!("the release has changed since generation {generation} was made; {remedy}"))
            }
        }
    }
}

/// Whether what is on disk is what runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// False where the files, when last read, were refused; the plan before them stays in force.
    pub valid: bool,
    /// The main file.
    pub file: String,
    /// Why it was refused.
    pub problem: Option<String>,
    /// Keys that are in force only after a restart of ostlerd.
    #[serde(default)]
    pub needs_restart: Vec<String>,
    /// Where health should be answered and is not: another process has the address.
    #[serde(default)]
    pub unanswered: Vec<String>,
}

/// The connections that wait at one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Which.
    pub listener: String,
    /// How many wait for a worker.
    pub waiting: u32,
    /// How many the kernel lets wait.
    pub limit: u32,
}
