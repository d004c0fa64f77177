//! What is done to workers once the state that it follows from is written down.

use crate::run::shell::Shell;
use crate::supervise::{Rung, WorkerId};

/// Something to do to a worker; of one that has gone meanwhile nothing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Effect {
    /// Lets its program run.
    Release(WorkerId),
    /// Lets it take visitors.
    Admit(WorkerId),
    /// Sends a signal.
    Signal(WorkerId, Rung),
}

impl Shell {
    /// What is to be done, in order; the caller sees to it that it is.
    pub(in crate::run) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(in crate::run) fn effect(&mut self, effect: Effect) {
        let (Effect::Release(worker) | Effect::Admit(worker) | Effect::Signal(worker, _)) = effect;
        let Some(running) = self.workers.get_mut(&worker) else { return };
        let (what, done) = match effect {
            Effect::Release(_) => {
                if let Some(gate) = running.gate.take() {
                    gate.open();
                }
                return;
            }
            Effect::Admit(_) => ("admitted", running.handle.admit()),
            Effect::Signal(_, rung) => {
                running.killed |= rung == Rung::Kill;
                ("signalled", running.handle.signal(rung))
            }
        };
        if let Err(error) = done {
            let app = running.blueprint.app.as_str();
            tracing::error!(app, %worker, %error, "worker {worker} could not be {what}");
        }
    }
}
