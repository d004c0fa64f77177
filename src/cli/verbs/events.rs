//! `ostler events`: what happens, as it happens.

use std::time::SystemTime;

use crate::cli::client::{Client, ClientError};
use crate::cli::error::VerbError;
use crate::cli::screen::{Colour, Screen, plain, say};
use crate::cli::sentence::sentence;
use crate::control::protocol::{StreamLine, exit};

/// Prints every line until ostlerd goes away (69) or the reader does.
pub(super) async fn run(client: &Client, json: bool) -> Result<u8, VerbError> {
    let screen = Screen::stdout();
    let mut feed = client.events().await?;
    loop {
        let line = match feed.next().await {
            Ok(Some(line)) => line,
            Ok(None) | Err(ClientError::Broken { .. }) => {
                return Err(VerbError::said(exit::UNREACHABLE, "ostlerd went away; no more events"));
            }
            Err(error) => return Err(error.into()),
        };
        if json {
            say(&line)?;
            continue;
        }
        let now =
            screen.paint(Colour::Faint, &humantime::format_rfc3339_millis(SystemTime::now()).to_string());
        match StreamLine::parse(&line) {
            StreamLine::Event(event) => say(&format!("{now}  {}", sentence(screen, &event)))?,
            StreamLine::Lagged(missed) => {
                say(&format!("{now}  ({missed} events were missed: this reader is too slow)"))?
            }
            StreamLine::Outcome(_) | StreamLine::Error(..) | StreamLine::Unknown(_) => {
                say(&format!("{now}  {}", plain(&line)))?
            }
        }
    }
}
