//! Where the URL of a database is said.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where the URL of a database is found. It may hold a password: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatabaseUrl {
    /// In the file itself.
    Text(String),
    /// In this variable of the app's environment.
    Env(String),
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Text(_) => f.write_str("Text(hidden)"),
            DatabaseUrl::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}
