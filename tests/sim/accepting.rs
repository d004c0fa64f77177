//! What is known of the listeners of each app, kept apart from the core.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Action, Event, Moment, Role, Start};

#[derive(Clone, Debug, Default)]
pub(crate) struct Accepting {
    /// Until when the workers of an app that stops may take the connections that wait.
    emptying: BTreeMap<AppName, Moment>,
    /// Apps whose listeners were told to refuse, and not to take connections again.
    pub(crate) told: BTreeSet<AppName>,
    /// Those of them that refuse for sure: nothing was started since, and nothing bound, that may have opened them.
    pub(crate) refusing: BTreeSet<AppName>,
}

impl Accepting {
    /// Whether the app's workers may go on although it stops.
    pub(crate) fn is_emptying(&self, app: &AppName, now: Moment) -> bool {
        self.emptying.get(app).is_some_and(|until| now < *until)
    }

    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::QueueEmptied { app } => drop(self.emptying.remove(app)),
            Event::AppPrepared { app, prepared } if prepared.is_ok() => drop(self.refusing.remove(app)),
            Event::ConfigRead { .. } => self.refusing.clear(),
            _ => {}
        }
    }

    pub(crate) fn act(&mut self, now: Moment, action: &Action) {
        match action {
            Action::StopAccepting { app } => {
                self.emptying.insert(app.clone(), now + Duration::from_secs(10));
            }
            Action::RefuseConnections { app } => {
                self.told.insert(app.clone());
                self.refusing.insert(app.clone());
            }
            Action::AcceptConnections { app } | Action::ReleaseApp { app } => {
                self.told.remove(app);
                self.refusing.remove(app);
            }
            Action::StartProcess(Start { role: Role::Web, blueprint, .. }) => {
                self.refusing.remove(&blueprint.app);
            }
            _ => {}
        }
    }
}
