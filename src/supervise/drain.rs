//! The machine's drain and the daemon's shutdown, which begins with one.
//!
//! ```text
//! serving ─ drain ─► draining ─ the edge's delay ─► drained ─ undrain, or `--for` is over ─► serving
//!    └───── shutdown ───┴─► draining ─ the edge's delay ─► stopping ─ the last worker is gone ─► Exit
//! ```
//!
//! A drain fails readiness and touches no worker: whatever stands in front takes the machine out. A shutdown stops
//! the apps only once the edge's delay has passed, counted from the earlier drain where there was one.

use std::time::Duration;

use crate::config::AppName;

use super::action::Action;
use super::app_event::AppEventKind;
use super::request::{Outcome, RequestId};
use super::state::{App, Drain, Effects, Mode, Supervisor, Then};
use super::time::Moment;
use super::view::DrainView;

/// After SIGKILL the kernel needs no longer than this; a process that stays is stuck in a device.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The same where a migration was killed: after SIGKILL its backends are ended, each within 10 s.
const LAST_WAIT_FOR_DATABASES: Duration = Duration::from_secs(21);

impl Supervisor {
    /// Whether an app that is stopped, or stops, does so because somebody asked for just that.
    pub(super) fn was_stopped(&self, app: &AppName) -> bool {
        match &self.shutdown {
            Some(shutdown) if shutdown.stopping => shutdown.stopped_before.contains(app),
            _ => true,
        }
    }

    /// Readiness fails from now on; the answer comes when the edge has noticed. A drain that is on is joined, and
    /// lasts as long as the longer of the two.
    pub(super) fn drain(&mut self, id: RequestId, length: Option<Duration>, effects: &mut Effects) {
        if let Some(drain) = &mut self.drain {
            drain.length = drain.length.zip(length).map(|(one, other)| one.max(other));
            drain.waiters.push(id);
            return;
        }
        self.drain = Some(Drain { since: self.now, length, waiters: vec![id], noticed: false });
        let delay = self.machine.edge_delay;
        self.announce_to_all(&AppEventKind::Draining { delay }, effects);
    }

    /// Readiness follows the apps again.
    pub(super) fn undrain(&mut self, id: RequestId, effects: &mut Effects) {
        let message = match self.end_drain(effects) {
            true => "undrained: readiness follows the apps again",
            false => "was not drained; nothing was changed",
        };
        effects.actions.push(done(id, message));
    }

    fn end_drain(&mut self, effects: &mut Effects) -> bool {
        let Some(drain) = self.drain.take() else { return false };
        refuse(drain.waiters, "the drain was ended before the edge had noticed it", effects);
        self.announce_to_all(&AppEventKind::Undrained, effects);
        true
    }

    /// Readiness fails, the edge's delay passes, then every app stops. `now` leaves the delay and all patience out.
    pub(super) fn shut_down(&mut self, id: RequestId, now: bool, effects: &mut Effects) {
        let delay = self.machine.edge_delay;
        self.shutdown.get_or_insert_default().waiters.push(id);
        if self.drain.is_none() {
            self.drain = Some(Drain { since: self.now, length: None, waiters: Vec::new(), noticed: false });
            if !now && !delay.is_zero() {
                self.announce_to_all(&AppEventKind::Draining { delay }, effects);
            }
        }
        if now {
            self.stop_all(effects);
            for name in self.names() {
                self.with_app(&name, effects, |app, context| app.kill_all(context));
            }
            let idle = self.apps.values().all(|app| app.databases.is_idle());
            let wait = if idle { LAST_WAIT } else { LAST_WAIT_FOR_DATABASES };
            if let Some(shutdown) = &mut self.shutdown {
                shutdown.latest.get_or_insert(self.now + wait);
            }
        }
    }

    /// What time alone does to a drain and to a shutdown.
    pub(super) fn expire_drain(&mut self, effects: &mut Effects) {
        let Some(drain) = &self.drain else { return };
        let (now, since) = (self.now, drain.since);
        if now >= self.noticed_at(drain) {
            self.edge_has_noticed(now.since(since), effects);
            if self.shutdown.is_some() {
                return self.stop_all(effects);
            }
        }
        let over = self.drain.as_ref().and_then(|drain| self.undrains_at(drain));
        if over.is_some_and(|at| now >= at) {
            self.end_drain(effects);
        }
    }

    fn edge_has_noticed(&mut self, after: Duration, effects: &mut Effects) {
        let (delay, stops) = (self.machine.edge_delay, self.shutdown.is_some());
        let Some(drain) = &mut self.drain else { return };
        let first = !std::mem::replace(&mut drain.noticed, true);
        let waiters = std::mem::take(&mut drain.waiters);
        let message = match delay.is_zero() {
            true => {
                "drained: readiness fails; [edge] names no delay, so when the edge stops sending is not known"
                    .to_owned()
            }
            false => format!(
                "drained: readiness has failed for {} s; the edge sends nothing any more",
                after.as_secs()
            ),
        };
        effects.actions.extend(waiters.into_iter().map(|id| done(id, &message)));
        if first && !stops && !delay.is_zero() {
            self.announce_to_all(&AppEventKind::Drained { delay }, effects);
        }
    }

    /// The apps drain and end; what was under way for them is given up.
    fn stop_all(&mut self, effects: &mut Effects) {
        let Some(shutdown) = &mut self.shutdown else { return };
        if std::mem::replace(&mut shutdown.stopping, true) {
            return;
        }
        // One that was configured again while it left is wanted, though it does not run.
        let stopped =
            |app: &&App| matches!(app.mode, Mode::Stopped | Mode::Stopping { then: Then::Rest, .. });
        shutdown.stopped_before = self.apps.values().filter(stopped).map(|app| app.name.clone()).collect();
        let waiters = self.drain.as_mut().map(|drain| std::mem::take(&mut drain.waiters));
        refuse(waiters.unwrap_or_default(), "ostlerd is shutting down at once", effects);
        for name in self.names() {
            self.with_app(&name, effects, |app, context| app.stop(context, None, Then::Rest));
        }
    }

    /// Leaves when every app has stopped, or when waiting has become pointless.
    pub(super) fn finish_shutdown(&mut self, actions: &mut Vec<Action>) {
        // An app that is stopped may still have a person's word written down.
        let is_over =
            |app: &App| app.mode == Mode::Stopped && app.databases.is_idle() && !app.release.is_open();
        let left = !self.apps.values().all(is_over);
        // The next ostlerd ends what is left, if it is to.
        let has_left = self.has_left();
        let Some(shutdown) = self.shutdown.as_mut().filter(|_| !has_left) else { return };
        let overdue = shutdown.latest.is_some_and(|latest| self.now >= latest);
        if shutdown.exited || !shutdown.stopping || (left && !overdue) {
            return;
        }
        shutdown.exited = true;
        let waiters = std::mem::take(&mut shutdown.waiters);
        self.apps.values_mut().for_each(|app| app.give_up_stopping(actions));
        self.give_up_readings(actions);
        self.give_up_checking(actions);
        actions.extend(waiters.into_iter().map(|id| done(id, "stopped")));
        actions.push(Action::Exit);
    }

    /// When time alone changes something here.
    pub(super) fn drain_deadline(&self) -> Option<Moment> {
        if let Some(shutdown) = &self.shutdown
            && shutdown.stopping
        {
            return shutdown.latest.filter(|_| !shutdown.exited);
        }
        let drain = self.drain.as_ref()?;
        let notices = Some(self.noticed_at(drain)).filter(|_| {
            let told = drain.noticed && drain.waiters.is_empty();
            !told || self.shutdown.is_some()
        });
        notices.or_else(|| self.undrains_at(drain))
    }

    pub(super) fn drain_view(&self, now: Moment) -> Option<DrainView> {
        let drain = self.drain.as_ref()?;
        Some(DrainView {
            since: now.since(drain.since),
            edge_wait: self.noticed_at(drain).since(now),
            ends_in: self.undrains_at(drain).map(|at| at.since(now)),
            stopping: self.shutdown.is_some(),
        })
    }

    /// When the edge has noticed the drain.
    fn noticed_at(&self, drain: &Drain) -> Moment {
        drain.since + self.machine.edge_delay
    }

    /// When the drain ends by itself. One that a shutdown has taken over never does.
    fn undrains_at(&self, drain: &Drain) -> Option<Moment> {
        drain.length.filter(|_| self.shutdown.is_none()).map(|length| self.noticed_at(drain) + length)
    }

    fn announce_to_all(&mut self, kind: &AppEventKind, effects: &mut Effects) {
        for name in self.names() {
            self.with_app(&name, effects, |app, context| app.announce(context, kind.clone()));
        }
    }

    fn names(&self) -> Vec<AppName> {
        self.apps.keys().cloned().collect()
    }
}

fn done(id: RequestId, message: &str) -> Action {
    Action::Answer { id, outcome: Outcome::Done { message: message.to_owned(), generation: None } }
}

fn refuse(waiters: Vec<RequestId>, reason: &str, effects: &mut Effects) {
    let outcome = Outcome::Refused { reason: reason.to_owned() };
    effects.actions.extend(waiters.into_iter().map(|id| Action::Answer { id, outcome: outcome.clone() }));
}
