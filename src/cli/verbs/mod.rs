//! The verbs of `ostler`, a file each.

mod check;
mod demo;
mod drain;
mod edge;
mod events;
mod images;
mod import;
mod migrate;
#[cfg(test)]
mod outcomes;
mod reexec;
mod status;
mod top;
mod wait;

use std::io;

use super::arguments::{Common, Verb};
use super::client::Client;
use super::commands::CommandVerb;
use super::error::VerbError;
use super::follow::follow;
use super::logs;
use super::screen::{complain, plain, say};
use crate::control::protocol::{RequestRefusal, exit};
use crate::supervise::Command;

/// Does what the arguments say; gives the exit status.
pub(super) async fn run(verb: Verb, common: Common) -> u8 {
    let client = Client::new(&common.socket);
    let done = match verb {
        Verb::Status { app } => status::run(&client, app.as_deref(), common.how).await,
        Verb::Top => top::run(&client, common.how.json).await,
        Verb::Command(verb) => give(&client, verb, &common).await,
        Verb::Images(arguments) => images::run(&client, arguments, &common).await,
        Verb::Wait { app } => wait::run(&client, app.as_deref(), common.how.json).await,
        Verb::Check { file } => check::run(&file, common.how.json),
        Verb::Import(arguments) => import::run(&arguments, common.how.json),
        Verb::Events => events::run(&client, common.how.json).await,
        Verb::Logs(arguments) => logs::run(&client, &arguments, common.how.json).await,
        Verb::Demo(arguments) => demo::run(arguments, common.how.json).await,
        Verb::Edge(arguments) => edge::run(&client, *arguments, &common).await,
    };
    match done {
        Ok(status) => status,
        // Whoever read this has seen enough.
        Err(VerbError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let refusal = RequestRefusal { error: error.to_string(), exit: error.exit_status() };
            if common.how.json {
                let text = serde_json::to_string(&refusal).expect("a refusal is text and a number");
                // Standard error says it as well.
                let _ = say(&text);
            }
            complain(&format!("ostler: {}", plain(&refusal.error)));
            refusal.exit
        }
    }
}

/// Gives a command and stays with it to its end.
async fn give(client: &Client, mut verb: CommandVerb, common: &Common) -> Result<u8, VerbError> {
    let how = common.how;
    if let CommandVerb::Restart { app, release, image: image @ Some(_), .. } = &mut verb
        && let Some(reference) = image.take()
    {
        *release = Some(images::before_restart(client, app, &reference, common).await?);
    }
    let command = verb.command()?;
    match &command {
        Command::MigrationPlan { .. } | Command::MigrationHistory { .. } => {
            migrate::shown(client, &command, how).await
        }
        Command::Drain { .. } => drain::run(client, &command, how.json).await,
        Command::Reexec => reexec::run(client, how).await,
        _ => follow(client, &command, how).await,
    }
}

/// Prints the apps' names, for completions: where they cannot be had, nothing is said.
pub(super) async fn names(common: &Common) -> u8 {
    let Ok((status, _)) = Client::new(&common.socket).status().await else { return exit::FAILED };
    let names: Vec<&str> = status.apps.iter().map(|app| app.name.as_str()).collect();
    match names.is_empty() {
        true => 0,
        false => say(&names.join("\n")).map_or(exit::FAILED, |()| 0),
    }
}
