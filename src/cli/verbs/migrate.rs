//! `ostler migrate APP --plan`, `--history`: what there is to know of an app's migrations.

use crate::cli::client::Client;
use crate::cli::error::VerbError;
use crate::cli::follow::{explanation, next, still_read};
use crate::cli::screen::How;
use crate::cli::screen::{Screen, complain, say};
use crate::cli::{history, pending};
use crate::control::protocol::{StreamLine, exit};
use crate::supervise::{Command, Outcome};

/// Asks for a picture and prints it; what happens meanwhile is no part of it.
pub(super) async fn shown(client: &Client, command: &Command, how: How) -> Result<u8, VerbError> {
    let mut feed = client.command(command).await?;
    let (outcome, text) = loop {
        let Some(text) = next(&mut feed).await? else {
            return Err(VerbError::said(exit::UNREACHABLE, "ostlerd went away before it answered"));
        };
        match StreamLine::parse(&text) {
            StreamLine::Outcome(outcome) => break (outcome, text),
            StreamLine::Error(message, exit) => return Err(VerbError::said(exit, message)),
            StreamLine::Event(_) | StreamLine::Lagged(_) | StreamLine::Unknown(_) => {}
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
        complain(&explanation(&outcome, command.app(), how.verbose));
    }
    Ok(outcome.exit_status())
}
