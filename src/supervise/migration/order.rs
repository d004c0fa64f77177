//! What the core has the shell do about a migration, in the imperative.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fact::{Pending, Step};
use super::record::Record;
use crate::plan::{Blueprint, Migrate};
use crate::supervise::ids::GenerationId;
use crate::supervise::pool::StopSignal;

/// One thing to do for a run. Each says which fact answers it; a run that is closed is told nothing more.
#[derive(Clone, Debug)]
pub enum MigrationOrder {
    /// Read the app's history; answer `PastRead`.
    Open(Opening),
    /// Start the database side for the database with this index; answer `Opened` or `DatabaseFailed`.
    OpenDatabase {
        /// Of `Migrate::databases`.
        index: usize,
    },
    /// Have the lock that lets one server migrate; answer `Busy` for as long as it takes, then `Locked`.
    LockDatabase,
    /// Write this to the history and have it on the disk; answer `Recorded` or `RecordFailed`.
    RecordMigration(Box<Record>),
    /// Start the command in a scope of its own; answer `SpawnFailed` or, when all of it is gone, `CommandEnded`.
    /// From here on the database is looked at.
    RunMigration {
        /// From 1.
        attempt: u32,
        /// Whether Django's system checks come first. With nothing pending they do not: the workers prove the code.
        checks: bool,
    },
    /// Look at the database while the command runs, and say of each look that it was taken of this place of the run.
    Watch {
        /// Another for each step of each try.
        place: u32,
    },
    /// Do this to end the command: signals reach all of its process group; `Cancel` is answered with `Cancelled`,
    /// `EndBackends` with `BackendsGone`.
    Abort(StopSignal),
    /// See what is left and what is recorded; answer `Verified`.
    VerifyDatabase {
        /// What was to be applied.
        pending: Pending,
        /// The migration that was under way, by name, and where in it the command was last.
        at: Option<(String, Step)>,
        /// Whether the run failed: what it left of an invalid index may be removed where that is safe.
        failed: bool,
    },
    /// What the database keeps of earlier runs is put right: take it away; answer `Resolved`.
    ResolveDatabase,
    /// Start the code that serves once more, as a worker that takes no client, and have it answer its probe on the database
    /// as it is now; answer `ServingAnswered`.
    AskServing {
        /// What serves.
        generation: GenerationId,
        /// What it is started from.
        blueprint: Arc<Blueprint>,
        /// How long that may take.
        within: Duration,
    },
    /// End the database side, and let its lock go; nothing answers.
    CloseDatabase,
    /// Write down that every database is as this code needs it; nothing answers.
    KeepCurrent,
    /// Run what is to be run after the commit; answer `PostDeployEnded`.
    PostDeploy,
    /// The run is over: forget it.
    Close,
}

/// What a run is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The interpreter, directory, environment and user.
    pub blueprint: Arc<Blueprint>,
    /// The command, the databases and the budgets.
    pub migrate: Arc<Migrate>,
    /// What serves meanwhile.
    #[serde(default)]
    pub serving: Option<GenerationId>,
}

/// Why a run is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortReason {
    /// Others waited for so long behind it while it waited for a lock itself.
    Harm(Duration),
    /// Others waited for so long for a lock that it held.
    Hold(Duration),
    /// It waited for a lock for so long.
    LockWait(Duration),
    /// One migration took longer than this.
    Timeout(Duration),
    /// All of it took longer than this.
    TimeoutTotal(Duration),
    /// Nothing was seen of it for so long.
    Stall(Duration),
    /// Somebody asked.
    Asked,
    /// The app stops.
    Stopping,
    /// Another server has taken the lock while nobody watched.
    #[serde(alias = "unwatched")]
    LockLost,
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |limit: &Duration| format!("{:.1} s", limit.as_secs_f64());
        match self {
            AbortReason::Harm(limit) => write!(f, "others waited behind it for {}", seconds(limit)),
            AbortReason::Hold(limit) => {
                write!(f, "it held a lock and others waited behind it for {}", seconds(limit))
            }
            AbortReason::LockWait(limit) => write!(f, "it waited for a lock for {}", seconds(limit)),
            AbortReason::Timeout(limit) => write!(f, "one migration took longer than {}", seconds(limit)),
            AbortReason::TimeoutTotal(limit) => write!(f, "it took longer than {} in all", seconds(limit)),
            AbortReason::Stall(limit) => write!(f, "nothing was seen of it for {}", seconds(limit)),
            AbortReason::Asked => f.write_str("somebody asked for its end"),
            AbortReason::Stopping => f.write_str("the app stops"),
            AbortReason::LockLost => f.write_str("another server has taken its lock"),
        }
    }
}
