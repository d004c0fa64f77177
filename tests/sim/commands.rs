//! Who has asked for what, and what they were told.

use ostler::config::AppName;
use ostler::supervise::{AppState, Command, GenerationId, Moment, Outcome, RequestId, ScaleTo};

use crate::ledger::Ledger;

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request: Option<Command>,
    pub(crate) answers: u32,
    pub(crate) at: Moment,
    /// Whether its app was stopped before.
    pub(crate) was_stopped: bool,
    /// What was shown as serving at the time.
    pub(crate) served: Option<GenerationId>,
}

impl Asked {
    pub(crate) fn by(request: Option<Command>, at: Moment) -> Asked {
        Asked { request, answers: 0, at, was_stopped: false, served: None }
    }

    /// Whether it stops that app.
    pub(crate) fn stops(&self, app: &AppName) -> bool {
        matches!(&self.request, Some(Command::Stop { app: it }) if it == app)
    }

    /// Whether it has that app run.
    pub(crate) fn starts(&self, app: &AppName) -> bool {
        match &self.request {
            Some(
                Command::Start { app: it }
                | Command::Restart { app: it, .. }
                | Command::Rollback { app: it, .. },
            ) => it == app,
            _ => false,
        }
    }
}

impl Ledger {
    pub(crate) fn requested(&mut self, now: Moment, id: RequestId, request: &Command) {
        let mut asked = Asked::by(Some(request.clone()), now);
        let Some(app) = request.app() else {
            self.asked.insert(id, asked);
            return;
        };
        let entry = self.apps.get_mut(app);
        asked.was_stopped = entry.as_ref().is_some_and(|entry| entry.stopped);
        asked.served = entry.as_ref().and_then(|entry| entry.view.as_ref()?.generation);
        self.asked.insert(id, asked);
        let Some(entry) = entry.filter(|_| !self.machine.shutdown) else { return };
        match request {
            Command::Stop { .. } => {
                entry.stopped = true;
                entry.was_stopped = true;
            }
            Command::Start { .. } | Command::Restart { .. } | Command::Rollback { .. } => {
                entry.stopped = false;
            }
            // What serves may want more than what is brought in.
            Command::Scale { workers: ScaleTo::Auto(_), .. } => {
                entry.peak = entry.peak.max(entry.most_configured)
            }
            _ => {}
        }
        entry.allow_a_change(now);
    }

    pub(crate) fn answered(&mut self, id: RequestId, outcome: &Outcome) {
        // What the core has asked of itself is known by its answer.
        let Some(asked) = self.asked.get_mut(&id) else {
            self.asked.insert(id, Asked { answers: 1, ..Asked::by(None, Moment::ZERO) });
            return;
        };
        asked.answers += 1;
        let asked = asked.clone();
        if matches!(outcome, Outcome::Done { .. }) {
            return;
        }
        let (app, starts) = match &asked.request {
            Some(Command::Stop { app }) => (app, false),
            Some(Command::Start { app } | Command::Restart { app, .. } | Command::Rollback { app, .. }) => {
                (app, true)
            }
            _ => return,
        };
        let again = self.asked.values().any(|it| it.answers == 0 && it.starts(app));
        let Some(entry) = self.apps.get_mut(app) else { return };
        let down = entry.view.as_ref().map(|view| view.state);
        // What had begun when ostlerd was told to stop goes on under the next one.
        let goes_on = again || self.machine.shutdown;
        if !starts {
            entry.stopped = false;
        } else if !goes_on && matches!(down, Some(AppState::Stopping | AppState::Stopped)) {
            entry.stopped |= asked.was_stopped;
        }
    }
}
