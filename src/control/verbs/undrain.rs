//! `ostler undrain`.

use super::VerbError;
use crate::control::client::{Change, Client};
use crate::control::follow::follow;
use crate::control::screen::How;

/// Ends the machine's drain.
pub(super) async fn run(client: &Client, how: How) -> Result<u8, VerbError> {
    follow(client, &Change::Undrain, "the change", how).await
}
