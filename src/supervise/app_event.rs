//! What happened, for the log, the event stream and whoever waits: one type, said once.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AppName;

use super::ids::{GenerationId, ProcessId};
use super::level::Level;
use super::migration::{AbortReason, Backend, RunId, Verdict, VerdictKind};
use super::pool::{ProcessEvent, Role, StopSignal};
use super::process_fact::LastWords;

/// Something an operator may want to know about an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppEvent {
    /// The app it is about.
    pub app: AppName,
    /// What happened.
    #[serde(flatten)]
    pub kind: AppEventKind,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::pool::ProcessChange;

    fn migration_ended(kind: VerdictKind) -> Level {
        let (database, verdict) = ("default".to_owned(), Verdict::of(kind, ""));
        AppEventKind::MigrationEnded { database, verdict }.level()
    }

    #[test]
    fn a_migration_that_ends_badly_is_an_error_unless_it_may_be_tried_again() {
        use VerdictKind::*;
        for kind in [Nothing, Applied] {
            assert_eq!(migration_ended(kind), Level::Info, "{kind}");
        }
        assert_eq!(migration_ended(Retryable), Level::Warn);
        for kind in [Refused, Failed, Partial, Dirty, Unknown] {
            assert_eq!(migration_ended(kind), Level::Error, "{kind}");
        }
    }

    #[test]
    fn only_a_process_that_serves_is_a_worker() {
        let event = |role| {
            let (process, generation) = (ProcessId(7), GenerationId(1));
            AppEventKind::Process(ProcessEvent {
                process,
                generation,
                role,
                change: ProcessChange::Started {},
            })
        };
        assert_eq!(event(Role::Web).worker(), Some(ProcessId(7)));
        assert_eq!(event(Role::Background("queue".to_owned())).worker(), None);
        assert_eq!(AppEventKind::Stopped.worker(), None);
    }
}
