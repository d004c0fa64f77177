//! What stays true for the next ostlerd, and the two ways of making room for it with everything running on.

use std::time::Duration;

use super::Driver;
use crate::run::health::Ports;
use crate::run::shell::{DeferredEffect, Shell};
use crate::run::{handover, jobs};
use crate::supervise::{Event, HandoverBy, Moment, Outcome, Stayed, View};

/// How long whoever asked may take to receive the answer.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Driver {
    /// The picture of this moment.
    pub(super) fn view(&self) -> View {
        self.supervisor.view(Moment::at(self.origin.elapsed()))
    }

    /// Writes down what has changed, and then does what follows from it. What could not be written is tried `again`
    /// with the next look, or when something has to be done.
    pub(super) fn keep(&mut self, again: bool) {
        if self.state_writer.is_busy() {
            return;
        }
        let effects = self.shell.take_effects();
        if self.state_writer.has_failed() && effects.is_empty() && !again {
            return;
        }
        let kept = self.shell.kept(self.origin_nanoseconds, self.supervisor.snapshot());
        let counters = || self.vitals.borrow().counters().into();
        let at_once = self.state_writer.keep(kept, counters, effects);
        self.put_in_effect(at_once);
    }

    pub(super) fn put_in_effect(&mut self, effects: Vec<DeferredEffect>) {
        for effect in effects {
            match effect {
                DeferredEffect::Leave(way) => self.leaves = Some(way),
                effect => self.shell.effect(effect),
            }
        }
    }

    /// Makes room once all that the next one needs stands in the file; whether this process is to end.
    pub(super) async fn leave(&mut self) -> bool {
        let Some(way) = self.leaves.take_if(|_| !self.state_writer.is_busy()) else { return false };
        let written = !self.state_writer.has_failed();
        let why = match way {
            // systemd may have asked for an end meanwhile, of which nothing has arrived here yet.
            HandoverBy::Reexec { .. } if jobs::is_end(self.shell.children()).await => Stayed::Ending,
            HandoverBy::Reexec { .. } if !written => Stayed::Unwritten(self.state_writer.path().to_owned()),
            HandoverBy::Reexec { id, program } => {
                let message = format!("ostlerd becomes {}; its workers go on", program.display());
                self.shell.answer(id, Outcome::Done { message, generation: None });
                tokio::time::sleep(LAST_WORDS).await;
                let passed = self.shell.passed();
                let sockets: Vec<u64> = self.shell.sockets().into_iter().map(|(number, _)| number).collect();
                let error = handover::become_program(&program, &passed.numbers(), &sockets);
                tracing::error!("{} cannot be executed: {error}; this ostlerd goes on", program.display());
                Stayed::NotExecuted
            }
            HandoverBy::Restart if !written => {
                tracing::error!("the state cannot be handed over, so the workers are stopped");
                Stayed::Unwritten(self.state_writer.path().to_owned())
            }
            HandoverBy::Restart => {
                self.shell.leave();
                self.ports.iter_mut().for_each(Ports::leave);
                Shell::files_removed().await;
                return true;
            }
        };
        self.fact(Event::Stayed { why });
        false
    }
}
