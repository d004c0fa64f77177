//! Why a verb could not be done, and the exit status for it.

use std::io;

use super::client::ClientError;
use crate::config::AppName;
use crate::control::protocol::exit;

/// Why a verb could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerbError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{message}")]
    Said { message: String, exit: u8 },
    #[error("failed to write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl VerbError {
    pub(super) fn said(exit: u8, message: impl Into<String>) -> VerbError {
        VerbError::Said { message: message.into(), exit }
    }

    pub(super) fn exit_status(&self) -> u8 {
        match self {
            VerbError::Client(error) => error.exit_status(),
            VerbError::Said { exit, .. } => *exit,
            VerbError::Output(_) => exit::FAILED,
        }
    }
}

/// An app's name as typed.
pub(super) fn app_name(text: &str) -> Result<AppName, VerbError> {
    text.parse().map_err(|why: String| VerbError::said(exit::USAGE, why))
}
