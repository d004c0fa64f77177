//! One app: what is wanted of it, its generations and processes, and whatever its rules have to remember.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Accepting, AnotherLook, Databases, Generation, Hooks, Joins, Preparing, ReleaseState, Rollout, Scaling,
    Waiting,
};
use crate::config::AppName;
use crate::plan::{Prepared, Refusal, Resources};
use crate::supervise::ids::ProcessId;
use crate::supervise::pool::{Bucket, Process};
use crate::supervise::process_fact::LastWords;
use crate::supervise::request::RequestId;
use crate::supervise::time::Moment;
use crate::supervise::view::LastRollout;

/// What is skipped is of the ostlerd that knows it, and does not outlive it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) name: AppName,
    pub(crate) mode: Mode,
    /// The generation that serves; while there are workers there is one.
    pub(crate) serving: Option<Generation>,
    pub(crate) rollout: Option<Rollout>,
    #[serde(skip)]
    pub(crate) preparing: Option<Preparing>,
    #[serde(skip)]
    pub(crate) release: ReleaseState,
    pub(crate) databases: Databases,
    pub(crate) processes: BTreeMap<ProcessId, Process>,
    pub(crate) hooks: Hooks,
    pub(crate) bucket: Bucket,
    /// The number of workers that a command asked for.
    pub(crate) scale: Option<u32>,
    pub(crate) scaling: Scaling,
    pub(crate) generations: u64,
    /// Requests that wait until the app serves at full strength.
    #[serde(skip)]
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) refusal: Option<Refusal>,
    #[serde(skip)]
    pub(crate) another_look: AnotherLook,
    pub(crate) last_rollout: Option<LastRollout>,
    pub(crate) last_words: Option<LastWords>,
    /// The bounds that the shell was told last.
    #[serde(skip)]
    pub(crate) limited: Option<Resources>,
    /// Whether the shell was told that only the serving generation's listeners are needed.
    #[serde(skip)]
    pub(crate) settled: bool,
    #[serde(skip)]
    pub(crate) accepting: Accepting,
    #[serde(skip)]
    pub(crate) joins: Joins,
    /// When a start that had to wait may be made.
    #[serde(skip)]
    pub(crate) wake: Option<Moment>,
}

/// What is wanted of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    Running,
    Stopping {
        #[serde(skip)]
        waiters: Vec<RequestId>,
        then: Then,
        /// Until when its ready workers go on, to take the connections that wait.
        #[serde(skip)]
        emptying: Option<Moment>,
    },
    /// Stopped, and forgotten as soon as that has been said.
    Removed,
    Stopped,
}

impl Mode {
    pub(crate) fn stopping(then: Then) -> Mode {
        Mode::Stopping { waiters: Vec::new(), then, emptying: None }
    }

    /// The same for the next ostlerd; `was_stopped`: somebody has asked for just that. In a shutdown every app is stopped,
    /// and the next ostlerd runs it again.
    pub(crate) fn left(self, was_stopped: bool) -> Mode {
        match self {
            Mode::Stopping { then: Then::Forget, .. } | Mode::Removed => Mode::stopping(Then::Forget),
            Mode::Stopping { then: Then::Rest, .. } if was_stopped => Mode::stopping(Then::Rest),
            Mode::Stopped if was_stopped => Mode::Stopped,
            // Also one that is configured again: the next ostlerd reads as what, and until then it goes on.
            Mode::Stopping { .. } | Mode::Stopped | Mode::Running => Mode::Running,
        }
    }
}

/// What follows a stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// It stays stopped until somebody starts it.
    Rest,
    /// It is no longer configured.
    Forget,
    /// It was configured again while it drained: it starts anew, and whoever configured it gets an answer.
    #[serde(skip)]
    Return(Box<Prepared>, RequestId),
}
