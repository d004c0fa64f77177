//! `ostler top`: how it is and how it goes, live.

use std::io::{self, IsTerminal};

use crate::cli::client::Client;
use crate::cli::error::VerbError;
use crate::cli::screen::Screen;
use crate::cli::top;
use crate::control::protocol::exit;

/// Shows it, where there is a terminal to show it on.
pub(super) async fn run(client: &Client, json: bool) -> Result<u8, VerbError> {
    let screen = Screen::stdout();
    if json {
        let why =
            "top is for people; for programs there are `ostler status --json` and `ostler events --json`";
        return Err(VerbError::said(exit::USAGE, why));
    }
    if !screen.live || !io::stdin().is_terminal() {
        let why = "top needs a terminal that it can draw on (TERM=dumb cannot be drawn on); elsewhere there is `ostler status`";
        return Err(VerbError::said(exit::USAGE, why));
    }
    top::run(client, screen).await
}
