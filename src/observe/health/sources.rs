//! What every answer is made from, as it is handed to all who answer.

use std::sync::Arc;

use tokio::sync::watch;

use super::judge::Judge;
use super::pulse::Pulse;
use super::token::Token;
use super::vitals::Vitals;
use crate::config::Saturation;
use crate::observe::Status;
use crate::observe::page::Viewers;

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
    pub(in crate::observe) fn judged<T>(&self, ask: impl FnOnce(&Judge<'_>) -> T) -> T {
        let status = self.status.borrow();
        let vitals = self.vitals.borrow();
        let (loop_age, saturation) = (self.pulse.age(), self.saturation);
        ask(&Judge { status: &status, vitals: &vitals, loop_age, saturation })
    }
}
