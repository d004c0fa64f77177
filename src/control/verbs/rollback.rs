//! `ostler rollback APP`.

use super::{VerbError, app_name};
use crate::control::client::{Change, Client};
use crate::control::follow::follow;
use crate::control::screen::How;

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
