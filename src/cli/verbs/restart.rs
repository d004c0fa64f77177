//! `ostler restart APP`, with the release that is there or with another.

use std::path::Path;

use super::{VerbError, app_name};
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;
use crate::control::protocol::exit;

/// Rolls an app out anew; to `release`, where one is named; whatever its migrations break, where that is accepted.
pub(super) async fn run(
    client: &Client,
    app: &str,
    release: Option<&Path>,
    accept_breakage: bool,
    how: How,
) -> Result<u8, VerbError> {
    let app = app_name(app)?;
    let change = match release {
        None => Change::Restart(app),
        Some(release) => {
            let absolute = std::path::absolute(release).map_err(|error| {
                VerbError::said(exit::USAGE, format!("--release {}: {error}", release.display()))
            })?;
            let text = absolute.into_os_string().into_string().map_err(|_| {
                VerbError::said(exit::USAGE, "--release: the folder's name is not UTF-8; give it another")
            })?;
            Change::Release(app, text)
        }
    };
    follow(client, &change.accepting(accept_breakage), "the rollout", how).await
}
