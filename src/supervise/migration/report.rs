//! What is found in a database after a run.

use serde::{Deserialize, Serialize};

/// What was found afterwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Backends of the run that are left.
    pub backends: u32,
    /// Of what was pending, what is recorded as applied now; `None` where nobody can tell.
    #[serde(default)]
    pub recorded: Option<Vec<String>>,
    /// What is neither as before nor as it should be; empty where the database is clean.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
    /// What could not be looked at, in words.
    #[serde(default)]
    pub unverified: Option<String>,
    /// Whether the database keeps what is left, for every server to know.
    #[serde(default)]
    pub marked: bool,
}

/// Something half done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The migration that it is of, where it is known.
    #[serde(default)]
    pub migration: Option<String>,
    /// What: `index shop_order_x is INVALID`, `operation 2 of 4 was not reached`, `applied but not recorded`.
    pub what: String,
    /// The exact SQL or command that gets out of it.
    pub remedy: String,
    /// Whether ostlerd removed it itself: an invalid index of a migration of one concurrent operation.
    #[serde(default)]
    pub removed: bool,
}
