//! A program that shows in the place of this command, and does not outlive it.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::error::VerbError;
use crate::control::protocol::exit;

pub(super) struct LogProgram {
    pub(super) name: &'static str,
    /// What brings it.
    pub(super) of: &'static str,
}

impl LogProgram {
    /// Why it cannot be run.
    pub(super) fn missing(&self, error: &io::Error) -> VerbError {
        let (name, of) = (self.name, self.of);
        let why = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no {name} here, which reads the log: install {of}"),
            _ => format!("cannot run {name}: {error}"),
        };
        VerbError::said(exit::FAILED, why)
    }
}

/// Runs it to its end, or to that of the one who reads.
pub(super) async fn run(program: &LogProgram, arguments: &[String]) -> Result<u8, VerbError> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut child = Command::new(program.name)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| program.missing(&error))?;
    let ended = tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            return Ok(exit::INTERRUPTED);
        }
        _ = terminated.recv() => return Ok(128 + Signal::SIGTERM as u8),
        ended = child.wait() => ended?,
    };
    // journalctl notices by itself that its reader has gone, and calls that a failure.
    match ended.success() || ended.signal() == Some(Signal::SIGPIPE as i32) || reader_is_gone() {
        true => Ok(0),
        // A terminal interrupts both.
        false if ended.signal() == Some(Signal::SIGINT as i32) => Ok(exit::INTERRUPTED),
        // It has said why itself.
        false => Ok(exit::FAILED),
    }
}

/// Whether standard output is a pipe that nobody reads any more.
fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut look = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    poll(&mut look, PollTimeout::ZERO).is_ok()
        && look[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLERR))
}
