//! What happened, for the log, the event stream and whoever waits: one type, said once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{GenerationId, LastWords, ProcessId};
use super::migration::{AbortReason, Backend, RunId, Verdict, VerdictKind, tell};
use super::pool::{ProcessEvent, Role, StopSignal};
use super::{joins, proof};
use crate::config::{AppName, counted};

/// Something an operator may want to know about an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppEvent {
    /// The app it is about.
    pub app: AppName,
    /// What happened.
    #[serde(flatten)]
    pub kind: AppEventKind,
}

/// How loudly to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth seeing.
    Info,
    /// Coped with.
    Warn,
    /// Needs a human.
    Error,
}

/// Why a worker is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A newer generation takes its place, or the older one takes it back.
    Rollout,
    /// Fewer workers are wanted.
    Resize,
    /// It has served `max_requests`.
    MaxRequests,
    /// It is older than `max_age`.
    MaxAge,
    /// It is larger than `max_rss`.
    MaxRss,
    /// Its heartbeat is too old.
    Hung,
    /// A request in it is too old.
    RequestTimeout,
    /// It was not ready within `boot_timeout`.
    BootTimeout,
    /// The app stops.
    Stop,
    /// It was not ready yet when its ostlerd ended.
    Orphaned,
    /// It has said itself that it cannot serve.
    Failed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Rollout => "replaced by a rollout",
            Cause::Resize => "fewer workers are wanted",
            Cause::MaxRequests => "max_requests reached",
            Cause::MaxAge => "max_age reached",
            Cause::MaxRss => "max_rss exceeded",
            Cause::Hung => "no heartbeat within the timeout",
            Cause::RequestTimeout => "a request exceeded request_timeout",
            Cause::BootTimeout => "not ready within boot_timeout",
            Cause::Stop => "the app stops",
            Cause::Orphaned => "it was not ready yet when ostlerd ended",
            Cause::Failed => "it had failed to boot",
        })
    }
}

/// What happened. `Display` is the sentence for people, serde the form for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are named as what they hold; Display says each in words")]
pub enum AppEventKind {
    RolloutRequested {
        joined: bool,
        more: Option<u32>,
    },
    RolloutStarted {
        generation: GenerationId,
        from: Option<GenerationId>,
        workers: u32,
    },
    Proved {
        generation: GenerationId,
        proof: String,
    },
    ProbeTolerated {
        generation: GenerationId,
        beside: Option<GenerationId>,
        message: String,
    },
    BackingOff {
        generation: GenerationId,
        failures: u32,
        delay: Duration,
    },
    RolloutSettling {
        generation: GenerationId,
        settle: Duration,
    },
    RolloutCommitted {
        generation: GenerationId,
        took: Duration,
    },
    RollingBack {
        generation: GenerationId,
        to: Option<GenerationId>,
        reason: String,
    },
    RolledBack {
        generation: GenerationId,
        serving: Option<GenerationId>,
        reason: String,
    },
    RolloutSuperseded {
        generation: GenerationId,
        by: GenerationId,
    },
    PrepareFailed {
        reason: String,
        detail: String,
    },
    LinkTurned {
        to: PathBuf,
    },
    LinkPutBack,
    LinkStuck {
        reason: String,
    },
    Scaled {
        from: u32,
        to: u32,
    },
    ScaledByLoad {
        from: u32,
        to: u32,
        reason: String,
    },
    HeldByMemory {
        workers: u32,
        reason: String,
    },
    Serving {
        generation: GenerationId,
        workers: u32,
    },
    MigrationStarted {
        run: RunId,
        database: String,
        pending: Vec<String>,
        owed: bool,
    },
    MigrationQueued,
    MigrationBusy {
        holder: String,
    },
    StartDelayed {
        delay: Duration,
    },
    StartedWithoutDatabase {
        reason: String,
    },
    MigrationSwept {
        backends: Vec<Backend>,
    },
    MigrationBegins {
        name: String,
        number: u32,
        of: u32,
    },
    MigrationApplied {
        name: String,
        seconds: f64,
    },
    MigrationBlocked {
        by: Vec<Backend>,
    },
    MigrationHarm {
        blocked: u32,
    },
    MigrationWarned {
        words: String,
    },
    MigrationAborting {
        migration: Option<String>,
        reason: AbortReason,
    },
    MigrationRung {
        rung: StopSignal,
    },
    MigrationRetry {
        attempt: u32,
        delay: Duration,
        reason: String,
    },
    ServingTried {
        generation: GenerationId,
        failure: Option<LastWords>,
    },
    MigrationEnded {
        database: String,
        verdict: Verdict,
    },
    NotRolledOut {
        reason: String,
        serving: Option<GenerationId>,
    },
    MigrationResolved,
    PostDeployStarted,
    PostDeployEnded {
        took: Duration,
    },
    PostDeployFailed {
        words: String,
    },
    Draining {
        delay: Duration,
    },
    Drained {
        delay: Duration,
    },
    Undrained,
    Stopping,
    Stopped,
    Removed,
    /// The last, for a process's events have names of their own.
    #[serde(untagged)]
    Process(ProcessEvent),
}

impl AppEventKind {
    /// How loudly to say it.
    pub fn level(&self) -> Level {
        use AppEventKind::*;
        match self {
            Process(event) => event.level(),
            BackingOff { .. } | HeldByMemory { .. } | ProbeTolerated { .. } => Level::Warn,
            RollingBack { .. } | RolledBack { .. } | PrepareFailed { .. } => Level::Error,
            LinkStuck { .. } => Level::Error,
            MigrationEnded { verdict, .. } if verdict.kind.is_good() => Level::Info,
            MigrationEnded { verdict, .. } if verdict.kind == VerdictKind::Retryable => Level::Warn,
            MigrationEnded { .. } | NotRolledOut { .. } | PostDeployFailed { .. } => Level::Error,
            ServingTried { failure: Some(_), .. } => Level::Error,
            StartDelayed { .. } | StartedWithoutDatabase { .. } | MigrationRetry { .. } => Level::Warn,
            MigrationSwept { .. } | MigrationBlocked { .. } | MigrationHarm { .. } => Level::Warn,
            MigrationWarned { .. } | MigrationAborting { .. } | MigrationRung { .. } => Level::Warn,
            _ => Level::Info,
        }
    }

    /// What belongs into the log below the sentence.
    pub fn detail(&self) -> &str {
        use AppEventKind::*;
        match self {
            Process(event) => event.detail(),
            PrepareFailed { detail, .. } => detail.trim_end(),
            ServingTried { failure: Some(words), .. } => words.traceback.trim_end(),
            _ => "",
        }
    }

    /// The worker it is about, where it is about one.
    pub fn worker(&self) -> Option<ProcessId> {
        match self {
            AppEventKind::Process(ProcessEvent { process, role: Role::Web, .. }) => Some(*process),
            _ => None,
        }
    }

    /// The generation it is about, where it is about one.
    pub fn generation(&self) -> Option<GenerationId> {
        use AppEventKind::*;
        match self {
            Process(ProcessEvent { generation, .. })
            | RolloutStarted { generation, .. }
            | Proved { generation, .. }
            | ProbeTolerated { generation, .. }
            | BackingOff { generation, .. }
            | RolloutSettling { generation, .. }
            | RolloutCommitted { generation, .. }
            | RollingBack { generation, .. }
            | RolledBack { generation, .. }
            | RolloutSuperseded { generation, .. }
            | ServingTried { generation, .. }
            | Serving { generation, .. } => Some(*generation),
            // The rest is about the app, its databases or the machine.
            _ => None,
        }
    }
}

impl fmt::Display for AppEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AppEventKind::*;
        match self {
            Process(event) => event.fmt(f),
            RolloutRequested { joined: true, more } => f.write_str(&joins::words(*more)),
            RolloutRequested { joined: false, .. } => write!(f, "preparing a rollout"),
            RolloutStarted { generation, from: Some(from), workers } => {
                write!(f, "rollout from generation {from} to {generation}, {}", counted(*workers, "worker"))
            }
            RolloutStarted { generation, from: None, workers } => {
                write!(f, "starting generation {generation}, {}", counted(*workers, "worker"))
            }
            Proved { generation, proof } => write!(f, "proof of {generation}: {proof}"),
            ProbeTolerated { generation, beside, message } => {
                f.write_str(&proof::tolerated(*generation, *beside, message))
            }
            BackingOff { failures, delay, .. } => {
                let failures = match failures {
                    1 => "a failure".to_owned(),
                    more => format!("{more} failures in a row"),
                };
                write!(f, "waiting {:.1} s before the next start, after {failures}", delay.as_secs_f64())
            }
            RolloutSettling { generation, settle } => {
                write!(f, "every worker of {generation} is ready; watching it for {settle:?}")
            }
            RolloutCommitted { generation, took } => {
                write!(f, "generation {generation} serves; the rollout took {:.1} s", took.as_secs_f64())
            }
            RollingBack { generation, to: Some(to), reason } => {
                write!(f, "rolling back from {generation} to {to}: {reason}")
            }
            RollingBack { generation, to: None, reason } => write!(f, "giving up {generation}: {reason}"),
            RolledBack { generation, serving: Some(serving), reason } => {
                write!(f, "rolled back from {generation}: {reason}; generation {serving} goes on serving")
            }
            RolledBack { generation, serving: None, reason } => {
                write!(f, "generation {generation} failed: {reason}; nothing serves")
            }
            RolloutSuperseded { generation, by } => {
                write!(f, "the rollout to {generation} gives way to {by}")
            }
            PrepareFailed { reason, .. } => write!(f, "cannot be prepared: {reason}"),
            LinkTurned { to } => {
                write!(f, "the link leads to {} now, and back if that does not serve", to.display())
            }
            LinkPutBack => write!(f, "the link leads to the release that serves again"),
            LinkStuck { reason } => write!(f, "{reason}"),
            Scaled { from, to } => write!(f, "scaled from {from} to {}", counted(*to, "worker")),
            ScaledByLoad { from, to, reason } => {
                let how = if to > from { "grown" } else { "shrunk" };
                write!(f, "{how} from {from} to {}: {reason}", counted(*to, "worker"))
            }
            HeldByMemory { workers, reason } => {
                write!(f, "held at {}: {reason}", counted(*workers, "worker"))
            }
            Serving { generation, workers } => {
                write!(f, "generation {generation} serves with {}", counted(*workers, "worker"))
            }
            Draining { delay } if delay.is_zero() => {
                write!(f, "draining: readiness fails; clients are still served")
            }
            Draining { delay } => write!(
                f,
                "draining: readiness fails; clients are still served; the edge notices within {delay:?}"
            ),
            Drained { delay } => write!(f, "drained: readiness has failed for {delay:?}"),
            Undrained => write!(f, "undrained: readiness follows the app again"),
            Stopping => write!(f, "stopping"),
            Stopped => write!(f, "stopped"),
            Removed => write!(f, "removed from the configuration"),
            migration => tell(migration, f),
        }
    }
}
