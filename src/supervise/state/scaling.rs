//! How many workers the load of an app takes, and why.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::WorkerRange;
use crate::supervise::scaling::Meter;
use crate::supervise::time::Moment;

/// What the load of an app has come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    /// How many workers the load takes; `None` before anything was decided by it.
    pub(crate) wanted: Option<u32>,
    #[serde(skip)]
    pub(crate) meter: Meter,
    /// When there were last more, and how many there were before.
    #[serde(skip)]
    pub(crate) grown: Option<(Moment, u32)>,
    /// When there were last fewer.
    #[serde(skip)]
    pub(crate) shrunk: Option<Moment>,
    /// How often a worker was missed soon after it had gone.
    #[serde(skip)]
    pub(crate) regrets: u32,
    /// The last change, in words.
    #[serde(skip)]
    pub(crate) last: Option<String>,
    /// Why there are not more, where memory is the reason.
    #[serde(skip)]
    pub(crate) held: Option<String>,
    #[serde(skip)]
    pub(crate) said_held: Option<Moment>,
}

impl Scaling {
    /// How many workers the load takes by this range.
    pub(crate) fn wanted(&self, range: WorkerRange) -> u32 {
        self.wanted.unwrap_or(range.min).clamp(range.min, range.max)
    }

    /// The load decides from now on; so many workers there are.
    pub(crate) fn begin_with(&mut self, workers: Option<u32>) {
        *self = Scaling { wanted: workers, ..Scaling::default() };
    }

    pub(crate) fn patience(&self, range: WorkerRange) -> Duration {
        range.idle * (1 << self.regrets)
    }
}
