//! `ostler scale APP N`.

use super::{VerbError, app_name};
use crate::control::client::{Change, Client};
use crate::control::follow::follow;

/// Keeps so many workers; the number is judged by ostlerd, which knows the app.
pub(super) async fn run(client: &Client, app: &str, workers: i64, json: bool) -> Result<u8, VerbError> {
    follow(client, &Change::Scale(app_name(app)?, workers), "the change", json).await
}
