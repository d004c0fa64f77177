//! What the database itself keeps of runs that nothing can undo: the table `ostler_migrations`.
//!
//! A host's own history says what it did; the database says what is left of it. Where the two do not agree, the database is
//! right: another server may have run since, or a person may have put it right and said so there.

use serde::{Deserialize, Serialize};

use super::outcome::{Verdict, VerdictKind};
use super::report::Leftover;

/// What was found with the lock, before anything is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// A run, of this host or another, left something half done.
    #[serde(default)]
    pub dirty: Option<Marked>,
    /// Whether what hangs on the command is owed to this code.
    #[serde(default)]
    pub owed: Option<Owed>,
    /// What is not kept this time, and why, in words.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Why Django's `migrate` is to run also where nothing is pending: what hangs on it (`post_migrate`) is owed to this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owed {
    /// It has not run to its end with this code, on any server, or was cut since.
    New,
    /// It has, and with another code since: what hangs on that may have changed what this one needs.
    Earlier,
}

/// A run that left something half done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Marked {
    /// Where it ran.
    pub host: String,
    /// Of which release.
    pub release: String,
    /// The migration that it was in.
    pub migration: String,
    /// When that began, RFC 3339 in UTC.
    pub since: String,
    /// What is left, in words.
    pub what: String,
    /// Each thing that is left, with its remedy.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

impl Marked {
    pub(super) fn verdict(self) -> Verdict {
        let Marked { host, release, migration, since, what, leftovers } = self;
        let words = format!(
            "an earlier migration left the database half done: {migration}, begun {since} on {host} by the release \
             {release}: {what}"
        );
        Verdict { leftovers, ..Verdict::of(VerdictKind::Dirty, &words) }
    }
}
