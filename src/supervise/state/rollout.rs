//! A generation that is being brought in.

use serde::{Deserialize, Serialize};

use super::generation::Generation;
use crate::supervise::process_fact::LastWords;
use crate::supervise::request::RequestId;
use crate::supervise::time::Moment;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) generation: Generation,
    pub(crate) phase: RolloutPhase,
    pub(crate) started: Moment,
    pub(crate) failures: u32,
    /// How many workers served when it began.
    pub(crate) ready_before: usize,
    #[serde(skip)]
    pub(crate) waiters: Vec<RequestId>,
    /// Whether a worker of the new generation has served; until then there is but one of them.
    pub(crate) canary_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RolloutPhase {
    Replacing,
    Settling { until: Moment },
    RollingBack { words: LastWords },
}

impl Rollout {
    pub(crate) fn is_rolling_back(&self) -> bool {
        matches!(self.phase, RolloutPhase::RollingBack { .. })
    }

    /// The same for the next ostlerd: who waits goes with the one that they asked.
    pub(crate) fn left(self) -> Rollout {
        Rollout { waiters: Vec::new(), ..self }
    }
}
