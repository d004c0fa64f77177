//! The kinds of database that an app may have.

use serde::{Deserialize, Serialize};

/// The kinds of database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// PostgreSQL.
    Postgresql,
    /// MySQL or MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
    /// Something else, or nothing that can be reached: the command is watched alone.
    #[default]
    Other,
}

impl Vendor {
    /// Whether an aborted schema change leaves nothing behind, as long as it runs in a transaction.
    pub fn rolls_back(self) -> bool {
        matches!(self, Vendor::Postgresql | Vendor::Sqlite)
    }
}
