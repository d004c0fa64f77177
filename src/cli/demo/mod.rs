//! `ostler demo`: a small Django project, made and run for a first look; with `--once`, a play that judges itself.
//!
//! `stage` makes the folder, with `python` the virtual environment, and the configuration; `daemon` runs the `ostlerd` that lies
//! beside this command; `load` sends requests and classifies what is lost; `once` is the play.

mod daemon;
mod load;
mod once;
mod project;
mod python;
mod stage;

use std::io;
use std::path::PathBuf;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::Demo;
use super::client::{Client, ClientError};
use super::error::VerbError;
use super::screen::{complain, plain, say};
use crate::config::counted;
use crate::control::protocol::exit;
use daemon::{Ostlerd, Output};
use stage::Stage;

/// Why the demonstration cannot be given, or failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("failed to {what} {}: {source}", .path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "no usable Python: {0}; `apt-get install python3-venv` (Debian, Ubuntu) or `dnf install python3`, or give one with --python"
    )]
    Python(String),
    #[error(
        "{} is there already, and `ostler demo` has not made it: nothing of it is touched; name another folder with --dir",
        .0.display()
    )]
    NotOurs(PathBuf),
    #[error("`{command}` failed:\n{output}")]
    Command { command: String, output: String },
    #[error("failed to start {}, which must lie beside the `ostler` command: {source}", .path.display())]
    NoDaemon { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Play(String),
    #[error("interrupted")]
    Interrupted,
    #[error("failed to write: {0}")]
    Output(#[from] io::Error),
}

impl DemoError {
    /// The exit status of a demonstration that ends with this.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            DemoError::Interrupted => exit::INTERRUPTED,
            _ => exit::FAILED,
        }
    }
}

impl From<VerbError> for DemoError {
    fn from(error: VerbError) -> DemoError {
        match error {
            VerbError::Client(error) => DemoError::Client(error),
            VerbError::Output(error) => DemoError::Output(error),
            VerbError::Said { message, .. } => DemoError::Play(message),
        }
    }
}

/// Gives the demonstration; the exit status is 1 where the play fails.
pub(super) async fn run(arguments: Demo, json: bool) -> Result<u8, DemoError> {
    if !arguments.once {
        return in_the_foreground(&make(arguments, json).await?, json).await;
    }
    let played = match make(arguments, json).await {
        Ok(stage) => judged(&stage, json).await,
        Err(error) => Err(error),
    };
    match played {
        Ok(requests) => {
            if json {
                say(&json!({"demo": "ok", "requests": requests, "lost": 0}).to_string())?;
            } else {
                say(&format!("demo: ok — {requests} requests, 0 lost"))?;
            }
            Ok(0)
        }
        Err(DemoError::Output(error)) => Err(DemoError::Output(error)),
        Err(error) => {
            if json {
                say(&json!({"demo": "failed", "reason": error.to_string()}).to_string())?;
            } else {
                say(&format!("demo: FAILED: {error}"))?;
            }
            Ok(error.exit_status())
        }
    }
}

async fn make(arguments: Demo, json: bool) -> Result<Stage, DemoError> {
    daemon::is_there()?;
    tokio::select! {
        biased;
        () = interrupted() => Err(DemoError::Interrupted),
        made = tokio::task::spawn_blocking(move || Stage::make(&arguments, json)) => {
            made.map_err(|panic| DemoError::Play(panic.to_string()))?
        }
    }
}

/// Plays it, and leaves nothing behind.
async fn judged(stage: &Stage, json: bool) -> Result<u64, DemoError> {
    let played = once::play(stage, json).await;
    let left = stage.sweep();
    let played = match played {
        Ok(_) if left > 0 => {
            Err(DemoError::Play(format!("{} left after ostlerd had ended", counted(left, "process"))))
        }
        played => played,
    };
    if played.is_err()
        && let Some(log) = stage.end_of_log()
    {
        complain(&format!("the end of ostlerd's log:\n{}", plain(&log)));
    }
    played
}

/// Runs it until Ctrl-C, or until ostlerd ends by itself.
async fn in_the_foreground(stage: &Stage, json: bool) -> Result<u8, DemoError> {
    let mut ostlerd = Ostlerd::start(stage, Output::Terminal)?;
    let client = Client::new(&stage.socket());
    let served = tokio::select! {
        biased;
        () = interrupted() => Err(DemoError::Interrupted),
        served = async {
            ostlerd.until_serving(&client).await?;
            invite(stage, json)?;
            ostlerd.until_ended().await
        } => served,
    };
    let interrupted = matches!(served, Err(DemoError::Interrupted));
    if interrupted {
        complain("\nstopping: the workers finish what they have");
    }
    let stopped = ostlerd.stop().await;
    stage.sweep();
    if interrupted { stopped.map(|()| 0) } else { served.map(|()| 0) }
}

fn invite(stage: &Stage, json: bool) -> Result<(), DemoError> {
    let (url, socket) = (stage.url(), stage.socket());
    if json {
        say(&json!({"url": url, "socket": socket, "directory": stage.project()}).to_string())?;
        return Ok(());
    }
    let command = std::env::current_exe().unwrap_or_else(|_| "ostler".into());
    let command = command.display();
    let end = if stage.is_kept() { "stops it." } else { "stops it and removes the folder." };
    say(&format!(
        "\nA small Django shop is at {url}\n\nTry this in another terminal:\n\n  \
         export OSTLER_SOCKET={}\n  {command} status\n  {command} events\n\n  \
         $EDITOR {}      # change VERSION, or break it\n  {command} restart shop\n  {command} scale shop 4\n\n\
         Ctrl-C {end}\n",
        socket.display(),
        stage.views().display(),
    ))?;
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn interrupted() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        // Without handlers the default action ends the process.
        Err(_) => std::future::pending().await,
    }
}
