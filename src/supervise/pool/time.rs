//! What time alone does to processes: patience that is over, boots that took too long, age. That one hangs is seen in `facts`.

use std::time::Duration;

use super::cause::Cause;
use super::failures::Lost;
use super::ladder::StopSignal;
use super::process::{Life, Process};
use super::process_event::ProcessChange;
use crate::plan::Policy;
use crate::supervise::action::Action;
use crate::supervise::context::Context;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::state::App;
use crate::supervise::time::Moment;

impl App {
    pub(in crate::supervise) fn expire_processes(&mut self, context: &mut Context<'_>) {
        let ids: Vec<ProcessId> = self.processes.keys().copied().collect();
        for id in ids {
            let policy = self.processes.get(&id).and_then(|process| self.policy(process.generation));
            let Some(policy) = policy.cloned() else { continue };
            self.expire_process(context, id, &policy);
        }
        self.expire_hooks(context);
    }

    fn expire_process(&mut self, context: &mut Context<'_>, id: ProcessId, policy: &Policy) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        process.age(context.now, policy);
        match process.life {
            Life::Booting { until, .. } if context.now >= until => {
                self.boot_timed_out(context, id, policy.rollout.boot_timeout);
            }
            // One that has not been forked yet is nowhere.
            Life::Booting { until, .. }
                if process.boot.asks(context.now, until, policy.rollout.boot_timeout) && !process.forking =>
            {
                context.actions.push(Action::AskWhere { process: id });
            }
            Life::Held { until } if context.now >= until => {
                process.life =
                    Life::Booting { hold: false, until: context.now + policy.rollout.boot_timeout };
                process.boot = Default::default();
                context.actions.push(Action::AdmitWorker { worker: id });
            }
            Life::Ending { ref ending, .. } => {
                let cause = ending.cause;
                let Some(signal) = process.climb(context.now, policy) else { return };
                context.actions.push(Action::SignalProcess { process: id, signal });
                if signal == StopSignal::Kill {
                    self.tell(context, &self.processes[&id], ProcessChange::Killed { cause });
                }
            }
            _ => {}
        }
    }

    /// It had its time.
    fn boot_timed_out(&mut self, context: &mut Context<'_>, id: ProcessId, limit: Duration) {
        let Some(process) = self.processes.get(&id).cloned() else { return };
        let (noun, work) = (process.role.noun(), process.role.work());
        let message =
            format!("{noun} {id} {} within boot_timeout ({} s)", work.not_ready, limit.as_secs_f64());
        let (cause, age) = (Cause::BootTimeout, context.now.since(process.started));
        self.tell(context, &process, ProcessChange::Hung { cause, age });
        self.end(context, id, cause);
        if process.forking {
            self.blame_zygote(context, process.generation);
        }
        let words = process.boot.words(message);
        self.lost(context, Lost::of(&process, false, words));
    }

    /// A worker that was to be forked has not been: whatever its zygote does, it is none for another worker.
    fn blame_zygote(&mut self, context: &mut Context<'_>, generation: GenerationId) {
        if let Some(id) = self.zygote_of(generation) {
            let zygote = &self.processes[&id];
            let (cause, age) = (Cause::Hung, context.now.since(zygote.started));
            self.tell(context, zygote, ProcessChange::Hung { cause, age });
            self.end(context, id, cause);
        }
    }

    /// Begins the end of a process.
    pub(in crate::supervise) fn end(&mut self, context: &mut Context<'_>, id: ProcessId, cause: Cause) {
        let Some(process) = self.processes.get(&id) else { return };
        let Some(policy) = self.policy(process.generation).cloned() else { return };
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(signal) = process.end(context.now, cause, &policy) else { return };
        let process = &self.processes[&id];
        if signal == StopSignal::Terminate || !process.role.serves() {
            self.tell(context, process, ProcessChange::Draining { cause });
        }
        context.actions.push(Action::SignalProcess { process: id, signal });
    }

    /// Goes straight to the last signal with all of them.
    pub(in crate::supervise) fn kill_processes(&mut self, context: &mut Context<'_>, cause: Cause) {
        for process in self.processes.values_mut() {
            if let Some(signal) = process.kill(context.now, cause) {
                context.actions.push(Action::SignalProcess { process: process.id, signal });
            }
        }
    }

    /// Tells every worker that drains that the app stops, whatever it drains for.
    pub(in crate::supervise) fn hurry(&mut self, context: &mut Context<'_>) {
        for worker in self.select(|worker| !worker.hurried && !worker.is_live()) {
            let generation = self.processes[&worker].generation;
            let Some(policy) = self.policy(generation).cloned() else { continue };
            let told = self.processes.get_mut(&worker).is_some_and(|it| it.hurry(context.now, &policy));
            if told {
                context.actions.push(Action::HurryWorker { worker });
            }
        }
    }

    /// The next moment at which something about a process changes by time alone.
    pub(in crate::supervise) fn process_deadline(&self) -> Option<Moment> {
        let of = |process: &Process| process.deadline(self.policy(process.generation)?);
        let others = self.missing_deadline().into_iter().chain(self.hooks_deadline());
        self.processes.values().filter_map(of).chain(others).min()
    }
}
