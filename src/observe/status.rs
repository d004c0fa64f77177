//! What `ostler status --json` prints: the one public form of the view. Fields are added, never renamed.

use serde::{Deserialize, Serialize};

use super::MigrationStatus;
use super::background::{self, BackgroundStatus};
use super::drain::DrainStatus;
use super::facts::{ConfigStatus, QueueStatus, ShellFacts};
use super::output::Output;
use super::zygote::{self, ZygoteStatus};
use crate::config::AppName;
use crate::plan::ImageName;
use crate::supervise::{
    AppState, AppView, GenerationId, LastMigration, LastRollout, LastWords, ProcessId, Proof, RolloutView,
    ScalingView, View, WorkerState,
};

/// The machine as `status` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the running ostlerd.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Whether readiness fails on purpose: the machine drains, or ostlerd is on its way out.
    pub draining: bool,
    /// How far the drain is.
    #[serde(default)]
    pub drain: Option<DrainStatus>,
    /// The configuration's files.
    pub config: ConfigStatus,
    /// Every app, by name.
    pub apps: Vec<AppStatus>,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Its name.
    pub name: AppName,
    /// How it is.
    pub state: AppState,
    /// The generation that serves.
    pub generation: Option<GenerationId>,
    /// Where what its processes print goes; not known of one that could never be prepared.
    #[serde(default)]
    pub output: Option<Output>,
    /// The release's directory of that generation.
    pub directory: Option<String>,
    /// Which image that release is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// The same of the release that ran before, where one is known: what `ostler rollback` goes back to.
    #[serde(default)]
    pub before: Option<String>,
    /// Worker class and gunicorn's version, `gthread, gunicorn 27.0.1`.
    pub runs: Option<String>,
    /// What a worker of that generation has shown before it took its first client.
    #[serde(default)]
    pub proof: Option<ProofStatus>,
    /// How many workers should serve.
    pub workers_wanted: u32,
    /// Where the load decides how many: within which numbers, and why so many.
    #[serde(default)]
    pub scaling: Option<ScalingView>,
    /// Where it listens.
    pub listeners: Vec<String>,
    /// Which migrations run before a rollout, or why none, in words.
    #[serde(default)]
    pub migrations: Option<String>,
    /// What is pending and nobody applies, one sentence each.
    #[serde(default)]
    pub unmigrated: Vec<String>,
    /// The migration under way.
    #[serde(default)]
    pub migration: Option<MigrationStatus>,
    /// How the last one ended.
    #[serde(default)]
    pub last_migration: Option<LastMigration>,
    /// The change under way.
    pub rollout: Option<RolloutView>,
    /// How the last one, or the start, ended; none after a stop.
    pub last_rollout: Option<LastRollout>,
    /// Where the release has changed since the serving generation was made: what, and what to do.
    #[serde(default)]
    pub release_changed: Option<String>,
    /// What is wrong now.
    pub problem: Option<String>,
    /// The words of the worker that could not serve.
    pub last_words: Option<LastWords>,
    /// Seconds to the next start, where starts wait.
    pub backoff_seconds: Option<f64>,
    /// What health makes of it.
    pub health: AppHealth,
    /// Every worker.
    pub workers: Vec<WorkerStatus>,
    /// With `preload`, or a `gunicorn.conf.py`: the processes that workers are forked from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zygotes: Vec<ZygoteStatus>,
    /// The commands of `[processes.NAME]`: those of the generation that serves, and what is left of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<BackgroundStatus>,
}

/// What a generation has shown of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProofStatus {
    /// How many URLs of Django's are loaded; `None` if the app is not Django's.
    pub urls: Option<u32>,
    /// Its answer to the probe; `None` if there was none.
    pub probe: Option<ProbeStatus>,
    /// Both in words.
    pub words: String,
}

/// An answer to the probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// The path that was asked for.
    pub path: String,
    /// The status, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub seconds: f64,
    /// Whether it is good; a bad one is a warning.
    pub good: bool,
    /// What is bad about it; else empty.
    pub message: String,
}

impl From<&Proof> for ProofStatus {
    fn from(proof: &Proof) -> Self {
        let Proof { urls, answer } = proof;
        let probe = answer.as_ref().map(|it| ProbeStatus {
            path: it.path.clone(),
            status: it.status,
            seconds: it.took.as_secs_f64(),
            good: it.good,
            message: it.message.clone(),
        });
        ProofStatus { urls: *urls, probe, words: proof.to_string() }
    }
}

/// What health is decided from, beside the workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppHealth {
    /// The machine is ready without it.
    pub optional: bool,
    /// Ready workers that it takes.
    pub min_ready: u32,
    /// Requests that one worker can have at once, where that is bounded (sync: 1, gthread: its threads).
    pub capacity: Option<u32>,
    /// Connections that wait for a worker, of all listeners.
    pub listen_queue: Option<u32>,
    /// How many the kernel lets wait.
    pub listen_backlog: Option<u32>,
    /// The same of each listener that the kernel tells of, in the order of `listeners`.
    #[serde(default)]
    pub queues: Vec<QueueStatus>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its name.
    pub id: ProcessId,
    /// Its process; `None` between the decision to start it and its start.
    pub pid: Option<i32>,
    /// Its generation.
    pub generation: GenerationId,
    /// How it is.
    pub state: WorkerState,
    /// Requests finished.
    pub requests: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// Age of the oldest of them.
    pub oldest_request_seconds: Option<f64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Since its start.
    pub age_seconds: f64,
    /// Where it drains and nothing is under way: for how long it may stay for connections that a client keeps open.
    #[serde(default)]
    pub keeps_idle_seconds: Option<f64>,
}

impl Status {
    /// The picture that `view` and `facts` give together.
    pub fn new(view: &View, facts: &ShellFacts) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            draining: view.draining,
            drain: view.drain.map(DrainStatus::from),
            config: facts.config.clone(),
            apps: view.apps.iter().map(|app| app_status(app, facts)).collect(),
        }
    }
}

fn app_status(app: &AppView, facts: &ShellFacts) -> AppStatus {
    let known = facts.apps.get(&app.name).cloned().unwrap_or_default();
    let blueprint = app.blueprint.as_deref();
    let readiness = app.readiness.or(facts.readiness.get(&app.name).copied()).unwrap_or_default();
    AppStatus {
        name: app.name.clone(),
        state: app.state,
        generation: app.generation,
        directory: blueprint.map(|it| it.directory.display().to_string()),
        image: blueprint.and_then(|it| it.image.as_ref()?.name.clone()),
        before: app.before.as_ref().map(|it| it.display().to_string()),
        runs: blueprint.map(|it| format!("{}, gunicorn {}", it.class, it.gunicorn)),
        output: blueprint.map(|it| Output::of(it, facts.journal)),
        proof: app.proof.as_ref().map(ProofStatus::from),
        workers_wanted: app.wanted,
        scaling: app.scaling.clone(),
        listeners: known.listeners,
        migrations: app.migrations.clone(),
        unmigrated: app.unmigrated.clone(),
        migration: app.migration.as_ref().map(MigrationStatus::from),
        last_migration: app.last_migration.clone(),
        rollout: app.rollout.clone(),
        last_rollout: app.last_rollout.clone(),
        release_changed: match app.rollout {
            // What it brings in is not known yet to be another.
            Some(_) => None,
            None => known.release.note(&app.name, app.generation),
        },
        problem: app.problem.clone(),
        last_words: app.last_words.clone(),
        backoff_seconds: app.backoff.map(|wait| wait.as_secs_f64()),
        health: AppHealth {
            optional: readiness.optional,
            min_ready: readiness.min_ready,
            capacity: blueprint.and_then(|it| it.capacity),
            listen_queue: sum(&known.queues, |queue| queue.waiting),
            listen_backlog: sum(&known.queues, |queue| queue.limit),
            queues: known.queues,
        },
        workers: app
            .workers()
            .map(|worker| WorkerStatus {
                id: worker.id,
                pid: facts.pids.get(&worker.id).copied(),
                generation: worker.generation,
                state: worker.state,
                requests: worker.requests,
                in_flight: worker.in_flight,
                oldest_request_seconds: worker.oldest_request.map(|age| age.as_secs_f64()),
                rss_bytes: worker.rss.or_else(|| facts.memory.get(&worker.id).copied()),
                age_seconds: worker.age.as_secs_f64(),
                keeps_idle_seconds: worker.keeps_idle.map(|limit| limit.as_secs_f64()),
            })
            .collect(),
        zygotes: app.processes.iter().filter_map(|process| zygote::of(process, facts)).collect(),
        processes: background::of(app, facts),
    }
}

/// Of all queues together; `None` where none is known.
fn sum(queues: &[QueueStatus], of: impl Fn(&QueueStatus) -> u32) -> Option<u32> {
    queues.iter().map(of).reduce(u32::saturating_add)
}
