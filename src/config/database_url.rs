//! The URL of a database: where it is said, and whether it is one.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::error::Fault;
use super::names::env_name_fault;
use super::values::{self, Read};
use super::visible::shortened;

/// What a database may be reached by, as SQLAlchemy, dj-database-url and libpq write it; a part behind
/// `+` names a driver.
const SCHEMES: [&str; 10] =
    ["postgresql", "postgres", "psql", "pgsql", "postgis", "mysql", "mysql2", "mariadb", "sqlite", "sqlite3"];

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

impl DatabaseUrl {
    /// The faults tell nothing of the text: it may hold a password.
    pub(super) fn read(value: &DeValue<'_>) -> Read<DatabaseUrl> {
        let text = values::text(value)?;
        const RULE: &str = "must begin with postgresql://, mysql:// or sqlite:///, or be \"env:NAME\"";
        if let Some(name) = text.strip_prefix("env:") {
            return match env_name_fault(name) {
                None => Ok(DatabaseUrl::Env(name.to_owned())),
                Some(_) => Err(Fault::new(
                    format!("names the variable {:?}", shortened(name, 40)),
                    "behind env: stands the name of an environment variable",
                    "",
                )),
            };
        }
        let known = is_database_url(text);
        let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control()) && text.len() <= 4000;
        match (known, clean) {
            (true, true) => Ok(DatabaseUrl::Text(text.to_owned())),
            (true, false) => Err(Fault::new("is no URL", "must have no spaces", "percent-encode them: %20")),
            (false, _) => Err(Fault::new(
                "is no URL that ostlerd knows",
                RULE,
                "for another kind of database leave it out: the command is then watched alone",
            )),
        }
    }
}

/// Whether this is the URL of a database of a kind that can be watched.
pub fn is_database_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.split('+').next().unwrap_or(scheme));
    scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
}
