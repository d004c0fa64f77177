//! The hooks of gunicorn's master: which is due when, and in whose process it runs.
//!
//! | what happens | hook |
//! | --- | --- |
//! | the first worker of the first generation is started | `on_starting`, in a new process, unless its zygote has run it |
//! | the first worker of a later generation is started | `on_reload`, likewise, from the new release's code |
//! | a worker is started | `pre_fork` |
//! | a worker has ended, however | `child_exit` |
//! | another number of workers is wanted | `nworkers_changed` |
//! | full strength for the first time | `when_ready` |
//! | stopped, or removed | `on_exit`, then the process ends |
//!
//! Each generation that sets hooks has a process for them. Two stand side by side during a rollout. When the new
//! generation commits, the old one's ends, and hooks about old workers run in the new one from then on. A rollback ends
//! the new one. After `kill -9` of ostlerd there is none until the next rollout.

use crate::plan::Hook;

use super::action::Action;
use super::context::Context;
use super::due_hook::DueHook;
use super::ids::{GenerationId, ProcessId};
use super::pool::Process;
use super::state::{App, HookProcess, Hooks};

impl App {
    /// A generation is about to start its first worker.
    pub(super) fn hooks_of_new_generation(
        &mut self,
        context: &mut Context<'_>,
        generation: GenerationId,
        replaces: bool,
        workers: u32,
    ) {
        self.hooks.workers = workers;
        let host = Some(HookProcess { generation, beside: None });
        let before = match replaces {
            true => std::mem::replace(&mut self.hooks.incoming, host),
            false => std::mem::replace(&mut self.hooks.current, host),
        };
        self.end_hooks(context, before);
    }

    pub(super) fn hooks_of_started(
        &mut self,
        context: &mut Context<'_>,
        worker: ProcessId,
        generation: GenerationId,
    ) {
        let (app, workers) = (self.name.clone(), self.hooks.workers);
        let is_incoming = self.hooks.incoming.as_ref().is_some_and(|host| host.generation == generation);
        let sets = self.generation_mut(generation).is_some_and(|it| !it.blueprint.hooks.is_empty());
        if let Some(host) = self.hooks.host(generation)
            && host.generation == generation
            && host.beside.is_none()
            && sets
        {
            host.beside = Some(worker);
            let first = DueHook::new(Hook::first(is_incoming), workers);
            context.actions.push(Action::StartHooks { app, generation, worker, first });
        }
        self.hook_of_worker(context, Hook::PreFork, worker, generation);
    }

    /// A worker was not started after all, and no process of hooks beside it: it is started beside another.
    pub(super) fn hooks_of_not_started(&mut self, context: &mut Context<'_>, worker: ProcessId) {
        let mut hosts = self.hooks.current.iter_mut().chain(&mut self.hooks.incoming);
        let Some(host) = hosts.find(|host| host.beside == Some(worker)) else { return };
        host.beside = None;
        let generation = host.generation;
        for other in self.select(|it| it.generation == generation && !it.forking) {
            self.hooks_of_started(context, other, generation);
        }
    }

    /// One that was to be forked and never was has no process that could have ended.
    pub(super) fn hooks_of_ended(&mut self, context: &mut Context<'_>, worker: &Process) {
        if worker.role.serves() && !worker.forking {
            self.hook_of_worker(context, Hook::ChildExit, worker.id, worker.generation);
        }
    }

    fn hook_of_worker(
        &mut self,
        context: &mut Context<'_>,
        hook: Hook,
        worker: ProcessId,
        generation: GenerationId,
    ) {
        let due = DueHook { worker: Some(worker), ..DueHook::new(hook, self.hooks.workers) };
        let host = self.hooks.host(generation).map(|host| host.generation);
        self.run_hook(context, host, due);
    }

    pub(super) fn hooks_of_scaling(&mut self, context: &mut Context<'_>, from: u32, to: u32) {
        if from == to {
            return;
        }
        self.hooks.workers = to;
        let due = DueHook { from: Some(from), ..DueHook::new(Hook::NworkersChanged, to) };
        self.run_hook(context, self.hooks.serving(), due);
    }

    pub(super) fn hooks_at_full_strength(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.hooks.was_ready, true) {
            let due = DueHook::new(Hook::WhenReady, self.hooks.workers);
            self.run_hook(context, self.hooks.serving(), due);
        }
    }

    /// The new generation stays.
    pub(super) fn hooks_of_incoming_stay(&mut self, context: &mut Context<'_>) {
        if let Some(incoming) = self.hooks.incoming.take() {
            let before = self.hooks.current.replace(incoming);
            self.end_hooks(context, before);
        }
    }

    /// The new generation goes.
    pub(super) fn hooks_of_incoming_go(&mut self, context: &mut Context<'_>) {
        let incoming = self.hooks.incoming.take();
        self.end_hooks(context, incoming);
    }

    /// No worker is left, and none is wanted.
    pub(super) fn hooks_of_stop(&mut self, context: &mut Context<'_>) {
        let due = DueHook::new(Hook::OnExit, self.hooks.workers);
        self.run_hook(context, self.hooks.serving(), due);
        let Hooks { current, incoming, .. } = std::mem::take(&mut self.hooks);
        self.end_hooks(context, current);
        self.end_hooks(context, incoming);
    }

    fn run_hook(&mut self, context: &mut Context<'_>, host: Option<GenerationId>, due: DueHook) {
        let is_there = |it: &&HookProcess| Some(it.generation) == host && it.beside.is_some();
        let hosts = self.hooks.current.iter().chain(&self.hooks.incoming);
        if let Some(HookProcess { generation, .. }) = hosts.into_iter().find(is_there) {
            let (app, generation) = (self.name.clone(), *generation);
            context.actions.push(Action::RunHook { app, generation, due });
        }
    }

    fn end_hooks(&self, context: &mut Context<'_>, host: Option<HookProcess>) {
        if let Some(HookProcess { generation, beside: Some(_) }) = host {
            context.actions.push(Action::EndHooks { app: self.name.clone(), generation });
        }
    }
}
