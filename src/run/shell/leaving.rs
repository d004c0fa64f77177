//! What is found out before ostlerd makes room for the next one.

use super::Shell;
use crate::run::{handover, jobs, state};
use crate::supervise::Event;

impl Shell {
    /// Asks the binary on disk whether it can take over.
    pub(super) fn check_successor(&self) {
        let (children, state) = (self.children.clone(), state::path(&self.runtime_directory));
        let facts = self.outbox.facts.clone();
        tokio::spawn(async move {
            let checked = match handover::program() {
                Ok(program) => handover::check(children, program.clone(), state).await.map(|()| program),
                Err(error) => Err(format!("cannot find the binary: {error}")),
            };
            let _ = facts.send(Event::SuccessorChecked { checked });
        });
    }

    /// SIGTERM: for good, unless systemd says that it starts ostlerd again.
    pub(in crate::run) fn explain_end(&self) {
        let (children, facts) = (self.children.clone(), self.outbox.facts.clone());
        tokio::spawn(async move {
            let restart = jobs::is_restart(&children).await;
            match restart {
                true => tracing::info!("SIGTERM received: systemd restarts ostlerd, so the workers go on"),
                false => tracing::info!("SIGTERM received"),
            }
            let _ = facts.send(Event::EndExplained { restart });
        });
    }
}
