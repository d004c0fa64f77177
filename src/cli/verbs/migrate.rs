//! `ostler migrate APP`: the app's databases, brought up to date and nothing rolled out; and what there is to know.

use super::{VerbError, app_name};
use crate::cli::arguments::Migrate;
use crate::cli::client::{Change, Client};
use crate::cli::follow::{explanation, follow, next, still_read};
use crate::cli::screen::How;
use crate::cli::screen::{Screen, complain, say};
use crate::cli::{history, pending};
use crate::config::AppName;
use crate::control::protocol::{Line, exit};
use crate::supervise::Outcome;

/// Does the one thing that the arguments ask for.
pub(super) async fn run(client: &Client, arguments: &Migrate, how: How) -> Result<u8, VerbError> {
    let app = app_name(&arguments.app)?;
    match arguments {
        Migrate { plan: true, .. } => shown(client, app, Change::MigrationPlan, how).await,
        Migrate { history: true, .. } => shown(client, app, Change::MigrationHistory, how).await,
        Migrate { abort: true, .. } => {
            follow(client, &Change::AbortMigration(app), "the end of the migration", how).await
        }
        Migrate { resolve: true, .. } => follow(client, &Change::ResolveMigration(app), "nothing", how).await,
        _ => {
            let change = Change::Migrate(app).accepting(arguments.accept_breakage);
            follow(client, &change, "the migration", how).await
        }
    }
}

/// Asks for a picture and prints it; what happens meanwhile is no part of it.
async fn shown(
    client: &Client,
    app: AppName,
    change: fn(AppName) -> Change,
    how: How,
) -> Result<u8, VerbError> {
    let name = app.clone();
    let mut feed = client.change(&change(app)).await?;
    let (outcome, text) = loop {
        let Some(text) = next(&mut feed).await? else {
            return Err(VerbError::said(exit::UNREACHABLE, "ostlerd went away before it answered"));
        };
        match Line::parse(&text) {
            Line::Outcome(outcome) => break (outcome, text),
            Line::Error(message, exit) => return Err(VerbError::said(exit, message)),
            Line::News(_) | Line::Lagged(_) | Line::Unknown(_) => {}
        }
    };
    let screen = Screen::stdout();
    match &outcome {
        _ if how.json => still_read(say(&text))?,
        Outcome::MigrationsPending { databases } => say(&pending::render(databases, screen))?,
        Outcome::MigrationHistory { runs } => say(&history::render(runs, screen))?,
        _ => {}
    }
    if outcome.exit_status() != 0 {
        complain(&explanation(&outcome, Some(&name), how.verbose));
    }
    Ok(outcome.exit_status())
}
