//! Requests that join what is under way already: counted, so that somebody who asks on and on fills no log.

use std::time::Duration;

use super::app_event::AppEventKind;
use super::context::Context;
use super::state::{App, Joins};
use super::time::Moment;

/// Between two lines about them.
const PAUSE: Duration = Duration::from_secs(1);

impl Joins {
    /// When the next line is due.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.since.filter(|_| self.more > 0).map(|since| since + PAUSE)
    }
}

impl App {
    /// A request joins what is under way: said at once, or counted where that was said a moment ago.
    pub(super) fn joined(&mut self, context: &mut Context<'_>) {
        if self.joins.since.is_some_and(|since| context.now < since + PAUSE) {
            self.joins.more = self.joins.more.saturating_add(1);
            return;
        }
        self.joins = Joins { since: Some(context.now), more: 0 };
        self.announce(context, AppEventKind::RolloutRequested { joined: true, more: None });
    }

    /// Says how many have joined since it was last said, once a second.
    pub(super) fn tell_joins(&mut self, context: &mut Context<'_>) {
        if self.joins.deadline().is_none_or(|due| context.now < due) {
            return;
        }
        let more = self.joins.more;
        self.joins = Joins { since: Some(context.now), more: 0 };
        self.announce(context, AppEventKind::RolloutRequested { joined: true, more: Some(more) });
    }
}
