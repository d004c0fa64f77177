//! A drain, and the end of ostlerd.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::supervise::request::RequestId;
use crate::supervise::time::Moment;

/// Readiness fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drain {
    pub(crate) since: Moment,
    /// How long it lasts, counted from when the edge has noticed; `None` until somebody ends it.
    pub(crate) length: Option<Duration>,
    /// Who waits for the edge to notice.
    #[serde(skip)]
    pub(crate) waiters: Vec<RequestId>,
    /// Whether it has been said that the edge has noticed.
    pub(crate) noticed: bool,
}

/// The daemon is on its way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    pub(crate) waiters: Vec<RequestId>,
    /// Whether the edge's delay is over and the apps were told to stop.
    pub(crate) stopping: bool,
    /// When to leave even though a killed worker has not been reaped.
    pub(crate) latest: Option<Moment>,
    pub(crate) exited: bool,
    /// The apps that were stopped before: the next ostlerd leaves them so.
    pub(crate) stopped_before: BTreeSet<AppName>,
}

impl Drain {
    /// The same for the next ostlerd: who waits goes with the one that they asked.
    pub(crate) fn left(self) -> Drain {
        Drain { waiters: Vec::new(), ..self }
    }
}
