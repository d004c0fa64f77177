//! A first start whose migration could not begin, or failed and left nothing half done: it is tried again, for nothing serves
//! meanwhile, and what was in its way may go away by itself.
//!
//! Code that has run on its databases before, with nothing pending, needs nothing of them to start: if they do not answer, it
//! serves, and they are asked until they do.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::plan::AppPlan;

use super::app_event::AppEventKind;
use super::context::Context;
use super::migration::{Migration, Verdict, VerdictKind};
use super::pool::delay_after;
use super::state::{Again, App, Mode, WantedPlan};
use super::time::Moment;

/// What could not begin is tried again after 2 s, 4 s … 30 s, as a worker that does not boot.
const NOT_BEGUN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
/// What ran and failed, after 15 s, 30 s … 5 min.
const FAILED: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(300));

impl App {
    /// A migration that was to be followed by a rollout has not ended well.
    pub(super) fn begin_again_later(&mut self, context: &mut Context<'_>, plan: AppPlan, ended: &Migration) {
        let (_, Verdict { kind, .. }) = ended.outcome();
        let clean = matches!(kind, VerdictKind::Failed | VerdictKind::Retryable | VerdictKind::Partial);
        let wanted = !ended.is_given_up() && self.mode == Mode::Running && self.databases.queued.is_none();
        if !clean || !wanted || self.serving.is_some() {
            return;
        }
        let failures = self.databases.failures + 1;
        let pace = if ended.has_run { FAILED } else { NOT_BEGUN };
        let delay = delay_after(pace, failures, context.random);
        self.announce(context, AppEventKind::StartDelayed { delay });
        let (rolls_out, failed_for) = (true, ended.failed_for.clone());
        self.databases.again = Some(Again { plan, at: context.now + delay, failures, rolls_out, failed_for });
    }

    /// Whether `wanted` is brought in although its databases have not answered.
    pub(super) fn starts_unasked(&self, wanted: &WantedPlan, ended: &Migration) -> bool {
        let newest = self.mode == Mode::Running && self.databases.queued.is_none();
        wanted.rolls_out && newest && self.serving.is_none() && ended.could_not_ask()
    }

    pub(super) fn start_unasked(&mut self, context: &mut Context<'_>, wanted: WantedPlan, reason: String) {
        self.announce(context, AppEventKind::StartedWithoutDatabase { reason });
        self.databases.unasked = Some(wanted.plan.clone());
        self.ask_later(context);
        self.bring_in(context, wanted.plan, wanted.waiters);
    }

    /// A migration has ended badly: if that was not one that has asked the databases of what serves unasked, they are asked
    /// again.
    pub(super) fn still_unasked(
        &mut self,
        context: &mut Context<'_>,
        wanted: &WantedPlan,
        ended: &Migration,
    ) {
        let of_this = |plan: &AppPlan| plan.blueprint == wanted.plan.blueprint;
        if self.databases.unasked.as_ref().is_some_and(of_this) && !ended.could_not_ask() {
            self.databases.unasked = None;
        }
        self.ask_later(context);
    }

    fn ask_later(&mut self, context: &mut Context<'_>) {
        let Some(plan) = self.databases.unasked.clone() else { return };
        let failures = self.databases.failures + 1;
        let at = context.now + delay_after(NOT_BEGUN, failures, context.random);
        self.databases.again =
            Some(Again { plan, at, failures, rolls_out: false, failed_for: BTreeSet::new() });
    }

    /// When that is, unless something else is done.
    pub(super) fn begins_again(&self) -> Option<Moment> {
        let idle = self.mode == Mode::Running && self.databases.is_idle() && self.preparing.is_none();
        self.databases.again.as_ref().filter(|_| idle).map(|it| it.at)
    }

    /// Begins again what is due.
    pub(super) fn begin_again(&mut self, context: &mut Context<'_>) {
        let due = self.begins_again().is_some_and(|at| at <= context.now);
        let Some(again) = self.databases.again.take_if(|_| due) else { return };
        let (waiters, only) = Default::default();
        let Again { plan, rolls_out, .. } = again;
        self.begin_migration(context, WantedPlan { plan, rolls_out, waiters, only });
        self.databases.failures = again.failures;
        if let Some(begun) = &mut self.databases.migrating {
            begun.migration.failed_for = again.failed_for;
        }
    }
}
