//! What is done to workers once the state that it follows from is written down.

use crate::config::AppName;
use crate::run::hook_host::HookInput;
use crate::run::shell::Shell;
use crate::supervise::{HandoverBy, LinkOrder, ProcessId, StopSignal};

/// Something to do to a worker, or to a link; of a worker that has gone meanwhile nothing is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) enum DeferredEffect {
    /// Lets its program run.
    Release(ProcessId),
    /// Lets it take clients.
    Admit(ProcessId),
    /// Sends a signal.
    Signal(ProcessId, StopSignal),
    /// Tells it that its app stops.
    Hurry(ProcessId),
    /// Has an app's link lead elsewhere, or stay.
    SwitchRelease(AppName, LinkOrder),
    /// Makes room for the next ostlerd: the driver's own.
    Leave(HandoverBy),
}

impl Shell {
    /// What is to be done, in order; the caller sees to it that it is.
    pub(in crate::run) fn take_effects(&mut self) -> Vec<DeferredEffect> {
        std::mem::take(&mut self.effects)
    }

    pub(in crate::run) fn effect(&mut self, effect: DeferredEffect) {
        let worker = match effect {
            DeferredEffect::SwitchRelease(app, order) => return self.switch_release(app, order),
            DeferredEffect::Release(worker)
            | DeferredEffect::Admit(worker)
            | DeferredEffect::Signal(worker, _) => worker,
            DeferredEffect::Hurry(worker) => worker,
            DeferredEffect::Leave(_) => return,
        };
        if let DeferredEffect::Signal(..) = effect {
            self.give_up(worker);
        }
        let Some(running) = self.workers.get_mut(&worker) else { return };
        let (what, done) = match effect {
            DeferredEffect::Release(_) => {
                if let Some(gate) = running.gate.take() {
                    gate.open();
                }
                running.hooks.iter_mut().for_each(HookInput::begin);
                return;
            }
            DeferredEffect::Admit(_) => ("admitted", running.handle.admit()),
            DeferredEffect::Signal(_, signal) => {
                running.killed |= signal == StopSignal::Kill;
                if signal == StopSignal::EndInput {
                    running.hooks = None;
                }
                ("signalled", running.handle.signal(signal))
            }
            DeferredEffect::Hurry(_) => {
                let board = self.apps.get(&running.blueprint.app).map(|runtime| &runtime.scoreboard);
                let told = board.zip(running.slot.as_ref()).map(|(board, slot)| board.hurry(slot));
                ("told that its app stops", told.unwrap_or(Ok(())))
            }
            DeferredEffect::SwitchRelease(..) | DeferredEffect::Leave(_) => return,
        };
        if let Err(error) = done {
            let app = running.blueprint.app.as_str();
            tracing::error!(app, %worker, %error, "worker {worker} could not be {what}");
        }
    }
}
