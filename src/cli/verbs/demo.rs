//! `ostler demo`.

use crate::cli::arguments::Demo;
use crate::cli::demo::{self, DemoError};
use crate::cli::error::VerbError;

/// Makes the project and runs it; 1 where the demonstration fails, 130 where it is interrupted before it could begin.
pub(super) async fn run(arguments: Demo, json: bool) -> Result<u8, VerbError> {
    demo::run(arguments, json).await.map_err(|error| match error {
        DemoError::Output(error) => VerbError::Output(error),
        error => VerbError::said(error.exit_status(), error.to_string()),
    })
}
