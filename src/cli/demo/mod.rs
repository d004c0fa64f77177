//! `ostler demo`: a small Django project, made and run for a first look; with `--once`, a play that judges itself.
//!
//! `files` makes the folder, with `python` the virtual environment, and the configuration; `daemon` runs the `ostlerd` that lies
//! beside this command; `load` sends requests and classifies what is lost; `once` is the play.

mod daemon;
mod error;
mod files;
mod load;
mod once;
mod project;
mod python;

use serde_json::json;

use super::arguments::Demo;
use super::client::Client;
use super::screen::{complain, plain, say};
use crate::config::counted;
use daemon::{LogTarget, Ostlerd};
pub(super) use error::DemoError;
use files::DemoFiles;
use once::interrupted;

/// Gives the demonstration; the exit status is 1 where the play fails.
pub(super) async fn run(arguments: Demo, json: bool) -> Result<u8, DemoError> {
    if !arguments.once {
        return in_the_foreground(&make(arguments, json).await?, json).await;
    }
    let played = match make(arguments, json).await {
        Ok(files) => judged(&files, json).await,
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

async fn make(arguments: Demo, json: bool) -> Result<DemoFiles, DemoError> {
    daemon::is_there()?;
    tokio::select! {
        biased;
        () = interrupted() => Err(DemoError::Interrupted),
        made = tokio::task::spawn_blocking(move || DemoFiles::make(&arguments, json)) => {
            made.map_err(|panic| DemoError::Play(panic.to_string()))?
        }
    }
}

/// Plays it, and leaves nothing behind.
async fn judged(files: &DemoFiles, json: bool) -> Result<u64, DemoError> {
    let played = once::play(files, json).await;
    let left = files.sweep();
    let played = match played {
        Ok(_) if left > 0 => {
            Err(DemoError::Play(format!("{} left after ostlerd had ended", counted(left, "process"))))
        }
        played => played,
    };
    if played.is_err()
        && let Some(log) = files.end_of_log()
    {
        complain(&format!("the end of ostlerd's log:\n{}", plain(&log)));
    }
    played
}

/// Runs it until Ctrl-C, or until ostlerd ends by itself.
async fn in_the_foreground(files: &DemoFiles, json: bool) -> Result<u8, DemoError> {
    let mut ostlerd = Ostlerd::start(files, LogTarget::Terminal)?;
    let client = Client::new(&files.socket());
    let served = tokio::select! {
        biased;
        () = interrupted() => Err(DemoError::Interrupted),
        served = async {
            ostlerd.until_serving(&client).await?;
            invite(files, json)?;
            ostlerd.until_ended().await
        } => served,
    };
    let interrupted = matches!(served, Err(DemoError::Interrupted));
    if interrupted {
        complain("\nstopping: the workers finish what they have");
    }
    let stopped = ostlerd.stop().await;
    files.sweep();
    if interrupted { stopped.map(|()| 0) } else { served.map(|()| 0) }
}

fn invite(files: &DemoFiles, json: bool) -> Result<(), DemoError> {
    let (url, socket) = (files.url(), files.socket());
    if json {
        say(&json!({"url": url, "socket": socket, "directory": files.project()}).to_string())?;
        return Ok(());
    }
    let command = std::env::current_exe().unwrap_or_else(|_| "ostler".into());
    let command = command.display();
    let end = if files.is_kept() { "stops it." } else { "stops it and removes the folder." };
    say(&format!(
        "\nA small Django shop is at {url}\n\nTry this in another terminal:\n\n  \
         export OSTLER_SOCKET={}\n  {command} status\n  {command} events\n\n  \
         $EDITOR {}      # change VERSION, or break it\n  {command} restart shop\n  {command} scale shop 4\n\n\
         Ctrl-C {end}\n",
        socket.display(),
        files.views().display(),
    ))?;
    Ok(())
}
