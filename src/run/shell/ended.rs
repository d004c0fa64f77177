//! What is found out about a worker that has ended, before it is forgotten.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Shell;
use crate::config::AppName;
use crate::run::leftovers::Leftovers;
use crate::run::scope::end_left;
use crate::run::scoreboard::monotonic_now;
use crate::supervise::{Exit, ProcessId};

impl Shell {
    /// How a worker ended, where its process alone does not say it: a SIGKILL may be the kernel's own.
    pub(in crate::run) fn classify_exit(&mut self, worker: ProcessId, exit: Exit) -> Exit {
        let killed = matches!(exit, Exit::Signal(9) | Exit::Unknown);
        let Some(running) = self.workers.get(&worker).filter(|running| killed && !running.killed) else {
            return exit;
        };
        match self.memory.claim(&running.blueprint.app, Instant::now()) {
            Some(limit) => Exit::OutOfMemory { limit },
            None => exit,
        }
    }

    /// How many requests a worker says that it has served: the last word of one that has ended, before `forget`.
    pub(in crate::run) fn served(&self, worker: ProcessId) -> Option<u64> {
        let running = self.workers.get(&worker)?;
        let runtime = self.apps.get(&running.blueprint.app)?;
        runtime.scoreboard.read(running.slot.as_ref()?, monotonic_now()).map(|seen| seen.requests)
    }

    /// Its process is gone.
    pub(in crate::run) fn forget(&mut self, worker: ProcessId) {
        let Some(running) = self.workers.remove(&worker) else { return };
        self.ended = Some((worker, running.handle.pid()));
        if let (Some(runtime), Some(slot)) = (self.apps.get_mut(&running.blueprint.app), running.slot) {
            runtime.scoreboard.release(slot);
        }
    }

    /// Ends what is left in scopes of the app's generations in which none of its workers is.
    pub(super) fn end_left_in_scopes(&mut self, app: &AppName) {
        while self.leftovers.try_join_next().is_some() {}
        let Some(scopes) = self.children.scopes() else { return };
        let used: BTreeSet<&str> = self.workers.values().filter_map(|it| it.cgroup.as_deref()).collect();
        for group in scopes.of_generations(app).into_iter().filter(|it| !used.contains(it.cgroup().as_str()))
        {
            self.leftovers.spawn(end_left(group, self.children.clone()));
        }
    }

    /// Ends what the workers of an app have left, where no scope holds it.
    pub(super) fn end_leftovers(&mut self, app: &AppName) {
        let Some(mark) = self.children.mark(app) else { return };
        let owners = self.owners();
        let Some(owner) = owners.get(app).copied() else { return };
        let is_alone = owners.values().filter(|it| **it == owner).count() == 1;
        let is_alone = is_alone && owner != nix::unistd::geteuid().as_raw();
        self.leftovers.spawn(Leftovers::of(mark, owner, is_alone).end(self.children.clone()));
    }
}
