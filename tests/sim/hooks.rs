//! What is known of the processes that run hooks of gunicorn's master, kept apart from the core.

use std::collections::{BTreeMap, BTreeSet};

use ostler::config::AppName;
use ostler::plan::Hook;
use ostler::supervise::{Action, AppEvent, AppEventKind, Event, GenerationId, ProcessFact, ProcessId};

#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    /// The generations of each app whose hooks have a process, and beside which worker it was started.
    pub(crate) hosts: BTreeMap<AppName, BTreeMap<GenerationId, ProcessId>>,
    /// Workers of which `pre_fork` has been told, and not `child_exit`: in which generation's process.
    pub(crate) told: BTreeMap<ProcessId, (AppName, GenerationId)>,
    /// Apps whose `when_ready` has run.
    pub(crate) were_ready: BTreeSet<AppName>,
}

impl Hooks {
    pub(crate) fn has(&self, app: &AppName, generation: GenerationId) -> bool {
        self.hosts.get(app).is_some_and(|hosts| hosts.contains_key(&generation))
    }

    pub(crate) fn count(&self, app: &AppName) -> usize {
        self.hosts.get(app).map_or(0, BTreeMap::len)
    }

    /// Without its worker it was not started either.
    pub(crate) fn hear(&mut self, event: &Event) {
        let Event::Process { process: worker, fact: ProcessFact::NotStarted(_) } = event else { return };
        self.hosts.values_mut().for_each(|hosts| hosts.retain(|_, beside| beside != worker));
        let hosts = &self.hosts;
        self.told.retain(|_, (app, generation)| hosts.get(app).is_some_and(|it| it.contains_key(generation)));
    }

    pub(crate) fn act(&mut self, action: &Action) {
        match action {
            Action::StartHooks { app, generation, worker, .. } => {
                self.hosts.entry(app.clone()).or_default().insert(*generation, *worker);
            }
            Action::EndHooks { app, generation } => {
                self.hosts.entry(app.clone()).or_default().remove(generation);
                self.told.retain(|_, (of, it)| (&*of, &*it) != (app, generation));
            }
            Action::RunHook { app, generation, due } => match (due.hook, due.worker) {
                (Hook::PreFork, Some(worker)) => drop(self.told.insert(worker, (app.clone(), *generation))),
                (Hook::ChildExit, Some(worker)) => drop(self.told.remove(&worker)),
                (Hook::WhenReady, _) => drop(self.were_ready.insert(app.clone())),
                _ => {}
            },
            Action::Announce(AppEvent { app, kind: AppEventKind::Stopped | AppEventKind::Removed }) => {
                self.were_ready.remove(app);
            }
            _ => {}
        }
    }
}
