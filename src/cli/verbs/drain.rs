//! `ostler drain [--for DURATION]`: readiness fails; a countdown until the edge has noticed.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::client::Client;
use crate::cli::error::VerbError;
use crate::cli::follow::{explanation, next, still_read};
use crate::cli::screen::{Colour, Screen, complain, duration, one_line, say};
use crate::control::protocol::{StreamLine, exit};
use crate::supervise::{Command, Outcome, interrupted};

const REDRAW: Duration = Duration::from_millis(200);

/// How the wait is shown.
enum DrainDisplay {
    Json,
    Line,
    Live(ProgressBar),
}

/// Drains, and stays until the edge has noticed.
pub(super) async fn run(client: &Client, command: &Command, json: bool) -> Result<u8, VerbError> {
    let screen = Screen::stdout();
    let show = match (json, screen.live) {
        (true, _) => DrainDisplay::Json,
        (false, true) => DrainDisplay::Live(bar()?),
        (false, false) => DrainDisplay::Line,
    };
    tokio::select! {
        biased;
        signalled = tokio::signal::ctrl_c() => {
            signalled?;
            show.end();
            complain(&format!("ostler: {}", interrupted(command)));
            Ok(exit::INTERRUPTED)
        }
        outcome = to_the_end(client, command, &show) => {
            show.end();
            finish(&outcome?, screen, json)
        }
    }
}

async fn to_the_end(client: &Client, command: &Command, show: &DrainDisplay) -> Result<Outcome, VerbError> {
    let mut feed = client.command(command).await?;
    // A drain that is joined began earlier: only the status knows when.
    let (status, _) = client.status().await?;
    let wait = status.drain.map_or(0.0, |drain| drain.edge_wait_seconds);
    let until = Instant::now() + Duration::try_from_secs_f64(wait).unwrap_or_default();
    still_read(show.begin(wait))?;
    let mut tick = interval(REDRAW);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let text = tokio::select! {
            text = next(&mut feed) => text?,
            _ = tick.tick() => {
                show.count_down(until.saturating_duration_since(Instant::now()));
                continue;
            }
        };
        let Some(text) = text else {
            let why = "ostlerd went away before the edge had noticed; look with `ostler status`";
            return Err(VerbError::said(exit::UNREACHABLE, why));
        };
        if let DrainDisplay::Json = show {
            still_read(say(&text))?;
        }
        match StreamLine::parse(&text) {
            StreamLine::Outcome(outcome) => return Ok(outcome),
            StreamLine::Error(message, exit) => return Err(VerbError::said(exit, message)),
            StreamLine::Event(_) | StreamLine::Lagged(_) | StreamLine::Unknown(_) => {}
        }
    }
}

fn finish(outcome: &Outcome, screen: Screen, json: bool) -> Result<u8, VerbError> {
    match outcome {
        Outcome::Done { message, .. } if !json => {
            still_read(say(&screen.paint(Colour::Green, &one_line(message))))?
        }
        Outcome::Done { .. } => {}
        _ => complain(&explanation(outcome, None, false)),
    }
    Ok(outcome.exit_status())
}

fn bar() -> io::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {msg}").map_err(io::Error::other)?;
    Ok(ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style))
}

impl DrainDisplay {
    fn begin(&self, wait: f64) -> io::Result<()> {
        match self {
            DrainDisplay::Line if wait > 0.0 => {
                say(&format!("draining: readiness fails; the edge notices within {}", duration(wait)))
            }
            _ => Ok(()),
        }
    }

    fn count_down(&self, left: Duration) {
        if let DrainDisplay::Live(bar) = self {
            let left = duration(left.as_secs_f64().ceil());
            bar.set_message(format!("draining: readiness fails; the edge stops sending within {left}"));
            bar.tick();
        }
    }

    fn end(&self) {
        if let DrainDisplay::Live(bar) = self {
            bar.finish_and_clear();
        }
    }
}
