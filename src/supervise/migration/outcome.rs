//! What came of a migration, in the words of its table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::Leftover;

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which of the outcomes.
    pub kind: VerdictKind,
    /// One sentence: what happened, to what, why.
    pub reason: String,
    /// Whether the cause is not in the migration: a lock, a limit, the database, the app's settings, a person.
    #[serde(default)]
    pub elsewhere: bool,
    /// What was applied, by name.
    #[serde(default)]
    pub applied: Vec<String>,
    /// The traceback or the last lines of what failed; empty where nothing did.
    #[serde(default)]
    pub detail: String,
    /// What is left behind, with the exact remedy for each.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

impl Verdict {
    /// One with nothing but its kind and the reason.
    pub fn of(kind: VerdictKind, reason: &str) -> Verdict {
        let reason = reason.to_owned();
        let (elsewhere, applied, detail, leftovers) = Default::default();
        Verdict { kind, reason, elsewhere, applied, detail, leftovers }
    }

    /// The same, where there is nothing to correct in the migration.
    pub(super) fn with_cause_elsewhere(self) -> Verdict {
        Verdict { elsewhere: true, ..self }
    }
}

/// The outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    /// Nothing was pending.
    Nothing,
    /// All that was pending is applied.
    Applied,
    /// It would break the code that serves, so nothing was run.
    Refused,
    /// A lock or others' harm ended it, every try; the database is as before.
    Retryable,
    /// It failed; the database is as before.
    Failed,
    /// It failed, and migrations before the failed one are applied.
    Partial,
    /// Something is half done; nothing runs by itself until it is resolved.
    Dirty,
    /// Nobody can tell.
    Unknown,
}

impl VerdictKind {
    /// Whether the rollout goes on.
    pub fn is_good(self) -> bool {
        matches!(self, VerdictKind::Nothing | VerdictKind::Applied)
    }
}

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VerdictKind::Nothing => "nothing to do",
            VerdictKind::Applied => "applied",
            VerdictKind::Refused => "refused",
            VerdictKind::Retryable => "given up for now",
            VerdictKind::Failed => "failed",
            VerdictKind::Partial => "partly applied",
            VerdictKind::Dirty => "dirty",
            VerdictKind::Unknown => "unknown",
        })
    }
}
