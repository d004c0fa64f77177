//! What the shell tells of a migration: facts about the command and about the database, in the past tense.
//!
//! The database side sends most of them as JSON (see `crate::migrate`), so they are read as they come. They are the
//! word of a program that runs as the app's user: whoever reads them has shortened texts and lists.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::marked::{Marks, Owed};
use super::outlook::Outlook;
use super::report::Report;
use super::seconds;
use super::seen::DjangoSeen;
use super::vendor::Vendor;
use crate::supervise::process_fact::{Exit, LastWords};
use crate::supervise::proof::Proof;

/// The number of a migration run; never reused within one ostlerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

/// Something that has become known about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum MigrationFact {
    /// The answer to `OpenMigration`: what the history says of earlier runs.
    PastRead(Past),
    /// `OpenDatabase` is under way: it waits for its turn, or for a processor; said again and again.
    Opening,
    /// The answer to `OpenDatabase`: the watching connection is open and the guards were read back.
    Opened(Opened),
    /// The database side cannot do what it was asked and has ended; it may come at any time.
    DatabaseFailed(Trouble),
    /// The answer to `LockDatabase`: it is ours; what is pending now, and what was swept away.
    Locked {
        /// What is pending, looked at anew.
        pending: Pending,
        /// Backends of an earlier, dead run that had to be ended.
        swept: Vec<Backend>,
        /// What the database keeps of earlier runs, of whichever host.
        marks: Box<Marks>,
    },
    /// Somebody else migrates; said again and again until it is `Locked`.
    Busy {
        /// Who, in words: `web2, since 12 s`.
        holder: String,
        /// For how long nothing has been seen of him; `None` where nobody can tell.
        quiet: Option<Duration>,
    },
    /// `RecordMigration` is on the disk.
    Recorded,
    /// `RecordMigration` could not be done.
    RecordFailed {
        /// Why, in words.
        reason: String,
    },
    /// The process of `RunMigration` could not be made.
    SpawnFailed {
        /// Why, in words.
        reason: String,
    },
    /// The command is somewhere new.
    Progressed(Step),
    /// The command wrote a line.
    Wrote,
    /// Its processes have used processor time.
    Worked,
    /// A look at the database.
    Looked(DatabaseLook),
    /// The answer to the rung `Cancel`: how many backends were cancelled.
    Cancelled {
        /// None where all were idle in a transaction, or none was there.
        backends: u32,
    },
    /// The command, and every process that it left, is gone.
    CommandEnded {
        /// How the command itself ended.
        exit: Exit,
        /// What it said of its failure, where it failed.
        failure: Option<CommandFailure>,
    },
    /// The answer to the rung `EndBackends`: no tagged backend is left.
    BackendsGone,
    /// The answer to `VerifyDatabase`.
    Verified(Report),
    /// The answer to `AskServing`: what the code that serves showed of itself, or why it did not come up.
    ServingAnswered(Result<Proof, LastWords>),
    /// The answer to `ResolveDatabase`.
    Resolved {
        /// Who migrates right now, in words: then nothing was taken away.
        holder: Option<String>,
        /// What stood in the database, in words.
        cleared: Vec<String>,
    },
    /// A command of `post_deploy` has ended; the exit of the last one, or of the first that failed.
    PostDeployEnded {
        /// How.
        exit: Exit,
        /// Its last words.
        words: String,
    },
}

/// What the history says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// A run that has no end on record: ostlerd died in the middle of it.
    pub unfinished: Option<Unfinished>,
    /// The last run left the database dirty, and nobody has said since that it is resolved: what and what to do.
    pub dirty: Option<String>,
    /// The database, by name, that keeps that itself: whether it still holds is asked there.
    #[serde(default)]
    pub marked: Option<String>,
    /// How long migrations of these names took when they were run before, seconds by name; the newest counts.
    #[serde(default)]
    pub took: Vec<(String, f64)>,
    /// Whether this very code has run on its databases before, with nothing pending in any of them.
    #[serde(default)]
    pub current: bool,
}

/// A run that ostlerd did not live to end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// As the history names it.
    pub run: String,
    /// What it was going to apply.
    pub pending: Vec<String>,
    /// In which database.
    pub database: String,
}

/// The database as it was met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opened {
    /// What kind it is.
    pub vendor: Vendor,
    /// `15.14`, as the server says.
    pub version: String,
    /// Whether a second connection watches; where not, why in words.
    pub unwatched: Option<String>,
    /// How long an atomic migration waits for a lock: what was configured, or what suits this server.
    #[serde(with = "seconds")]
    pub lock_timeout: Option<Duration>,
    /// The guards as read back, by name: `lock_timeout` = `1s`.
    pub guards: Vec<(String, String)>,
    /// Guards that are not in force, in words; the run goes on without them.
    pub warnings: Vec<String>,
    /// What is pending; `None` where the command is not Django's and nobody can tell.
    pub pending: Option<Pending>,
    /// What else the app's Django has shown of itself.
    pub seen: Box<DjangoSeen>,
    /// Whether what hangs on the command is owed to this code.
    pub owed: Option<Owed>,
}

/// What is to be applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// In the order in which they will be.
    pub migrations: Vec<PendingMigration>,
    /// Recorded in the database, and unknown to the code: the database is ahead.
    #[serde(default)]
    pub ahead: Vec<String>,
    /// Whose the command `migrate` is, where it is not Django's: it may have to do what nobody else knows of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// What is foreseen for the code that serves, and for that to come.
    #[serde(default, skip_serializing_if = "Outlook::is_empty")]
    pub outlook: Box<Outlook>,
}

/// One pending migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingMigration {
    /// `shop.0007_price`.
    pub name: String,
    /// Whether all of it is one transaction.
    pub atomic: bool,
    /// How many operations it has.
    #[serde(default)]
    pub operations: u32,
}

/// Why the database side cannot go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What failed.
    #[serde(default)]
    pub kind: TroubleKind,
    /// One sentence: what, where, why, what to do.
    pub message: String,
    /// The traceback, or empty.
    #[serde(default)]
    pub traceback: String,
}

/// What failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// The app does not import, or its settings make no sense.
    App,
    /// The database cannot be reached, or refuses us.
    Unreachable,
    /// The migrations make no sense: two leaves, a missing parent, a history that contradicts them.
    Graph,
    /// A transaction pooler is in between: neither lock nor guard would hold.
    Pooler,
    /// The database side itself ended, hung or made no sense.
    #[default]
    Broken,
}

/// Where the command is. The first four are Django's own; `Message` is a line of any other command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Step {
    /// A migration begins.
    Migration {
        /// `shop.0007_price`.
        name: String,
        /// Which of how many, from 1.
        number: u32,
        /// How many will be applied.
        of: u32,
        /// Whether all of it is one transaction.
        atomic: bool,
    },
    /// An operation of it begins.
    Operation {
        /// Which, from 1.
        number: u32,
        /// How many it has.
        of: u32,
        /// What it does, as Django describes it: `Add index x on field(s) a of model b`.
        words: String,
        /// Code of the migration's own that it runs, and in which language.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runs: Option<Language>,
    },
    /// All operations are done, the transaction is about to be committed.
    Committing,
    /// It is committed, and not recorded yet.
    Recording,
    /// It is applied and recorded.
    Applied {
        /// Seconds that it took.
        seconds: f64,
    },
    /// How far it is cannot be told: this Django is not as the hooks expect it. It goes on.
    Unseen {
        /// Why, in words.
        words: String,
    },
    /// What comes after the last one, such as `post_migrate`.
    After {
        /// In words.
        words: String,
    },
}

/// What code of a migration's own is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// `RunPython`.
    Python,
    /// `RunSQL`.
    Sql,
}

/// One look at the database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabaseLook {
    /// Of which place of the run it was taken, as [`MigrationOrder::Watch`](super::order::MigrationOrder::Watch) said: the
    /// locks of another are not judged.
    #[serde(default)]
    pub place: u32,
    /// How many backends of the run there are.
    pub backends: u32,
    /// Whether one of them is at work.
    pub working: bool,
    /// Whether one of them is idle in a transaction: cancelling does nothing to it.
    #[serde(default)]
    pub idle_in_transaction: bool,
    /// For how long the run has been waiting for a lock.
    #[serde(default, with = "seconds")]
    pub waiting: Option<Duration>,
    /// Whether all that waits is the building of an index concurrently, or the like: it stands in no client's way.
    #[serde(default)]
    pub concurrent: bool,
    /// Who holds what the run waits for.
    #[serde(default)]
    pub blockers: Vec<Backend>,
    /// How many others wait behind the run.
    #[serde(default)]
    pub blocked: u32,
    /// For how long the one that has waited longest has.
    #[serde(default, with = "seconds")]
    pub harm: Option<Duration>,
    /// Who else waits behind the run and is no client: a vacuum, a dump.
    #[serde(default)]
    pub maintenance: Vec<Backend>,
    /// How many others are connected, where that can be seen.
    #[serde(default)]
    pub clients: Option<u32>,
    /// What the server says that it does: `building index: scanning table`.
    #[serde(default)]
    pub doing: Option<String>,
    /// How much of that is done, 0 to 100.
    #[serde(default)]
    pub percent: Option<f64>,
}

/// Somebody's connection to the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its number on the server.
    pub pid: u64,
    /// Its `application_name`, or user and host where there is none.
    #[serde(default)]
    pub application: String,
    /// `active`, `idle in transaction`.
    #[serde(default)]
    pub state: String,
    /// Its statement, shortened.
    #[serde(default)]
    pub query: String,
    /// For how long its transaction has been open, seconds.
    #[serde(default)]
    pub seconds: u64,
}

/// Why the command failed, as its own process said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandFailure {
    /// What kind of failure.
    #[serde(default)]
    pub kind: FailureKind,
    /// One sentence.
    pub message: String,
    /// The traceback, or the last lines.
    #[serde(default)]
    pub traceback: String,
    /// Who had the lock that it did not get, where it sees that itself.
    #[serde(default)]
    pub blockers: Vec<Backend>,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A lock was not to be had in time, or a deadlock was resolved against us.
    Lock,
    /// The statement was cancelled, or its connection ended by somebody.
    Cancelled,
    /// The connection was lost: the server restarted, crashed or is gone.
    Connection,
    /// The database has no room left.
    Full,
    /// The app does not load, or Django's system checks refuse it: it has not begun to migrate.
    App,
    /// Anything else: the migration itself is wrong.
    #[default]
    Migration,
}
