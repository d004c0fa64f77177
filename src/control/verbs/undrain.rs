//! `ostler undrain`.

use super::VerbError;
use crate::control::client::{Change, Client};
use crate::control::follow::follow;

/// Ends the machine's drain.
pub(super) async fn run(client: &Client, json: bool) -> Result<u8, VerbError> {
    follow(client, &Change::Undrain, "the change", json).await
}
