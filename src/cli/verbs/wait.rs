//! `ostler wait [APP]`: how the rollouts end, as an exit status.

use std::time::Duration;

use serde::Serialize;

use crate::cli::client::{Client, ClientError};
use crate::cli::error::VerbError;
use crate::cli::screen::{complain, plain, say};
use crate::config::AppName;
use crate::control::protocol::{exit, no_such_app};
use crate::observe::{AppStatus, Status, answering, end_words, failure};
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

pub(super) fn is_under_way(app: &AppStatus) -> bool {
    let boots = matches!(app.state, AppState::Starting | AppState::Stopping);
    app.rollout.is_some() || boots
}

fn tell(apps: &[&AppStatus], json: bool) -> Result<u8, VerbError> {
    let mut code = 0;
    for app in apps {
        let end = AppEnd { app: &app.name, generation: answering(app), reason: failure(app) };
        if end.reason.is_some() {
            code = exit::FAILED;
        }
        match &end.reason {
            _ if json => say(&serde_json::to_string(&end).expect("names, numbers and text"))?,
            Some(_) => complain(&plain(&end_words(app))),
            None => say(&plain(&end_words(app)))?,
        }
    }
    Ok(code)
}

/// How it stands with an app of which nothing is under way.
#[derive(Serialize)]
struct AppEnd<'a> {
    app: &'a AppName,
    /// What serves; none where nothing does.
    generation: Option<GenerationId>,
    /// What did not end well.
    reason: Option<&'a str>,
}
