//! What becomes of a migration that breaks the code that serves.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::error::Fault;
use super::values;
use super::visible::shortened;

/// `breaking` of `[migrate]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Breaking {
    /// It is not run.
    #[default]
    Refuse,
    /// It is run, and said.
    Warn,
}

impl fmt::Display for Breaking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Breaking::Refuse => "refuse",
            Breaking::Warn => "warn",
        })
    }
}

impl Breaking {
    pub(super) fn read(value: &DeValue<'_>) -> Result<Breaking, Fault> {
        match values::text(value)? {
            "refuse" => Ok(Breaking::Refuse),
            "warn" => Ok(Breaking::Warn),
            other => {
                let what = format!("is {:?}", shortened(other, 60));
                let help =
                    "\"refuse\" runs nothing that breaks the code that serves, \"warn\" runs it and says so";
                Err(Fault::new(what, "must be \"refuse\" or \"warn\"", help))
            }
        }
    }
}
