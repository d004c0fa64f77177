//! `ostler undrain`.

use super::VerbError;
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;

/// Ends the machine's drain.
pub(super) async fn run(client: &Client, how: How) -> Result<u8, VerbError> {
    follow(client, &Change::Undrain, "the change", how).await
}
