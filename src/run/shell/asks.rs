//! Processes that are asked where they stand.

use crate::run::shell::Shell;
use crate::supervise::{ProcessFact, ProcessId};

impl Shell {
    /// Has a process that boots write down where it stands; what it has written is reported.
    pub(super) fn ask_where(&self, worker: ProcessId) {
        let Some(running) = self.workers.get(&worker) else { return };
        let (handle, directory) = (running.handle.clone(), running.blueprint.code().to_owned());
        let facts = self.outbox.facts.clone();
        tokio::spawn(async move {
            if let Some(stand) = handle.stand(&directory).await {
                // The driver outlives its tasks.
                let _ = facts.send(ProcessFact::Stands(stand).of(worker));
            }
        });
    }
}
