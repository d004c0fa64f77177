//! The variable by which what an app's processes start is known as the app's: children inherit it.

use std::path::Path;

use crate::config::AppName;

/// The variable; its value is the runtime directory, a colon and the app.
const VARIABLE: &str = "OSTLER_APP";
/// What an app's processes carry.
#[derive(Clone, Debug)]
pub(super) struct Mark(String);

impl Mark {
    pub(super) fn of(runtime_directory: &Path, app: &AppName) -> Mark {
        Mark(format!("{}:{app}", runtime_directory.display()))
    }

    /// Name and value.
    pub(super) fn variable(&self) -> (String, String) {
        (VARIABLE.to_owned(), self.0.clone())
    }

    /// As it stands in an environment.
    pub(super) fn entry(&self) -> String {
        format!("{VARIABLE}={}", self.0)
    }

    /// Whose it is.
    pub(super) fn app(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, app)| app)
    }
}
