//! The page, live: each picture is drawn once for all who watch.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{frame, host};
use crate::observe::Board;
use crate::observe::health::Sources;

/// Pictures come no faster than this, whatever happens,
const FASTEST: Duration = Duration::from_millis(500);

/// and no slower: whoever watches knows by it that ostlerd lives.
const SLOWEST: Duration = Duration::from_secs(1);

/// Draws for as long as somebody watches, and sleeps as long as nobody does; ends with the pictures' source.
pub async fn draw(mut sources: Sources) {
    let viewers = sources.viewers.clone();
    loop {
        viewers.came().await;
        while !viewers.is_empty() {
            viewers.show(&sources.judged(|judge| {
                let board = Board::new(judge.status, judge.vitals.trend());
                frame(&board, &judge.machine(|_| false), host())
            }));
            sleep(FASTEST).await;
            if let Ok(Err(_)) = timeout(SLOWEST - FASTEST, sources.status.changed()).await {
                return;
            }
        }
    }
}
