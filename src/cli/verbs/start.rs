//! `ostler start APP`.

use super::{VerbError, app_name};
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;

/// Starts a stopped app.
pub(super) async fn run(client: &Client, app: &str, how: How) -> Result<u8, VerbError> {
    follow(client, &Change::Start(app_name(app)?), "the start", how).await
}
