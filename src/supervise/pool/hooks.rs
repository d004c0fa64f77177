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
//! Each generation that sets hooks has a process for them, with the role `Hooks`. Two stand side by side during a rollout.
//! When the new generation commits, the old one's ends, and hooks about old workers run in the new one from then on. A
//! rollback ends the new one. One that has ended by itself, or hangs, has no successor before the next rollout.

use crate::plan::Hook;

use super::cause::Cause;
use super::process::Process;
use super::process_event::ProcessChange;
use super::role::Role;
use crate::supervise::action::Action;
use crate::supervise::context::Context;
use crate::supervise::due_hook::DueHook;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::state::{App, HOOK_PATIENCE, HOOKS_MOST, HookHost, HookPlace, Hooks, Mode};
use crate::supervise::time::Moment;

impl App {
    /// A generation is about to start its first worker.
    pub(in crate::supervise) fn hooks_of_new_generation(
        &mut self,
        generation: GenerationId,
        replaces: bool,
        workers: u32,
    ) {
        self.hooks.workers = workers;
        let host = if replaces { &mut self.hooks.incoming } else { &mut self.hooks.current };
        *host = Some(HookHost::of(generation));
    }

    pub(super) fn hooks_of_started(
        &mut self,
        context: &mut Context<'_>,
        worker: ProcessId,
        generation: GenerationId,
    ) {
        let sets = self.mode == Mode::Running
            && self.generation(generation).is_some_and(|it| !it.blueprint.hooks.is_empty());
        let has_none = |host: &HookHost| host.generation == generation && host.process.is_none();
        if sets && self.hooks.host(generation).is_some_and(|host| has_none(host)) {
            self.start_process(context, Role::Hooks, generation, false);
        }
        self.hook_of_worker(context, Hook::PreFork, worker, generation);
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

    pub(in crate::supervise) fn hooks_of_scaling(&mut self, context: &mut Context<'_>, from: u32, to: u32) {
        if from == to {
            return;
        }
        self.hooks.workers = to;
        let due = DueHook { from: Some(from), ..DueHook::new(Hook::NworkersChanged, to) };
        self.run_hook(context, self.hooks.serving(), due);
    }

    pub(in crate::supervise) fn hooks_at_full_strength(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.hooks.was_ready, true) {
            let due = DueHook::new(Hook::WhenReady, self.hooks.workers);
            self.run_hook(context, self.hooks.serving(), due);
        }
    }

    /// The new generation stays.
    pub(in crate::supervise) fn hooks_of_incoming_stay(&mut self) {
        if let Some(incoming) = self.hooks.incoming.take() {
            self.hooks.current = Some(incoming);
        }
    }

    /// The new generation goes.
    pub(in crate::supervise) fn hooks_of_incoming_go(&mut self) {
        self.hooks.incoming = None;
    }

    /// No worker is left, and none is wanted.
    pub(super) fn hooks_of_stop(&mut self, context: &mut Context<'_>) {
        let due = DueHook::new(Hook::OnExit, self.hooks.workers);
        self.run_hook(context, self.hooks.serving(), due);
        self.hooks = Hooks::default();
    }

    /// The generations whose process for hooks may be there.
    pub(super) fn generations_with_hooks(&self) -> impl Iterator<Item = GenerationId> {
        self.hooks.hosts().map(|host| host.generation)
    }

    fn run_hook(&mut self, context: &mut Context<'_>, generation: Option<GenerationId>, due: DueHook) {
        let host = self.hooks.hosts().find(|it| Some(it.generation) == generation);
        let process = host.and_then(|it| it.process);
        let Some(known) = process.and_then(|it| self.processes.get(&it)).filter(|it| it.is_live()) else {
            return;
        };
        let Some(host) = self.hooks.host_of(known.id) else { return };
        match host.take(due.hook, context.now) {
            HookPlace::Taken => context.actions.push(Action::RunHook { process: known.id, due }),
            HookPlace::Full => {
                let error = format!("{HOOKS_MOST} hooks wait to run; it is left out, as are those after it");
                let known = known.clone();
                self.tell(context, &known, ProcessChange::HookFailed { hook: due.hook, error });
            }
            HookPlace::StillFull => {}
        }
    }

    /// A hook has run; what it raised is told.
    pub(super) fn hook_has_run(
        &mut self,
        context: &mut Context<'_>,
        process: ProcessId,
        hook: Hook,
        error: Option<String>,
    ) {
        if let Some(host) = self.hooks.host_of(process) {
            host.has_run(hook, context.now);
        }
        if let (Some(error), Some(process)) = (error, self.processes.get(&process)) {
            self.tell(context, process, ProcessChange::HookFailed { hook, error });
        }
    }

    /// The hooks that run, each with its process and with when it should have ended.
    fn running_hooks(&self) -> impl Iterator<Item = (ProcessId, Hook, Moment)> {
        let lives = |it: &ProcessId| self.processes.get(it).is_some_and(Process::is_live);
        self.hooks.hosts().filter_map(move |host| {
            let (hook, until) = host.running()?;
            Some((host.process.filter(lives)?, hook, until))
        })
    }

    /// Ends the processes of hooks that do not end.
    pub(super) fn expire_hooks(&mut self, context: &mut Context<'_>) {
        let late: Vec<_> = self.running_hooks().filter(|(.., until)| context.now >= *until).collect();
        for (process, hook, _) in late {
            let error = format!("it has not ended within {HOOK_PATIENCE:?}, and its process is ended");
            self.tell(context, &self.processes[&process], ProcessChange::HookFailed { hook, error });
            self.end(context, process, Cause::HookTimeout);
        }
    }

    pub(super) fn hooks_deadline(&self) -> Option<Moment> {
        self.running_hooks().map(|(.., until)| until).min()
    }
}
