//! `ostler start APP`.

use super::{VerbError, app_name};
use crate::control::client::{Change, Client};
use crate::control::follow::follow;

/// Starts a stopped app.
pub(super) async fn run(client: &Client, app: &str, json: bool) -> Result<u8, VerbError> {
    follow(client, &Change::Start(app_name(app)?), "the start", json).await
}
