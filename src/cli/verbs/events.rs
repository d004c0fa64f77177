//! `ostler events`: what happens, as it happens.

use std::time::SystemTime;

use super::VerbError;
use crate::cli::client::{Client, ClientError};
use crate::cli::screen::{Ink, Screen, one_line, plain, say};
use crate::control::protocol::{Line, exit};
use crate::supervise::{Level, News};

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
        let now = screen.paint(Ink::Faint, &humantime::format_rfc3339_millis(SystemTime::now()).to_string());
        match Line::parse(&line) {
            Line::News(news) => say(&format!("{now}  {}", sentence(screen, &news)))?,
            Line::Lagged(missed) => {
                say(&format!("{now}  ({missed} events were missed: this reader is too slow)"))?
            }
            Line::Outcome(_) | Line::Error(..) | Line::Unknown(_) => {
                say(&format!("{now}  {}", plain(&line)))?
            }
        }
    }
}

/// `shop  worker w3 of g2 ready after 0.41 s (1 of 4)`, in the colour of its level.
pub(in crate::cli) fn sentence(screen: Screen, news: &News) -> String {
    let words = one_line(&news.happening.to_string());
    let words = match news.happening.level() {
        Level::Info => words,
        Level::Warn => screen.paint(Ink::Yellow, &words),
        Level::Error => screen.paint(Ink::Red, &words),
    };
    format!("{}  {words}", screen.paint(Ink::Bold, news.app.as_str()))
}
