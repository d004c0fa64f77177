//! Apps that are refused for what may pass by itself, kept apart from the core.

use std::collections::BTreeMap;

use ostler::config::AppName;
use ostler::supervise::{Action, Event, Happening, Moment, News};

use crate::crew::Crew;

/// Since when each of them waits for another look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    pub(crate) since: BTreeMap<AppName, Moment>,
}

impl Refused {
    pub(crate) fn hear(&mut self, now: Moment, event: &Event, crews: &BTreeMap<AppName, Crew>) {
        match event {
            Event::AppPrepared { app, prepared } => {
                self.since.remove(app);
                let passes = prepared.as_ref().as_ref().err().is_some_and(|refusal| refusal.passing);
                if passes && !crews.get(app).is_none_or(Crew::serves) {
                    self.since.insert(app.clone(), now);
                }
            }
            Event::PlanMade { plan, .. } => {
                self.since.clear();
                for (app, prepared) in &plan.apps {
                    if prepared.as_ref().err().is_some_and(|refusal| refusal.passing)
                        && !crews.get(app).is_some_and(Crew::serves)
                    {
                        self.since.insert(app.clone(), now);
                    }
                }
            }
            // Whoever asks for something has their way, and what follows from that is judged elsewhere.
            Event::Requested { .. } => self.since.clear(),
            _ => {}
        }
    }

    pub(crate) fn act(&mut self, action: &Action) {
        let app = match action {
            Action::Prepare { app } | Action::ReleaseApp { app } | Action::Migrate { app, .. } => app,
            Action::SpawnWorker { blueprint, .. } | Action::StartZygote { blueprint, .. } => &blueprint.app,
            Action::Announce(News { app, happening: Happening::Stopping | Happening::Removed }) => app,
            _ => return,
        };
        self.since.remove(app);
    }
}
