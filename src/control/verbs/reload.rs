//! `ostler reload`.

use super::VerbError;
use crate::control::client::{Change, Client};
use crate::control::follow::follow;

/// Puts the configuration on disk in force.
pub(super) async fn run(client: &Client, json: bool) -> Result<u8, VerbError> {
    follow(client, &Change::Reload, "the reload", json).await
}
