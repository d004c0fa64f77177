//! How workers and zygotes come to be: started, or forked.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use super::effects::DeferredEffect;
use super::{AppRuntime, ExpectedFork, Running, Shell, snapshot};
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::run::background;
use crate::run::children::Gate;
use crate::run::hooks;
use crate::run::inbox::Inbound;
use crate::run::scoreboard::Slot;
use crate::run::worker_process::{self, Admission, StartedWorker, WorkerHandle, watch_adopted};
use crate::run::zygote::{self, ForkedWorker, Parent};
use crate::supervise::{DueHook, Event, Exit, GenerationId, ProcessFact, ProcessId, Role, Start};

impl Shell {
    /// Starts a process, or has it forked.
    pub(super) fn start(&mut self, start: Start) {
        let process = start.process;
        let started = match (&start.role, start.from) {
            (Role::Web, Some(zygote)) => self.fork(start, zygote),
            (Role::Web, None) => self.spawn(start),
            (Role::Zygote(_), _) => self.start_zygote(start),
            (Role::Background(name), _) => self.start_background(&start, name),
        };
        if let Err(reason) = started {
            self.report(ProcessFact::NotStarted(reason).of(process));
        }
    }

    fn admission(&self, start: &Start) -> Admission {
        let tables = !self.tables.has(&start.blueprint.app, start.generation);
        Admission { hold: start.hold, tables, tolerate: start.tolerate }
    }

    fn spawn(&mut self, start: Start) -> Result<(), String> {
        let (children, admission) = (self.children.clone(), self.admission(&start));
        let Start { process, generation, blueprint, .. } = start;
        let (runtime, slot) = self.runtime_and_slot(&blueprint)?;
        let board = (&runtime.scoreboard, &slot);
        let names = (process, generation);
        match worker_process::start(&children, names, &blueprint, admission, &runtime.listeners, board) {
            Ok(mut started) => {
                if admission.tables {
                    self.tables.receive(&blueprint.app, generation, &mut started.watch, &self.outbox);
                }
                self.runs((process, Role::Web), blueprint, started, slot, None);
                Ok(())
            }
            Err(reason) => {
                runtime.scoreboard.release(slot);
                Err(reason)
            }
        }
    }

    fn start_zygote(&mut self, start: Start) -> Result<(), String> {
        let children = self.children.clone();
        let Start { process, role, generation, blueprint, first, .. } = start;
        let before = first.map(|due| hooks::order(due, None));
        let (runtime, slot) = self.runtime_and_slot(&blueprint)?;
        let board = (&runtime.scoreboard, &slot);
        match zygote::start(&children, (process, generation), &blueprint, before, board) {
            Ok((started, commands)) => {
                self.runs((process, role), blueprint, started, slot, None);
                self.workers.entry(process).and_modify(|running| running.commands = Some(commands));
                Ok(())
            }
            Err(reason) => {
                runtime.scoreboard.release(slot);
                Err(reason)
            }
        }
    }

    fn start_background(&mut self, start: &Start, name: &str) -> Result<(), String> {
        let Start { process: id, role, generation, blueprint, .. } = start;
        let (process, gate, cgroup) = background::start(&self.children, *generation, blueprint, name)?;
        tokio::spawn(watch_adopted(*id, process.clone(), None, self.outbox.facts.clone()));
        let handle = WorkerHandle::adopted(*id, process);
        self.is_there((*id, role.clone()), blueprint.clone(), (handle, gate, cgroup), None, None);
        Ok(())
    }

    /// Tells a zygote to fork a worker; the driver gets `Forked`.
    fn fork(&mut self, start: Start, zygote: ProcessId) -> Result<(), String> {
        let admission = self.admission(&start);
        let Start { process, generation, blueprint, .. } = start;
        let gone = || format!("its zygote {zygote} is not there");
        let commands = self.workers.get(&zygote).and_then(|running| running.commands.as_ref());
        let commands = commands.ok_or_else(gone)?.try_clone().map_err(|error| error.to_string())?;
        let (runtime, slot) = self.runtime_and_slot(&blueprint)?;
        let sockets = runtime.listeners.of(&blueprint.listen);
        let orders = worker_process::orders((process, generation), &blueprint, admission, &sockets, &slot);
        match zygote::fork(commands.as_fd(), &orders, &runtime.scoreboard, &sockets) {
            Ok(forking) => {
                let inbox = self.outbox.inbox.clone();
                let task = tokio::spawn(async move {
                    let forked = forking.forked().await;
                    // The driver outlives its tasks.
                    let _ = inbox.send(Inbound::Forked { worker: process, forked });
                });
                let waiting = task.abort_handle();
                let tells = admission.tables;
                self.forking
                    .insert(process, ExpectedFork { blueprint, zygote, slot, generation, tells, waiting });
                Ok(())
            }
            Err(error) => {
                runtime.scoreboard.release(slot);
                Err(format!("its zygote {zygote} cannot be told to fork it: {error}"))
            }
        }
    }

    /// A worker that was to be forked has said its first word; what the core hears of that.
    pub(in crate::run) fn forked(
        &mut self,
        worker: ProcessId,
        forked: Result<ForkedWorker, String>,
    ) -> Option<Event> {
        // Of one that was given up nothing is kept: it ends with its control socket.
        let ExpectedFork { blueprint, zygote, slot, generation, tells, .. } = self.forking.remove(&worker)?;
        let cgroup = self.workers.get(&zygote).and_then(|running| running.cgroup.clone());
        let known = forked.and_then(|it| it.known(&self.children, worker, &blueprint, cgroup));
        match known {
            Ok(mut started) => {
                if tells {
                    self.tables.receive(&blueprint.app, generation, &mut started.watch, &self.outbox);
                }
                self.runs((worker, Role::Web), blueprint, started, slot, Some(zygote));
                Some(ProcessFact::Forked.of(worker))
            }
            Err(reason) => {
                self.release(&blueprint, slot);
                Some(ProcessFact::NotStarted(reason).of(worker))
            }
        }
    }

    /// Gives up a worker that was to be forked, where it has not been yet.
    pub(super) fn give_up(&mut self, worker: ProcessId) {
        if self.give_up_waiting(worker) {
            return;
        }
        let Some(ExpectedFork { blueprint, slot, waiting, .. }) = self.forking.remove(&worker) else {
            return;
        };
        waiting.abort();
        self.release(&blueprint, slot);
        self.report(ProcessFact::Exited(Exit::Unknown).of(worker));
    }

    fn release(&mut self, blueprint: &Blueprint, slot: Slot) {
        if let Some(runtime) = self.apps.get_mut(&blueprint.app) {
            runtime.scoreboard.release(slot);
        }
    }

    /// The app's sockets, bound and open, and a place on its scoreboard. Unix sockets were made before ([`Shell::held_back`]).
    fn runtime_and_slot(&mut self, blueprint: &Blueprint) -> Result<(&mut AppRuntime, Slot), String> {
        let passed = self.passed();
        let runtime = self.apps.get_mut(&blueprint.app).ok_or("its listeners are closed")?;
        runtime.listeners.open_again().map_err(|it| it.to_string())?;
        if runtime.listeners.lacks(&blueprint.listen) {
            let bound = runtime.listeners.bind_with(&blueprint.listen, &passed, Vec::new());
            bound.map_err(|error| error.to_string())?;
        }
        self.memory.watch(&blueprint.app);
        let slot =
            runtime.scoreboard.claim().map_err(|error| format!("no place on the scoreboard: {error}"))?;
        Ok((runtime, slot))
    }

    /// Starts the process of a generation's hooks, from what this worker of it was started from.
    pub(super) fn start_hooks(&mut self, generation: GenerationId, worker: ProcessId, first: DueHook) {
        let Some(running) = self.workers.get(&worker) else { return };
        let parent = running.zygote.and_then(|zygote| {
            let zygote = self.workers.get(&zygote)?;
            let runtime = self.apps.get(&zygote.blueprint.app)?;
            let (commands, cgroup) = (zygote.commands.as_ref()?.as_fd(), zygote.cgroup.clone());
            Some(Parent { commands, scoreboard: &runtime.scoreboard, cgroup })
        });
        self.hooks.start(generation, &running.blueprint, parent, first);
    }

    pub(super) fn run_hook(&mut self, app: AppName, generation: GenerationId, due: DueHook) {
        let running = due.worker.and_then(|worker| self.workers.get(&worker));
        self.hooks.run(app, generation, due, running.map(|running| running.handle.pid()));
    }

    fn runs(
        &mut self,
        who: (ProcessId, Role),
        blueprint: Arc<Blueprint>,
        started: StartedWorker,
        slot: Slot,
        zygote: Option<ProcessId>,
    ) {
        let StartedWorker { handle, watch, gate, cgroup } = started;
        tokio::spawn(watch.run(self.outbox.facts.clone()));
        self.is_there(who, blueprint, (handle, gate, cgroup), Some(slot), zygote);
    }

    /// There is a process, which waits at its gate until that is written down.
    fn is_there(
        &mut self,
        (id, role): (ProcessId, Role),
        blueprint: Arc<Blueprint>,
        (handle, gate, cgroup): (WorkerHandle, Gate, Option<String>),
        slot: Option<Slot>,
        zygote: Option<ProcessId>,
    ) {
        let now = Instant::now();
        let (began, gate) = (snapshot::began(handle.pid()), Some(gate));
        let running = Running {
            role,
            blueprint,
            handle,
            slot,
            gate,
            commands: None,
            zygote,
            began,
            cgroup,
            killed: false,
            started: now,
            sane: now,
        };
        self.workers.insert(id, running);
        self.effects.push(DeferredEffect::Release(id));
    }
}
