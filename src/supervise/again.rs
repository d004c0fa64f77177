//! A first start whose migration failed and left nothing half done: it is tried again, for nothing serves meanwhile.

use std::time::Duration;

use crate::plan::AppPlan;

use super::app::{App, Mode, Turn};
use super::budget::delay_after;
use super::migrating::Wanted;
use super::migration::VerdictKind;
use super::time::Moment;

/// After 15 s, 30 s … 5 min.
const AGAIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(300));

/// What is tried again, and when.
#[derive(Clone, Debug)]
pub(super) struct Again {
    plan: AppPlan,
    at: Moment,
    failures: u32,
}

impl App {
    /// A migration has failed. What was in its way may go away by itself.
    pub(super) fn begin_again_later(&mut self, turn: &mut Turn<'_>, plan: AppPlan, kind: VerdictKind) {
        let clean = matches!(kind, VerdictKind::Failed | VerdictKind::Retryable | VerdictKind::Partial);
        if !clean || self.serving.is_some() || self.mode != Mode::Running || self.databases.queued.is_some() {
            return;
        }
        let failures = self.databases.failures + 1;
        let at = turn.now + delay_after(AGAIN, failures, turn.random);
        self.databases.again = Some(Again { plan, at, failures });
    }

    /// When that is, unless something else is done.
    pub(super) fn begins_again(&self) -> Option<Moment> {
        let idle = self.mode == Mode::Running && self.databases.is_idle() && self.preparing.is_none();
        self.databases.again.as_ref().filter(|_| idle).map(|it| it.at)
    }

    /// Begins again what is due.
    pub(super) fn begin_again(&mut self, turn: &mut Turn<'_>) {
        let due = self.begins_again().is_some_and(|at| at <= turn.now);
        let Some(again) = self.databases.again.take_if(|_| due) else { return };
        let (waiters, only) = Default::default();
        self.begin_migration(turn, Wanted { plan: again.plan, rolls_out: true, waiters, only });
        self.databases.failures = again.failures;
    }
}
