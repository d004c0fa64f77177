//! The names of systemd's units that an app's processes are in.

use crate::config::AppName;

/// The slice of everything that ostlerd starts.
pub const SLICE: &str = "ostler";

/// The slice of an app.
pub fn slice_of(app: &AppName) -> String {
    format!("{SLICE}-{}.slice", escaped(app))
}

/// A scope of an app: of a generation (`g7`), of a migration (`migrate`).
pub fn scope_of(app: &AppName, of: &str) -> String {
    format!("{SLICE}-{}-{of}.scope", escaped(app))
}

/// As systemd escapes it: a dash in a slice's name is a step down. An app's name has nothing else to escape.
fn escaped(app: &AppName) -> String {
    app.as_str().replace('-', "\\x2d")
}
