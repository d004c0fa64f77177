//! The drain of the machine, as `status` shows it. Pure.

use serde::{Deserialize, Serialize};

use super::words::duration;
use crate::supervise::DrainView;

/// A drain of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// How long readiness has failed.
    pub since_seconds: f64,
    /// How long until the edge has noticed; 0 once it has.
    pub edge_wait_seconds: f64,
    /// How long until it ends by itself; `None` where `ostler undrain` ends it.
    pub ends_in_seconds: Option<f64>,
    /// Whether ostlerd ends after it.
    pub stopping: bool,
}

impl From<DrainView> for DrainStatus {
    fn from(drain: DrainView) -> Self {
        DrainStatus {
            since_seconds: drain.since.as_secs_f64(),
            edge_wait_seconds: drain.edge_wait.as_secs_f64(),
            ends_in_seconds: drain.ends_in.map(|left| left.as_secs_f64()),
            stopping: drain.stopping,
        }
    }
}

/// `draining since 2m05s: readiness fails; the edge notices within 3.0s; ends by itself in 10m`
pub fn drain_words(drain: &DrainStatus) -> String {
    let mut words = format!("draining since {}: readiness fails", duration(drain.since_seconds));
    if drain.edge_wait_seconds > 0.0 {
        words.push_str(&format!("; the edge notices within {}", duration(drain.edge_wait_seconds)));
    }
    match (drain.stopping, drain.ends_in_seconds) {
        (true, _) => words.push_str("; ostlerd stops after it"),
        (false, Some(left)) => words.push_str(&format!("; ends by itself in {}", duration(left))),
        (false, None) => words.push_str("; `ostler undrain` ends it"),
    }
    words
}
