//! Why the demonstration cannot be given, or failed.

use std::io;
use std::path::PathBuf;

use crate::cli::client::ClientError;
use crate::cli::error::VerbError;
use crate::control::protocol::exit;

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum DemoError {
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
    pub(in crate::cli) fn exit_status(&self) -> u8 {
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
