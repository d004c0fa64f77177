//! Which scope a process is in: as ostlerd says it, and the launcher enters it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::group::ControlGroup;
use crate::supervise::GenerationId;

/// What a scope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeContents {
    /// The workers of a generation.
    Generation(GenerationId),
    /// The app's migration; there is one at a time.
    Migration,
    /// The commands that run after a rollout, one after the other.
    PostDeploy,
    /// One process of no generation, with its number: each of them has a scope of its own.
    Alone(ScopePurpose, u64),
}

/// What a process of no generation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopePurpose {
    /// It watches one of the app's databases.
    Database,
    /// It reads the app's settings.
    Settings,
    /// It writes what a command prints into the app's log file.
    Log,
}

impl ScopePurpose {
    pub(super) fn name(self) -> &'static str {
        match self {
            ScopePurpose::Database => "database",
            ScopePurpose::Settings => "settings",
            ScopePurpose::Log => "log",
        }
    }
}

/// A scope that a process is to be in before its program runs; made where it is not there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeSpec {
    /// The scope's name.
    pub unit: String,
    /// The slice that it is in.
    pub slice: String,
    /// The unit that a power-off stops before it.
    pub before: String,
    /// Its control group.
    pub group: PathBuf,
    /// Whether systemd has to be told that one process out of memory is not the end of all.
    pub oom_policy: bool,
}

impl ScopeSpec {
    /// Its control group as `/proc/PID/cgroup` names it.
    pub(in crate::run) fn cgroup(&self) -> String {
        ControlGroup::new(self.group.clone()).cgroup()
    }
}
