//! `ostler top`: the picture, live, with keys for what is done most.
//!
//! Read in this order: `state` (what is shown, and what a key does), `dialog`, `draw` with `table` and `boxes`; then
//! `terminal` and `change`, which touch the world.

mod boxes;
mod change;
mod dialog;
mod draw;
mod ink;
mod key;
mod state;
mod table;
mod terminal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::observe::Status;

use super::client::{Client, ClientError};
use super::error::VerbError;
use super::screen::{Screen, complain, one_line};
use state::{KeyEffect, Top};
use terminal::{Said, TopTerminal};

/// How often a picture is taken.
const PERIOD: Duration = Duration::from_secs(1);

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Steps of changes that may wait to be shown.
const STEPS: usize = 256;

/// The exit status after a signal is 128 and its number.
const TERMINATED: u8 = 143;
const HUNG_UP: u8 = 129;

/// Shows the picture until somebody has seen enough; gives the exit status.
pub(super) async fn run(client: &Client, screen: Screen) -> Result<u8, VerbError> {
    // Where there is nothing to show yet, the error is as of every other verb.
    let first = client.glance().await?;
    let began = Instant::now();
    let mut top = Top::default();
    top.seen(&first, Duration::ZERO);
    let mut terminal = TopTerminal::open()?;
    let status = watch(client, screen, &mut top, &mut terminal, began).await;
    terminal.leave().await;
    for what in top.unfinished() {
        complain(&format!("ostler: the {what} goes on; watch it with `ostler events`"));
    }
    status
}

async fn watch(
    client: &Client,
    screen: Screen,
    top: &mut Top,
    terminal: &mut TopTerminal,
    began: Instant,
) -> Result<u8, VerbError> {
    let (mut terminated, mut hung_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupted = signal(SignalKind::interrupt())?;
    let (telling, mut heard) = mpsc::channel(STEPS);
    let mut tasks = JoinSet::new();
    let (taken, mut pictures) = mpsc::channel(1);
    tasks.spawn(look(client.clone(), taken));
    let mut stale = true;
    loop {
        if stale && terminal.is_free() {
            terminal.draw(|frame| draw::draw(frame, top, screen.colour, began.elapsed()))?;
            stale = false;
        }
        tokio::select! {
            biased;
            _ = terminated.recv() => return Ok(TERMINATED),
            _ = hung_up.recv() => return Ok(HUNG_UP),
            _ = interrupted.recv() => return Ok(0),
            said = terminal.said() => match said {
                Said::Drawn => {}
                Said::Gone => return Ok(HUNG_UP),
                Said::Event(event) => {
                    stale = true;
                    match key::key(&event).map(|key| top.key(key)) {
                        Some(KeyEffect::Quit) => return Ok(0),
                        Some(KeyEffect::Command(number, command)) => {
                            tasks.spawn(change::run(number, client.clone(), command, telling.clone()));
                        }
                        Some(KeyEffect::Nothing) | None => {}
                    }
                }
            },
            Some(it) = heard.recv() => match it {
                // Shown with the next picture.
                change::ChangeUpdate::Step(number, event) => top.step(number, &event),
                change::ChangeUpdate::End(number, ending) => {
                    top.ended(number, ending);
                    stale = true;
                }
            },
            Some(picture) = pictures.recv() => {
                match picture {
                    Ok(status) => top.seen(&status, began.elapsed()),
                    Err(error) => top.missed(why(&error), began.elapsed()),
                }
                stale = true;
            }
        }
    }
}

/// Takes pictures, one a second and no more than are looked at.
async fn look(client: Client, taken: mpsc::Sender<Result<Status, ClientError>>) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let picture = match timeout(PATIENCE, client.glance()).await {
            Ok(picture) => picture,
            Err(_) => Err(client.silent(PATIENCE)),
        };
        if taken.send(picture).await.is_err() {
            return;
        }
    }
}

fn why(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { .. } | ClientError::Broken { .. } => "ostlerd is not reachable".to_owned(),
        ClientError::Refused { message, .. } => one_line(message),
    }
}
