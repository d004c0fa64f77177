//! Health: what load balancers ask, answered from the latest picture without waiting for anybody.
//!
//! Read in this order: `pressure` and `judge` (when an app is ready), `answer` (a question and its answer, all pure),
//! then the network: `serve` (HTTP), `agent` (HAProxy's agent-check) and `track` (keepalived's file).

mod agent;
mod answer;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod judge;
mod named;
mod page;
mod pressure;
mod pulse;
mod serve;
mod timed;
mod token;
mod track;
mod vitals;

use std::sync::Arc;

use tokio::sync::watch;

use super::Status;
pub use super::page::{Viewers, draw as draw_page};
use crate::config::Saturation;

pub use agent::serve as serve_agent;
pub use answer::{Answer, Form, Method, Question};
#[cfg(any(test, fuzzing))]
pub(super) use fuzzing::hostile_request;
pub use judge::{Judge, Verdict};
pub use pressure::Pressure;
pub(super) use pressure::{all_busy, queue_fills};
pub use pulse::Pulse;
pub use serve::{Listener, serve};
pub use token::{Token, TokenError};
pub use track::keep as keep_track_file;
pub use vitals::Vitals;

/// What answers are made from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The latest picture.
    pub status: watch::Receiver<Arc<Status>>,
    /// What was counted and measured over time.
    pub vitals: watch::Receiver<Vitals>,
    /// Whether the loop that makes both goes on.
    pub pulse: Pulse,
    /// What lasting saturation does to readiness.
    pub saturation: Saturation,
    /// Lets strangers see details.
    pub token: Option<Token>,
    /// Who watches the page.
    pub viewers: Viewers,
}

impl Sources {
    /// Asks something of a judge that sees the present state.
    pub(super) fn judged<T>(&self, ask: impl FnOnce(&Judge<'_>) -> T) -> T {
        let status = self.status.borrow();
        let vitals = self.vitals.borrow();
        let (loop_age, saturation) = (self.pulse.age(), self.saturation);
        ask(&Judge { status: &status, vitals: &vitals, loop_age, saturation })
    }
}
