//! What ostlerd says of the apps that it serves.

use super::client::{Client, ClientError};
use super::error::VerbError;
use super::follow::{explanation, next};
use crate::control::protocol::{StreamLine, exit};
use crate::plan::Served;
use crate::supervise::{Command, Outcome};

/// Asks for it; where no ostlerd runs, the error says what may be asked instead.
pub(super) async fn ask(client: &Client) -> Result<Served, VerbError> {
    let mut feed = match client.command(&Command::Served).await {
        Err(error @ ClientError::Unreachable { .. }) => {
            let why = format!("{error}; without ostlerd, --config FILE goes by the files alone");
            return Err(VerbError::said(exit::UNREACHABLE, why));
        }
        feed => feed?,
    };
    loop {
        let Some(text) = next(&mut feed).await? else {
            return Err(VerbError::said(exit::UNREACHABLE, "ostlerd went away before it answered"));
        };
        match StreamLine::parse(&text) {
            StreamLine::Outcome(Outcome::Served { served }) => return Ok(*served),
            StreamLine::Outcome(other) => {
                return Err(VerbError::said(other.exit_status(), explanation(&other, None, false)));
            }
            StreamLine::Error(message, exit) => return Err(VerbError::said(exit, message)),
            StreamLine::Event(_) | StreamLine::Lagged(_) | StreamLine::Unknown(_) => {}
        }
    }
}
