//! The answers to commands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{agreed, counted};
use crate::plan::{AppChange, Effect, Served};

use super::ids::GenerationId;
use super::migration::{HistoryEntry, Opened, Verdict};
use super::process_fact::LastWords;

/// The number of a command that was given; its answer carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    /// From here on they are the core's own.
    const OWN: u64 = 1 << 63;

    /// What the core asks of itself.
    pub(super) fn own(number: u64) -> RequestId {
        RequestId(RequestId::OWN | number)
    }

    /// Whether nobody has asked for it: the answer is for the log.
    pub fn is_own(self) -> bool {
        self.0 >= RequestId::OWN
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is as asked.
    Done {
        /// One sentence.
        message: String,
        /// The generation that serves now, where it is about one app.
        generation: Option<GenerationId>,
    },
    /// What would be done; nothing was changed.
    Planned {
        /// Every app, also where nothing would change.
        changes: Vec<AppChange>,
        /// Keys that would be in force only after a restart of ostlerd.
        #[serde(default)]
        needs_restart: Vec<String>,
    },
    /// What a migration would apply, by database; nothing was changed.
    MigrationsPending {
        /// Each database as it was met.
        databases: Vec<(String, Opened)>,
    },
    /// What the history of an app's migrations holds, newest last.
    MigrationHistory {
        /// Every run that is kept.
        runs: Vec<HistoryEntry>,
    },
    /// What this machine serves.
    Served {
        /// For who configures the edge.
        served: Box<Served>,
    },
    /// Tried, failed, and put back as it was.
    RolledBack {
        /// Why, in one sentence.
        reason: String,
        /// The new worker's own words.
        last_words: LastWords,
        /// The generation that goes on serving; `None` where none does.
        serving: Option<GenerationId>,
    },
    /// The migration did not succeed, so nothing was rolled out.
    NotMigrated {
        /// What came of it.
        verdict: Verdict,
        /// The generation that goes on serving; `None` where none does.
        serving: Option<GenerationId>,
    },
    /// Not begun; nothing was changed. The caller may try again.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// What was asked for makes no sense here; nothing was changed.
    Invalid {
        /// What, why, and what to do.
        reason: String,
    },
    /// The app's configuration or release cannot be used; nothing was changed.
    Misconfigured {
        /// What, where, why, and what to do.
        reason: String,
        /// The interpreter's own words, or empty.
        detail: String,
    },
}

impl Outcome {
    /// The exit status of a command with this outcome.
    pub fn exit_status(&self) -> u8 {
        match self {
            Outcome::Done { .. } | Outcome::Planned { .. } => 0,
            Outcome::MigrationsPending { .. } | Outcome::MigrationHistory { .. } => 0,
            Outcome::Served { .. } => 0,
            Outcome::RolledBack { .. } | Outcome::NotMigrated { .. } => 1,
            Outcome::Refused { .. } => 75,
            Outcome::Invalid { .. } => 64,
            Outcome::Misconfigured { .. } => 78,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done { message, .. } => f.write_str(message),
            Outcome::Planned { changes, needs_restart } => {
                let changed = changes.iter().filter(|it| it.effect != Effect::Nothing);
                let apps = changed.map(|it| format!("{}: {}", it.app, it.effect));
                let keys = needs_restart.iter().map(|key| format!("{key}: needs a restart of ostlerd"));
                let texts: Vec<String> = apps.chain(keys).collect();
                f.write_str(if texts.is_empty() { "nothing would change" } else { "" })?;
                f.write_str(&texts.join("; "))
            }
            Outcome::RolledBack { reason, serving: Some(generation), .. } => {
                write!(f, "rolled back: {reason}; generation {generation} goes on serving")
            }
            Outcome::RolledBack { reason, serving: None, .. } => {
                write!(f, "failed: {reason}; no earlier generation serves")
            }
            Outcome::MigrationsPending { databases } => {
                let pending = databases.iter().filter_map(|(_, opened)| opened.pending.as_ref());
                let count = pending.map(|it| it.migrations.len()).sum::<usize>();
                write!(f, "{} {} pending", counted(count, "migration"), agreed(count, "is", "are"))
            }
            Outcome::MigrationHistory { runs } => f.write_str(&counted(runs.len(), "run")),
            Outcome::Served { served } => {
                let count = served.apps.len();
                write!(f, "{} {} served", counted(count, "app"), agreed(count, "is", "are"))
            }
            Outcome::NotMigrated { verdict, serving: Some(generation) } => {
                write!(
                    f,
                    "migration {}: {}; generation {generation} goes on serving",
                    verdict.kind, verdict.reason
                )
            }
            Outcome::NotMigrated { verdict, serving: None } => {
                write!(f, "migration {}: {}; nothing serves", verdict.kind, verdict.reason)
            }
            Outcome::Refused { reason } => write!(f, "refused: {reason}"),
            Outcome::Invalid { reason } => f.write_str(reason),
            Outcome::Misconfigured { reason, .. } => f.write_str(reason),
        }
    }
}
