//! What follows a start of ostlerd: a restart is a deploy, and systemd is told when its outcome is known.
//!
//! ```text
//! adopted ─► the configuration is read ─┬─ after a restart: every app that runs is rolled out, once ─► all have ended ─┐
//!                                       └─ after a crash, or a re-execution: nothing more is brought in ───────────────┤
//! begun anew ──────────────────────────────────────────────────────────────────────────────────────────────────────────┤
//!                                    no app starts any more: each serves, or is known not to ─► TellReady, once ◄──────┘
//! ```
//!
//! A stop meanwhile ends it: what stops is not rolled out, and an ostlerd that stops is not ready any more.

use super::action::Action;
use super::request::RequestId;
use super::state::{Effects, Mode, Supervisor};
use super::view::AppState;

impl Supervisor {
    /// The configuration has been read for the first time since the restart.
    pub(super) fn deploy(&mut self, effects: &mut Effects) {
        for app in std::mem::take(&mut self.deploy.owed) {
            let runs = self.apps.get(&app).is_some_and(|it| it.mode == Mode::Running);
            if !runs || self.shutdown.is_some() {
                continue;
            }
            let id = self.own_request();
            self.with_app(&app, effects, |app, context| app.restart(context, id));
            self.deploy.unproven.insert(app);
        }
    }

    /// Tells systemd as soon as it is so. Comes after all other decisions about apps.
    pub(super) fn tell_ready(&mut self, effects: &mut Effects) {
        if self.deploy.told {
            return;
        }
        let apps = &self.apps;
        self.deploy.unproven.retain(|name| apps.get(name).is_some_and(|app| app.shows_a_rollout()));
        let is_proven = self.deploy.owed.is_empty() && self.deploy.unproven.is_empty();
        let starts = self.apps.values().any(|app| app.state() == AppState::Starting);
        if is_proven && !starts && self.shutdown.is_none() {
            self.deploy.told = true;
            effects.actions.push(Action::TellReady);
        }
    }

    /// A number for what nobody has asked for: its answer is told to the log alone.
    pub(super) fn own_request(&mut self) -> RequestId {
        self.own_requests += 1;
        RequestId::own(self.own_requests)
    }
}
