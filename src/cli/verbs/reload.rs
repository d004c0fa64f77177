//! `ostler reload`.

use super::VerbError;
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;

/// Puts the configuration on disk in force, or says what that would change.
pub(super) async fn run(client: &Client, dry_run: bool, how: How) -> Result<u8, VerbError> {
    match dry_run {
        true => follow(client, &Change::DryRun, "nothing", how).await,
        false => follow(client, &Change::Reload, "the reload", how).await,
    }
}
