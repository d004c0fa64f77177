//! `ostler rollback APP`.

use super::{VerbError, app_name};
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;

/// Rolls an app out to the release that ran before.
pub(super) async fn run(
    client: &Client,
    app: &str,
    accept_breakage: bool,
    how: How,
) -> Result<u8, VerbError> {
    let change = Change::Rollback(app_name(app)?).accepting(accept_breakage);
    follow(client, &change, "the rollout", how).await
}
