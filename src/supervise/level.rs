//! How loudly something is said.

use serde::{Deserialize, Serialize};

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
