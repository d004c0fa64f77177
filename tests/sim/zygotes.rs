//! Workers that zygotes were told to fork, and have not forked yet.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::plan::Blueprint;
use ostler::supervise::{Exit, ProcessFact, ProcessId};

use crate::lives::Way;
use crate::world::{Due, World};

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Egg {
    pub(crate) blueprint: Blueprint,
    pub(crate) way: Way,
    zygote: ProcessId,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zygotes(BTreeMap<ProcessId, Egg>);

impl Zygotes {
    pub(crate) fn expect(&mut self, worker: ProcessId, blueprint: &Blueprint, way: Way, zygote: ProcessId) {
        self.0.insert(worker, Egg { blueprint: blueprint.clone(), way, zygote });
    }

    /// It is forked now, or given up.
    pub(crate) fn take(&mut self, worker: ProcessId) -> Option<Egg> {
        self.0.remove(&worker)
    }

    /// Those that a zygote that has ended will not fork.
    pub(crate) fn orphans(&mut self, zygote: ProcessId) -> Vec<ProcessId> {
        let orphans: Vec<ProcessId> = self
            .0
            .iter()
            .filter(|(_, forking)| forking.zygote == zygote)
            .map(|(worker, _)| *worker)
            .collect();
        orphans.iter().for_each(|worker| drop(self.0.remove(worker)));
        orphans
    }
}

impl World {
    /// A zygote is told to fork; it may hang, or die of it.
    pub(crate) fn fork(&mut self, worker: ProcessId, blueprint: &Blueprint, way: Way, zygote: ProcessId) {
        let faults = self.faults();
        let Some(process) = self.processes.get(&zygote) else {
            let reason = "its zygote is not there".to_owned();
            return self.tell(ProcessFact::NotStarted(reason).of(worker));
        };
        let hung = process.hung(self.now);
        self.zygotes.expect(worker, blueprint, way, zygote);
        if self.rng.chance(faults.crashes * 0.2) {
            self.exits(zygote, Exit::Signal(11));
        } else if !hung && !self.rng.chance(faults.hangs * 0.2) {
            let delay = self.rng.millis(2, 60);
            self.after(delay, Due::Forks(worker));
        }
    }

    pub(crate) fn forks(&mut self, worker: ProcessId) {
        let Some(forking) = self.zygotes.take(worker) else { return };
        if self.rng.chance(self.faults().spawn_fails) {
            let reason = "the zygote cannot fork: Resource temporarily unavailable".to_owned();
            return self.tell(ProcessFact::NotStarted(reason).of(worker));
        }
        self.tell(ProcessFact::Forked.of(worker));
        self.begin(worker, &forking.blueprint, Some(forking.way), Duration::from_millis(80));
    }
}
