//! `ostler wait [APP]`: how the rollouts end, as an exit status.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::VerbError;
use crate::config::AppName;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{exit, no_such_app};
use crate::control::screen::{complain, plain, say};
use crate::observe::{AppStatus, Status};
use crate::supervise::{AppState, GenerationId};

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(200);

/// How long an ostlerd that is being restarted may be away.
const AWAY: u32 = 50;

/// Waits until nothing is under way; 1 where something did not end well.
pub(super) async fn run(client: &Client, app: Option<&str>, json: bool) -> Result<u8, VerbError> {
    let mut away = 0;
    loop {
        match client.status().await {
            Ok((status, _)) => {
                away = 0;
                let apps = chosen(&status, app)?;
                if !apps.iter().any(|app| is_under_way(app)) {
                    return tell(&apps, json);
                }
            }
            // Only one that was there can be away.
            Err(ClientError::Unreachable { .. } | ClientError::Broken { .. }) if 0 < away && away < AWAY => {}
            Err(error) => return Err(error.into()),
        }
        away += 1;
        tokio::time::sleep(PERIOD).await;
    }
}

fn chosen<'a>(status: &'a Status, app: Option<&str>) -> Result<Vec<&'a AppStatus>, VerbError> {
    let Some(name) = app else { return Ok(status.apps.iter().collect()) };
    match status.apps.iter().find(|known| known.name.as_str() == name) {
        Some(app) => Ok(vec![app]),
        None => {
            let why = no_such_app(name, status.apps.iter().map(|known| &known.name));
            Err(VerbError::said(exit::USAGE, why))
        }
    }
}

fn is_under_way(app: &AppStatus) -> bool {
    let boots = matches!(app.state, AppState::Starting | AppState::Stopping);
    app.rollout.is_some() || boots
}

fn tell(apps: &[&AppStatus], json: bool) -> Result<u8, VerbError> {
    let mut code = 0;
    for end in apps.iter().map(|app| End::of(app)) {
        if end.reason.is_some() {
            code = exit::FAILED;
        }
        match &end.reason {
            _ if json => say(&serde_json::to_string(&end).expect("names, numbers and text"))?,
            Some(_) => complain(&plain(&end.to_string())),
            None => say(&end.to_string())?,
        }
    }
    Ok(code)
}

/// How it stands with an app of which nothing is under way.
#[derive(Serialize)]
struct End<'a> {
    app: &'a AppName,
    /// What serves; none where it is stopped, or failed from the first.
    generation: Option<GenerationId>,
    /// What did not end well.
    reason: Option<&'a str>,
}

impl<'a> End<'a> {
    fn of(app: &'a AppStatus) -> End<'a> {
        let reason = match &app.last_rollout {
            Some(last) if !last.committed => Some(last.reason.as_deref().unwrap_or("rolled back")),
            _ if app.state == AppState::Failed => Some(app.problem.as_deref().unwrap_or("failed")),
            _ => None,
        };
        // What could not be prepared names its app already.
        let own = format!("{}: ", app.name);
        let reason = reason.map(|reason| reason.strip_prefix(&own).unwrap_or(reason));
        End { app: &app.name, generation: app.generation, reason }
    }
}

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.app;
        match (self.reason, self.generation) {
            (Some(why), Some(serving)) => write!(f, "{name}: {why}; generation {serving} goes on serving"),
            (Some(why), None) => write!(f, "{name}: {why}"),
            (None, Some(generation)) => write!(f, "{name}: generation {generation} serves"),
            (None, None) => write!(f, "{name}: stopped"),
        }
    }
}
