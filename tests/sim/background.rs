//! Commands that run beside the workers, in the simulated machine, and what is known of them.

use std::collections::BTreeMap;

use ostler::config::AppName;
use ostler::supervise::{Exit, GenerationId, Moment, ProcessFact, ProcessId, Role, Start};

use crate::entry::ProcessEntry;
use crate::process::{Process, Release};
use crate::world::{Due, World};

impl World {
    /// Starts a command: it is up at once, or cannot be started.
    pub(crate) fn start_command(&mut self, id: ProcessId) {
        let faults = self.faults();
        if self.rng.chance(faults.spawn_fails) {
            let reason = "fork: Resource temporarily unavailable (os error 11)".to_owned();
            return self.tell(ProcessFact::NotStarted(reason).of(id));
        }
        let process = Process::drawn(&mut self.rng, &faults, Release::Good, self.now, id, false).command();
        if let Some(delay) = process.crashes_after {
            self.after(delay, Due::Exits(id, Exit::Code(1)));
        }
        self.begun.insert(id);
        self.processes.insert(id, process);
    }
}

/// When each command of a generation last ended by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended(BTreeMap<(AppName, GenerationId, Role), Moment>);

impl Ended {
    pub(crate) fn note(&mut self, now: Moment, known: &ProcessEntry) {
        if let Role::Background(_) = known.role
            && known.is_live()
        {
            self.0.insert((known.app.clone(), known.generation, known.role.clone()), now);
        }
    }

    /// The one that ended last.
    pub(crate) fn newest(&self) -> Option<&(AppName, GenerationId, Role)> {
        self.0.iter().max_by_key(|(_, at)| **at).map(|(which, _)| which)
    }

    pub(crate) fn before(&self, start: &Start) -> Option<Moment> {
        self.0.get(&(start.blueprint.app.clone(), start.generation, start.role.clone())).copied()
    }
}
