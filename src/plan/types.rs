//! What should run, decided and complete: made once from the configuration, never changed in place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{AppName, Listen};
pub use crate::config::{ProcessLimits, Resources, RolloutPolicy, Surge, Volume, WorkerRange};
pub use crate::worker::{Believes, Hook, Keeps, WorkerClass};

use super::migrate::{Migrate, NoMigrations};

/// Everything that should run on this machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Each configured app; one that could not be prepared says why and disturbs no other.
    pub apps: BTreeMap<AppName, Prepared>,
    /// What is about no single app.
    pub machine: MachinePolicy,
    /// Keys that are configured otherwise than they run, and will be in force after a restart of ostlerd.
    pub needs_restart: Vec<String>,
}

/// The numbers of the machine; a difference is put in force at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachinePolicy {
    /// How long the edge may go on sending after readiness has begun to fail.
    pub edge_delay: Duration,
}

/// An app that is ready to be started, or the reason why it is not.
pub type Prepared = Result<AppPlan, Refusal>;

/// One app: what its workers are started from, and the numbers by which they are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppPlan {
    /// A difference here needs new workers: a rollout.
    pub blueprint: Arc<Blueprint>,
    /// A difference here is put in force at once, with the workers that run.
    pub policy: Policy,
    /// What is run before a rollout; `None` where the app has no migrations, or wants none run.
    pub migrate: Option<Arc<Migrate>>,
}

impl AppPlan {
    /// Which migrations run before a rollout, or why none, in words.
    pub fn migrations(&self) -> String {
        match (&self.migrate, self.policy.no_migrations) {
            (Some(migrate), _) => migrate.to_string(),
            (None, Some(why)) => why.to_string(),
            (None, None) => "none".to_owned(),
        }
    }
}

/// Why an app could not be prepared, in words for the person who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence: what, where, why, what to do.
    pub reason: String,
    /// The interpreter's own words (a traceback), or empty.
    pub detail: String,
    /// Whether it may pass without anybody's doing: a port that another process has.
    pub passing: bool,
}

impl Refusal {
    /// A refusal in one sentence, with nothing from the interpreter.
    pub fn new(reason: impl Into<String>) -> Refusal {
        Refusal { reason: reason.into(), ..Refusal::default() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

/// What the workers of one generation are started from. Two equal blueprints start equal workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// The app's name, for messages and the worker's title.
    pub app: AppName,
    /// The release, with links resolved: a generation stays with its code when `current` moves on.
    pub directory: PathBuf,
    /// The app's own interpreter.
    pub python: PathBuf,
    /// `module:attribute`, as gunicorn takes it.
    pub entry: String,
    /// Gunicorn's own arguments.
    pub args: Vec<String>,
    /// The whole environment of a worker; nothing else is inherited.
    pub env: BTreeMap<String, String>,
    /// Whom the workers run as; `None` keeps ostlerd's own (when it is not root).
    pub account: Option<Account>,
    /// The file mode mask of the workers.
    pub umask: u32,
    /// What the kernel limits of each process.
    pub limits: ProcessLimits,
    /// The sockets the workers serve, in gunicorn's order.
    pub listen: Vec<Listen>,
    /// How the worker class is treated.
    pub class: WorkerClass,
    /// Requests that one worker can have at once, where its class bounds them.
    pub capacity: Option<u32>,
    /// The version of gunicorn in the app's environment, `27.0.1`.
    pub gunicorn: String,
    /// The request by which a worker proves itself before its first client; `None` if it is turned off.
    pub probe: Option<Probe>,
    /// Where the workers' output goes; `None` is ostlerd's own stderr.
    pub log_file: Option<PathBuf>,
    /// The hooks of gunicorn's master that the app sets; where there is one, a process of their own runs them.
    pub hooks: Vec<Hook>,
    /// What a zygote loads, once for all workers of a generation.
    pub preload: Preload,
    /// The commands that run beside the workers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<String, Vec<String>>,
    /// Whether its processes can gain no rights by set-user-id programs.
    pub no_new_privileges: bool,
    /// Where its processes run, if the release is an image; `python` and `log_file` are paths in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRoot>,
    /// What the release looked like when it was prepared.
    pub release: Fingerprint,
}

impl Blueprint {
    /// The folder that its processes run in, as they see it.
    pub fn code(&self) -> &Path {
        self.image.as_ref().map_or(&self.directory, |image| &image.directory)
    }
}

/// An image that processes run in: what they find instead of the machine's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRoot {
    /// The release's folder, with `rootfs`, and `tmp` and `run` for what its processes share.
    pub release: PathBuf,
    /// Which image it is, where that was written down.
    pub name: Option<ImageName>,
    /// The folder that its processes run in, as they see it.
    pub directory: PathBuf,
    /// Whether they may write into the image.
    pub writable: bool,
    /// What else they see of the machine, by the path under which they do.
    pub volumes: BTreeMap<PathBuf, Volume>,
}

/// Which image: as it was asked for, and what that meant when it was pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageName {
    /// `registry.example.com/shop:43`
    pub reference: String,
    /// `sha256:` and 64 hexadecimal digits: that of its manifest.
    pub digest: String,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.digest.get(..19).unwrap_or(&self.digest);
        match self.reference.split_once('@') {
            Some((reference, _)) => write!(f, "{reference} ({short})"),
            None => write!(f, "{} ({short})", self.reference),
        }
    }
}

/// A user, resolved to numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The login name, for messages and `USER`.
    pub name: String,
    /// The numeric user.
    pub uid: u32,
    /// The numeric primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one among them.
    pub groups: Vec<u32>,
    /// The home directory, for `HOME`.
    pub home: PathBuf,
}

/// How much a generation loads once, in a zygote that its workers are forked from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preload {
    /// Nothing: each worker is an interpreter of its own.
    #[default]
    Nothing,
    /// gunicorn's settings, where a file of code (`gunicorn.conf.py`) is among them: it runs once, as under gunicorn.
    Settings,
    /// The app as well.
    App,
}

impl Preload {
    /// What the zygote loads, in words.
    pub fn what(self) -> &'static str {
        match self {
            Preload::App => "the app",
            Preload::Settings | Preload::Nothing => "gunicorn's settings",
        }
    }
}

impl fmt::Display for Preload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preload::Nothing => "false",
            Preload::Settings => "false, but gunicorn.conf.py runs once for all workers",
            Preload::App => "true",
        })
    }
}

/// One request that a worker answers to itself before it takes its first client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The path with its query, `/healthz`.
    pub path: String,
    /// The Host header that the app expects; `None` is for the worker to find out.
    pub host: Option<String>,
    /// Sent as `X-Forwarded-Proto` and used as the URL's scheme: `http` or `https`.
    pub scheme: String,
    /// How long the answer may take.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout: Duration,
    /// Whether the configuration names the path: then the answer counts by itself, and has to be below 400. Else it only
    /// must not be worse than that of what serves.
    pub asked: bool,
}

/// A cheap mark of a release's files: it differs where a file was added, removed or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many source files were looked at.
    pub files: u64,
    /// The newest change among them, nanoseconds since 1970.
    pub newest: u64,
}

/// How many workers, how long things may take, and when a worker is replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How many workers serve; where the load decides, how many it begins with.
    pub workers: u32,
    /// Within which numbers the load decides.
    pub range: Option<WorkerRange>,
    /// A heartbeat older than this is a hang (gunicorn's `timeout`); `None` is never.
    pub hang_timeout: Option<Duration>,
    /// A request older than this is a hang; `None` is never.
    pub request_timeout: Option<Duration>,
    /// From SIGTERM to the end of a worker's patience: gunicorn's `graceful_timeout` and `keepalive` together.
    pub drain_timeout: Duration,
    /// How long a worker keeps an idle connection open; zero where it closes each after its answer.
    pub keepalive: Duration,
    /// A draining worker with nothing in flight may be ended after this (sync only).
    pub quiet_drain: Option<Duration>,
    /// Recycle a worker after so many requests; 0 is never.
    pub max_requests: u64,
    /// Up to so many requests more, drawn for each worker.
    pub max_requests_jitter: u64,
    /// Recycle a worker after so long.
    pub max_age: Option<Duration>,
    /// Recycle a worker whose resident memory is over so many bytes.
    pub max_rss: Option<u64>,
    /// Unexpected deaths that are made good at once, per minute; beyond it replacements wait.
    pub restarts_per_minute: u32,
    /// How a new generation replaces the old one.
    pub rollout: RolloutPolicy,
    /// What health makes of the app.
    pub readiness: Readiness,
    /// What all its processes together may take of the machine.
    pub resources: Resources,
    /// Why nothing is run before a rollout; `None` where something is.
    pub no_migrations: Option<NoMigrations>,
}

/// When an app counts as ready, and whether the machine does without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// The machine is ready without it.
    pub optional: bool,
    /// Ready workers that it takes.
    pub min_ready: u32,
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness { optional: false, min_ready: 1 }
    }
}

impl From<&crate::config::AppConfig> for Readiness {
    fn from(app: &crate::config::AppConfig) -> Self {
        Readiness { optional: app.optional, min_ready: app.min_ready }
    }
}

mod seconds {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
