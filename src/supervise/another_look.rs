//! An app that is refused for what may pass by itself, such as a port that another process has, and of which nothing serves:
//! its release is looked at again until it can be run.

use std::time::Duration;

use super::action::Action;
use super::context::Context;
use super::pool::delay_after;
use super::state::{AnotherLook, App, Mode, Preparing};
use super::time::Moment;

/// After 5 s, 10 s … 60 s.
const PACE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

impl App {
    /// The app has been refused.
    pub(super) fn look_again_later(&mut self, context: &mut Context<'_>) {
        let passes = self.refusal.as_ref().is_some_and(|refusal| refusal.passing);
        if !passes || self.serving.is_some() || self.mode != Mode::Running {
            self.another_look = AnotherLook::default();
            return;
        }
        let refusals = self.another_look.refusals.saturating_add(1);
        let at = Some(context.now + delay_after(PACE, refusals, context.random));
        self.another_look = AnotherLook { at, refusals };
    }

    /// When that is, unless something else is done.
    pub(super) fn looks_again(&self) -> Option<Moment> {
        let idle = self.mode == Mode::Running && self.preparing.is_none() && !self.release.is_moving();
        let refused = self.serving.is_none() && self.refusal.is_some() && self.databases.is_idle();
        self.another_look.at.filter(|_| idle && refused)
    }

    /// Looks again if it is due; nobody has asked, so nobody is answered.
    pub(super) fn look_again(&mut self, context: &mut Context<'_>) {
        if self.looks_again().is_some_and(|at| at <= context.now) {
            self.another_look.at = None;
            self.preparing = Some(Preparing { by_itself: true, ..Preparing::default() });
            context.actions.push(Action::Prepare { app: self.name.clone() });
        }
    }
}
