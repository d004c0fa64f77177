//! How much may be read of somebody who never stops: enough for everybody, and never so much that others wait.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So much may come at once.
const BURST: Duration = Duration::from_millis(200);
/// What a message costs: it goes through the core, and the picture is made anew.
const MESSAGE: Duration = Duration::from_millis(1);
/// What so many bytes cost.
const PIECE: usize = 64 * 1024;
const PIECE_COSTS: Duration = Duration::from_millis(5);

/// Reading that costs time; who is not let read goes on waiting, and so does the writer, with a full pipe.
#[derive(Debug)]
pub(super) struct Pace {
    paid_until: Instant,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { paid_until: Instant::now() }
    }

    /// Waits until more may be read.
    pub(super) async fn turn(&self) {
        let from = self.paid_until.checked_sub(BURST).unwrap_or(self.paid_until);
        if from > Instant::now() {
            sleep_until(from).await;
        }
    }

    /// This was read.
    pub(super) fn took(&mut self, bytes: usize, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let cost = MESSAGE.saturating_mul(messages) + PIECE_COSTS.mul_f64(bytes as f64 / PIECE as f64);
        self.paid_until = self.paid_until.max(Instant::now()) + cost;
    }
}
