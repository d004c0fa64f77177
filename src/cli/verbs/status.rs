//! `ostler status [APP]`: how it is now.

use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::error::VerbError;
use crate::cli::screen::How;
use crate::cli::screen::{Screen, say};
use crate::cli::table;
use crate::control::protocol::{exit, no_such_app};
use crate::observe::{AppStatus, Status, failure};
use crate::supervise::AppState;

/// Prints the picture; 1 where something in it is wrong.
pub(super) async fn run(client: &Client, app: Option<&str>, how: How) -> Result<u8, VerbError> {
    let (mut status, mut text) = client.status().await?;
    if let Some(name) = app {
        if !status.apps.iter().any(|known| known.name.as_str() == name) {
            let why = no_such_app(name, status.apps.iter().map(|known| &known.name));
            return Err(VerbError::said(exit::USAGE, why));
        }
        status.apps.retain(|known| known.name.as_str() == name);
        text = only(&text, name);
    }
    if how.json {
        say(&text)?;
    } else {
        say(&table::render(&status, Screen::stdout(), how.verbose))?;
    }
    Ok(if is_well(&status) { 0 } else { exit::FAILED })
}

/// The status as it came, with one app: a newer ostlerd's fields stay in it.
fn only(text: &str, name: &str) -> String {
    let mut value: Value = serde_json::from_str(text).expect("it was parsed as a status before");
    if let Some(apps) = value.get_mut("apps").and_then(Value::as_array_mut) {
        apps.retain(|app| app["name"] == name);
    }
    value.to_string()
}

/// Whether a script may go on.
pub(super) fn is_well(status: &Status) -> bool {
    status.config.valid && status.apps.iter().all(app_is_well)
}

fn app_is_well(app: &AppStatus) -> bool {
    let migrated = app.last_migration.as_ref().is_none_or(|last| last.verdict.kind.is_good());
    failure(app).is_none() && migrated && app.state != AppState::Degraded
}
