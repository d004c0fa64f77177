//! `ostler reexec`.

use std::time::Duration;

use crate::cli::client::Client;
use crate::cli::error::VerbError;
use crate::cli::follow::follow;
use crate::cli::screen::How;
use crate::supervise::Command;

/// From the answer to the new ostlerd's first.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has ostlerd become the binary that is on disk; returns when that answers.
pub(super) async fn run(client: &Client, how: How) -> Result<u8, VerbError> {
    // It ends with the ostlerd that it comes from.
    let mut events = client.events().await?;
    let status = follow(client, &Command::Reexec, how).await?;
    if status == 0 {
        let ended = async { while let Ok(Some(_)) = events.next().await {} };
        if tokio::time::timeout(PATIENCE, ended).await.is_ok() {
            client.status().await?;
        }
    }
    Ok(status)
}
