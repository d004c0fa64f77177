//! `ostler scale APP N`, `ostler scale APP auto`.

use super::{VerbError, app_name};
use crate::control::client::{Change, Client};
use crate::control::follow::follow;
use crate::control::protocol::ScaleTo;
use crate::control::screen::How;

/// Keeps so many workers, or takes that back; the number is judged by ostlerd, which knows the app.
pub(super) async fn run(client: &Client, app: &str, workers: ScaleTo, how: How) -> Result<u8, VerbError> {
    let change = match workers {
        ScaleTo::Count(workers) => Change::Scale(app_name(app)?, workers),
        ScaleTo::Auto(_) => Change::Unscale(app_name(app)?),
    };
    follow(client, &change, "the change", how).await
}
