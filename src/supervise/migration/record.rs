//! What the history keeps of a run; the shell adds the host, the release, the time of day and the last lines.

use serde::{Deserialize, Serialize};

use super::super::pool::{Ending, StopSignal};
use super::super::time::Moment;
use super::fact::{Backend, Opened};
use super::order::AbortReason;
use super::outcome::Verdict;

/// A run so far. Without a verdict it is under way: what is written ahead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `default`, or `url` where the database is known by a URL.
    pub database: String,
    /// What was met.
    pub opened: Opened,
    /// What was to be applied.
    pub pending: Vec<String>,
    /// How often the command was run.
    pub attempts: u32,
    /// Each migration that was applied.
    pub applied: Vec<AppliedMigration>,
    /// The longest that others were seen waiting behind it, seconds.
    pub longest_stall: f64,
    /// Who blocked it, as last seen.
    pub blockers: Vec<Backend>,
    /// Why it was ended, where it was.
    pub aborted: Option<AbortReason>,
    /// The rungs that it took.
    pub rungs: Vec<RungTaken>,
    /// Seconds in all.
    pub seconds: f64,
    /// The end.
    pub verdict: Option<Verdict>,
    /// Whether the database keeps what is left as well: then it, and not this, says for how long.
    #[serde(default)]
    pub marked: bool,
    /// Said by a person: what was dirty is resolved.
    #[serde(default)]
    pub resolved: bool,
}

/// A line of the history: a run, and what only the shell knows of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its name, unique on this host.
    pub run: String,
    /// Where it ran.
    pub host: String,
    /// The release: the directory with links resolved.
    pub release: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// The last lines of its output, 200 at most.
    #[serde(default)]
    pub output: Vec<String>,
    /// What the core knows.
    pub record: Record,
}

/// One migration that was applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppliedMigration {
    /// `shop.0007_price`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

/// One signal of the ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungTaken {
    /// Which.
    pub rung: StopSignal,
    /// After so many seconds the next one was taken, or the run was clean.
    pub seconds: f64,
}

impl RungTaken {
    /// The present one, as it is over.
    pub(super) fn of(ending: &Ending<AbortReason>, now: Moment) -> RungTaken {
        RungTaken { rung: ending.signal, seconds: now.since(ending.since).as_secs_f64() }
    }
}
