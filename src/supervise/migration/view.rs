//! A migration as it is shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::pool::StopSignal;
use super::fact::{Backend, RunId};
use super::order::AbortReason;
use super::outcome::Verdict;
use super::seen::DjangoSeen;

/// A migration under way.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrationView {
    /// Its number.
    pub run: RunId,
    /// `default`.
    pub database: String,
    /// What it is doing.
    pub phase: MigrationPhase,
    /// Since its beginning.
    pub since: Duration,
    /// Which try, from 1; 0 before the first.
    pub attempt: u32,
    /// The migration that is being applied.
    pub migration: Option<String>,
    /// Which of how many, from 1.
    pub number: u32,
    /// How many will be applied.
    pub of: u32,
    /// For how long this one has been.
    pub migration_since: Option<Duration>,
    /// How long it took before, elsewhere or earlier.
    pub usually: Option<Duration>,
    /// Operation i of n, and what it does.
    pub operation: Option<(u32, u32, String)>,
    /// What the server says that it does, and how much of it is done in per cent.
    pub doing: Option<(String, Option<f64>)>,
    /// Who blocks it.
    pub blockers: Vec<Backend>,
    /// How many wait behind it, and the longest for how long.
    pub harm: Option<(u32, Duration)>,
    /// Why it is being ended, and how far that is.
    pub aborting: Option<(AbortReason, StopSignal)>,
    /// Something that needs no action but should be known: unwatched, over its time and not to be rolled back.
    pub warning: Option<String>,
}

/// The steps of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationPhase {
    /// The database is connected to and what is pending is found out.
    Opening,
    /// Another server migrates.
    Busy {
        /// Who, in words.
        holder: String,
    },
    /// The command runs.
    Running,
    /// The command is being ended.
    Aborting,
    /// What came of it is being found out.
    Verifying,
    /// It met a lock; the next try is due after this.
    Waiting(Duration),
    /// The commands of `post_deploy` run.
    PostDeploy,
}

/// How the last migration ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMigration {
    /// In which database.
    pub database: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What the app's Django has shown of itself.
    #[serde(default)]
    pub seen: DjangoSeen,
}
