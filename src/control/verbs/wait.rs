//! `ostler wait [APP]`: how the rollouts end, as an exit status.

use std::time::Duration;

use super::VerbError;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{exit, no_such_app};
use crate::control::screen::{complain, plain, say};
use crate::observe::{AppStatus, Status};
use crate::supervise::AppState;

/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(200);

/// How long an ostlerd that is being restarted may be away.
const AWAY: u32 = 50;

/// Waits until nothing is under way; 1 where something did not end well.
pub(super) async fn run(client: &Client, app: Option<&str>) -> Result<u8, VerbError> {
    let mut away = 0;
    loop {
        match client.status().await {
            Ok((status, _)) => {
                away = 0;
                let apps = chosen(&status, app)?;
                if !apps.iter().any(|app| is_under_way(app)) {
                    return tell(&apps);
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

fn tell(apps: &[&AppStatus]) -> Result<u8, VerbError> {
    let mut code = 0;
    for app in apps {
        let name = &app.name;
        let why = match &app.last_rollout {
            Some(last) if !last.committed => last.reason.clone().or_else(|| Some("rolled back".to_owned())),
            _ if app.state == AppState::Failed => app.problem.clone().or_else(|| Some("failed".to_owned())),
            _ => None,
        };
        match (why, app.generation) {
            (Some(why), serving) => {
                code = exit::FAILED;
                let rest =
                    serving.map_or_else(String::new, |it| format!("; generation {it} goes on serving"));
                complain(&plain(&format!("{name}: {why}{rest}")));
            }
            (None, Some(generation)) => say(&format!("{name}: generation {generation} serves"))?,
            (None, None) => say(&format!("{name}: stopped"))?,
        }
    }
    Ok(code)
}
