//! `ostler stop APP`.

use super::{VerbError, app_name};
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;

/// Drains an app and closes its listeners.
pub(super) async fn run(client: &Client, app: &str, how: How) -> Result<u8, VerbError> {
    follow(client, &Change::Stop(app_name(app)?), "the stop", how).await
}
