//! `ostler scale APP N`, `ostler scale APP auto`.

use super::{VerbError, app_name};
use crate::cli::client::{Change, Client};
use crate::cli::follow::follow;
use crate::cli::screen::How;
use crate::control::protocol::ScaleTo;

/// Keeps so many workers, or takes that back; the number is judged by ostlerd, which knows the app.
pub(super) async fn run(client: &Client, app: &str, workers: ScaleTo, how: How) -> Result<u8, VerbError> {
    let change = match workers {
        ScaleTo::Count(workers) => Change::Scale(app_name(app)?, workers),
        ScaleTo::Auto(_) => Change::Unscale(app_name(app)?),
    };
    follow(client, &change, "the change", how).await
}
