//! Whether ostlerd's own loop goes round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Set by the loop at each turn, read by whoever wants to know. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulse {
    origin: Instant,
    /// Milliseconds since the origin.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// A pulse that has just beaten.
    pub fn new() -> Pulse {
        Pulse { origin: Instant::now(), last: Arc::default() }
    }

    /// The loop has come round.
    pub fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Time since the last beat.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse::new()
    }
}
