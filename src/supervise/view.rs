//! What does run: an immutable picture, from which health, metrics, the command and pages are made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::plan::{Blueprint, Readiness};

use super::ids::{GenerationId, ProcessId};
use super::migration::{LastMigration, MigrationView};
use super::pool::Role;
use super::process_fact::LastWords;
use super::proof::Proof;

/// The whole machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Whether readiness fails on purpose: the machine drains, or the daemon is on its way out.
    pub draining: bool,
    /// How far the drain is; there is one exactly where `draining` is set.
    pub drain: Option<DrainView>,
    /// Whether files that somebody wants in force are not yet.
    pub reloading: bool,
    /// Every app, by name.
    pub apps: Vec<AppView>,
}

/// A drain of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainView {
    /// How long readiness has failed.
    pub since: Duration,
    /// How long until the edge has noticed; zero once it has.
    pub edge_wait: Duration,
    /// How long until it ends by itself; `None` where somebody has to end it.
    pub ends_in: Option<Duration>,
    /// Whether the daemon is on its way out.
    pub stopping: bool,
}

/// One app.
#[derive(Clone, Debug, PartialEq)]
pub struct AppView {
    /// Its name.
    pub name: AppName,
    /// How it is, in one word.
    pub state: AppState,
    /// The generation that serves, or tries to.
    pub generation: Option<GenerationId>,
    /// What that generation was started from.
    pub blueprint: Option<Arc<Blueprint>>,
    /// What that generation has shown of itself; `None` until a worker of it has.
    pub proof: Option<Proof>,
    /// How many workers should serve.
    pub wanted: u32,
    /// Where the load decides how many: within which numbers, and why so many.
    pub scaling: Option<ScalingView>,
    /// When it counts as ready; `None` while nothing of it could be prepared.
    pub readiness: Option<Readiness>,
    /// Which migrations run before a rollout, or why none, in words; `None` while nothing of it could be prepared.
    pub migrations: Option<String>,
    /// What its owner should know of those that do not run, one sentence each.
    pub unmigrated: Vec<String>,
    /// The migration that is under way.
    pub migration: Option<MigrationView>,
    /// How the last migration ended; `None` before the first has.
    pub last_migration: Option<LastMigration>,
    /// The change that is under way.
    pub rollout: Option<RolloutView>,
    /// How the last rollout or start ended; `None` before the first has, and after a stop.
    pub last_rollout: Option<LastRollout>,
    /// The folder of the release that ran before the one that serves: a rollback goes there.
    pub before: Option<PathBuf>,
    /// What is wrong now, in one sentence.
    pub problem: Option<String>,
    /// The newest words of a worker that could not serve, while that is still the app's problem.
    pub last_words: Option<LastWords>,
    /// When the next start is due, where starts wait for a backoff.
    pub backoff: Option<Duration>,
    /// The commands that run beside the workers of the generation that serves.
    pub background: Vec<BackgroundView>,
    /// Every process that has not been reaped, oldest first.
    pub processes: Vec<ProcessView>,
}

/// How the number of an app's workers follows its load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingView {
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// Whether somebody has given a number by hand, which counts until the configuration changes or `ostler scale APP auto`.
    pub by_hand: bool,
    /// The last change that the load made, in words.
    pub last: Option<String>,
    /// Why there are not more workers although the load asks for them, where memory is the reason.
    pub held_back: Option<String>,
}

/// How an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppState {
    /// Its first workers boot.
    Starting,
    /// As many workers serve as are wanted.
    Serving,
    /// A new generation is being brought in; the old one serves.
    RollingOut,
    /// A new generation failed; the old one is filled up again.
    RollingBack,
    /// Some, but fewer workers serve than are wanted, and no rollout is on.
    Degraded,
    /// No worker serves: it crashes, does not boot, or could not be prepared.
    Failed,
    /// Its workers drain, on request.
    Stopping,
    /// It was stopped on request.
    Stopped,
}

/// A rollout under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutView {
    /// The new generation; `None` while it is prepared.
    pub generation: Option<GenerationId>,
    /// What it is doing.
    pub phase: PhaseView,
    /// Workers of the new generation that are ready.
    pub ready: u32,
    /// Workers of the new generation that are wanted.
    pub wanted: u32,
    /// Failures so far.
    pub failures: u32,
}

/// The steps of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseView {
    /// The release is resolved and its settings are read.
    Preparing,
    /// The databases are brought up to date.
    Migrating,
    /// New workers boot and take the places of old ones.
    Replacing,
    /// All are ready and are watched.
    Settling,
    /// The old generation is filled up again.
    RollingBack,
}

/// How the last rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRollout {
    /// The generation it was about, where it got so far.
    pub generation: Option<GenerationId>,
    /// Whether that generation serves.
    pub committed: bool,
    /// Why not, in one sentence.
    pub reason: Option<String>,
}

/// A command that runs beside the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackgroundView {
    /// Its name.
    pub name: String,
    /// The generation that it belongs to.
    pub generation: GenerationId,
    /// How often it was started again in this generation, because it had ended by itself or could not be started.
    pub restarts: u32,
    /// How long until it is started, if no process of it is there.
    pub next_start: Option<Duration>,
}

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessView {
    /// Its name.
    pub id: ProcessId,
    /// What it is for.
    pub role: Role,
    /// Its generation.
    pub generation: GenerationId,
    /// How it is.
    pub state: WorkerState,
    /// Since its start.
    pub age: Duration,
    /// Requests finished.
    pub requests: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// Age of the oldest of them.
    pub oldest_request: Option<Duration>,
    /// Resident memory in bytes, as last read.
    pub rss: Option<u64>,
    /// Where it drains and nothing is under way: for how long it may stay for connections that a client keeps open.
    pub keeps_idle: Option<Duration>,
}

impl AppView {
    /// The processes that serve clients, or are to.
    pub fn workers(&self) -> impl Iterator<Item = &ProcessView> {
        self.processes.iter().filter(|process| process.role == Role::Web)
    }
}

/// How a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It loads the app.
    Booting,
    /// It has loaded the app and waits to be admitted.
    Held,
    /// It takes requests.
    Ready,
    /// It takes no new work and finishes what it has.
    Draining,
    /// It hangs, or outstayed its time, and is being ended.
    Ending,
}
