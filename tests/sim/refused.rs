//! Apps that are refused for what may pass by itself, kept apart from the core.

use std::collections::BTreeMap;

use ostler::config::AppName;
use ostler::plan::Plan;
use ostler::supervise::{Action, AppEvent, AppEventKind, ConfigFound, Event, Moment, Start};

use crate::entry::AppEntry;

/// Since when each of them waits for another look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    pub(crate) since: BTreeMap<AppName, Moment>,
}

impl Refused {
    /// ostlerd begins with this plan.
    pub(crate) fn begin(&mut self, plan: &Plan) {
        let refused = plan.apps.iter().filter_map(|(app, it)| Some((app, it.as_ref().err()?)));
        let passing = refused.filter(|(_, refusal)| refusal.passing);
        self.since.extend(passing.map(|(app, _)| (app.clone(), Moment::ZERO)));
    }

    pub(crate) fn hear(
        &mut self,
        now: Moment,
        event: &Event,
        apps: &BTreeMap<AppName, AppEntry>,
        in_force: Option<&ConfigFound>,
    ) {
        // Until its migration has ended, nothing else is done with it.
        let migrates = |app: &AppName| apps.get(app)?.view.as_ref()?.migration.as_ref();
        self.since.iter_mut().filter(|(app, _)| migrates(app).is_some()).for_each(|(_, since)| *since = now);
        if let Some(found) = in_force {
            self.since.clear();
            for (app, refusal) in &found.held {
                let tries = |entry: &AppEntry| entry.runs() && entry.has_nothing();
                if refusal.passing && apps.get(app).is_none_or(tries) {
                    self.since.insert(app.clone(), now);
                }
            }
        }
        match event {
            Event::AppPrepared { app, prepared } => {
                self.since.remove(app);
                let passes = prepared.as_ref().as_ref().err().is_some_and(|refusal| refusal.passing);
                // One that was stopped stays so where its start is refused.
                let tries = |entry: &AppEntry| entry.runs() && !entry.serves();
                if passes && apps.get(app).is_some_and(tries) {
                    self.since.insert(app.clone(), now);
                }
            }
            // Whoever asks for something of an app has their way, and what follows from that is judged elsewhere.
            Event::Requested { command, .. } => {
                command.app().map(|app| self.since.remove(app));
            }
            _ => {}
        }
    }

    pub(crate) fn act(&mut self, action: &Action) {
        let app = match action {
            Action::Prepare { app } | Action::ReleaseApp { app } | Action::Migrate { app, .. } => app,
            Action::StartProcess(Start { blueprint, .. }) => &blueprint.app,
            Action::Announce(AppEvent { app, kind: AppEventKind::Stopping | AppEventKind::Removed }) => app,
            _ => return,
        };
        self.since.remove(app);
    }
}
