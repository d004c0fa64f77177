//! How workers and zygotes come to be: started, or forked.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::effects::DeferredEffect;
use super::{AppRuntime, ExpectedFork, ForkedWork, Running, Shell, snapshot};
use crate::plan::Blueprint;
use crate::run::background;
use crate::run::children::Gate;
use crate::run::hook_host::{self, HookInput, HookOrders, HookWatch};
use crate::run::inbox::Inbound;
use crate::run::scoreboard::Slot;
use crate::run::worker_process::{self, Admission, StartedWorker, WorkerHandle, watch_adopted};
use crate::run::zygote::{self, ForkedWorker, ForkingWorker};
use crate::supervise::{DueHook, Event, Exit, GenerationId, ProcessFact, ProcessId, Role, Start};

impl Shell {
    /// Starts a process, or has it forked.
    pub(super) fn start(&mut self, start: Start) {
        let process = start.process;
        let started = match (&start.role, start.from) {
            (Role::Web, Some(zygote)) => self.fork(start, zygote),
            (Role::Web, None) => self.spawn(start),
            (Role::Zygote(_), _) => self.start_zygote(start),
            (Role::Hooks, _) => self.start_hooks(start),
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
                self.runs((process, Role::Web), blueprint, started, slot);
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
        let before = first.map(|due| hook_host::order(due, None));
        let (runtime, slot) = self.runtime_and_slot(&blueprint)?;
        let board = (&runtime.scoreboard, &slot);
        match zygote::start(&children, (process, generation), &blueprint, before, board) {
            Ok((started, commands)) => {
                self.runs((process, role), blueprint, started, slot);
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
        self.is_there((*id, role.clone()), blueprint.clone(), (handle, gate, cgroup), None);
        Ok(())
    }

    fn commands_of(&self, zygote: ProcessId) -> Result<OwnedFd, String> {
        let commands = self.workers.get(&zygote).and_then(|running| running.commands.as_ref());
        let commands = commands.ok_or_else(|| format!("its zygote {zygote} is not there"))?;
        commands.try_clone().map_err(|error| error.to_string())
    }

    /// Tells a zygote to fork a worker; the driver gets `Forked`.
    fn fork(&mut self, start: Start, zygote: ProcessId) -> Result<(), String> {
        let admission = self.admission(&start);
        let Start { process, generation, blueprint, .. } = start;
        let commands = self.commands_of(zygote)?;
        let (runtime, slot) = self.runtime_and_slot(&blueprint)?;
        let sockets = runtime.listeners.of(&blueprint.listen);
        let orders = worker_process::orders((process, generation), &blueprint, admission, &sockets, &slot);
        match zygote::fork(commands.as_fd(), &orders, &runtime.scoreboard, &sockets) {
            Ok(forking) => {
                let work = ForkedWork::Web { slot, tells: admission.tables };
                self.expect(process, (blueprint, zygote, generation), work, forking);
                Ok(())
            }
            Err(error) => {
                runtime.scoreboard.release(slot);
                Err(format!("its zygote {zygote} cannot be told to fork it: {error}"))
            }
        }
    }

    fn expect(
        &mut self,
        process: ProcessId,
        (blueprint, zygote, generation): (Arc<Blueprint>, ProcessId, GenerationId),
        work: ForkedWork,
        forking: ForkingWorker,
    ) {
        let inbox = self.outbox.inbox.clone();
        let task = tokio::spawn(async move {
            let forked = forking.forked().await;
            // The driver outlives its tasks.
            let _ = inbox.send(Inbound::Forked { worker: process, forked });
        });
        let waiting = task.abort_handle();
        self.forking.insert(process, ExpectedFork { blueprint, zygote, generation, work, waiting });
    }

    /// A worker that was to be forked has said its first word; what the core hears of that.
    pub(in crate::run) fn forked(
        &mut self,
        worker: ProcessId,
        forked: Result<ForkedWorker, String>,
    ) -> Option<Event> {
        // Of one that was given up nothing is kept: it ends with its control socket.
        let ExpectedFork { blueprint, zygote, generation, work, .. } = self.forking.remove(&worker)?;
        let cgroup = self.workers.get(&zygote).and_then(|running| running.cgroup.clone());
        let known = forked.and_then(|it| it.process(&self.children, &blueprint, cgroup.as_deref()));
        let ((process, gate), wire) = match known {
            Ok(known) => known,
            Err(reason) => {
                self.release(&blueprint, work);
                return Some(ProcessFact::NotStarted(reason).of(worker));
            }
        };
        match work {
            ForkedWork::Hooks(input, orders) => {
                let started = ((process, gate), wire, cgroup);
                self.hosts_hooks(worker, blueprint, started, (input, orders));
            }
            ForkedWork::Web { slot, tells } => {
                let mut started = worker_process::started(worker, &blueprint, (process, wire), gate, cgroup);
                if tells {
                    self.tables.receive(&blueprint.app, generation, &mut started.watch, &self.outbox);
                }
                self.runs((worker, Role::Web), blueprint, started, slot);
            }
        }
        Some(ProcessFact::Forked.of(worker))
    }

    /// Gives up a process that was to be forked, where it has not been yet.
    pub(super) fn give_up(&mut self, worker: ProcessId) {
        if self.give_up_waiting(worker) {
            return;
        }
        let Some(ExpectedFork { blueprint, work, waiting, .. }) = self.forking.remove(&worker) else {
            return;
        };
        waiting.abort();
        self.release(&blueprint, work);
        self.report(ProcessFact::Exited(Exit::Unknown).of(worker));
    }

    fn release(&mut self, blueprint: &Blueprint, work: ForkedWork) {
        if let (Some(runtime), ForkedWork::Web { slot, .. }) = (self.apps.get_mut(&blueprint.app), work) {
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

    /// Starts a hook host, or has the zygote fork it.
    fn start_hooks(&mut self, start: Start) -> Result<(), String> {
        let Start { process: id, generation, blueprint, from, first, .. } = start;
        let (input, orders) = hook_host::input();
        first.into_iter().for_each(|due| input.tell(hook_host::order(due, None)));
        let Some(zygote) = from else {
            let (held, wire, cgroup) = hook_host::start(&self.children, generation, &blueprint)?;
            self.hosts_hooks(id, blueprint, (held, wire, cgroup), (input, orders));
            return Ok(());
        };
        let (commands, runtime) = (self.commands_of(zygote)?, self.apps.get(&blueprint.app));
        let board = &runtime.ok_or("its scoreboard is gone")?.scoreboard;
        let told = hook_host::orders(generation, &blueprint);
        let forking = zygote::fork_hook_host(commands.as_fd(), &told, board)
            .map_err(|error| format!("its zygote {zygote} cannot be told to fork it: {error}"))?;
        self.expect(id, (blueprint, zygote, generation), ForkedWork::Hooks(input, orders), forking);
        Ok(())
    }

    fn hosts_hooks(
        &mut self,
        id: ProcessId,
        blueprint: Arc<Blueprint>,
        ((process, gate), wire, cgroup): hook_host::Started,
        (input, orders): (HookInput, HookOrders),
    ) {
        let process = Arc::new(process);
        let watch = HookWatch { app: blueprint.app.clone(), id, process: process.clone(), wire, orders };
        tokio::spawn(watch.run(self.outbox.facts.clone()));
        let handle = WorkerHandle::adopted(id, process);
        self.is_there((id, Role::Hooks), blueprint, (handle, gate, cgroup), None);
        self.workers.entry(id).and_modify(|running| running.hooks = Some(input));
    }

    /// Hands a hook in. Of a worker that could not be started, or that nobody saw end, nothing can be run.
    pub(super) fn run_hook(&mut self, host: ProcessId, due: DueHook) {
        let lives = due.worker.and_then(|worker| self.workers.get(&worker)).map(|it| it.handle.pid());
        let ended = self.ended.filter(|(worker, _)| Some(*worker) == due.worker).map(|(_, pid)| pid);
        let pid = lives.or(ended);
        if pid.is_some() != due.worker.is_some() {
            return self.report(ProcessFact::Ran { hook: due.hook, error: None }.of(host));
        }
        let running = self.workers.get(&host).and_then(|it| it.hooks.as_ref());
        let forking = self.forking.get(&host).and_then(|it| match &it.work {
            ForkedWork::Hooks(input, _) => Some(input),
            ForkedWork::Web { .. } => None,
        });
        if let Some(input) = running.or(forking) {
            input.tell(hook_host::order(due, pid));
        }
    }

    fn runs(
        &mut self,
        who: (ProcessId, Role),
        blueprint: Arc<Blueprint>,
        started: StartedWorker,
        slot: Slot,
    ) {
        let StartedWorker { handle, watch, gate, cgroup } = started;
        tokio::spawn(watch.run(self.outbox.facts.clone()));
        self.is_there(who, blueprint, (handle, gate, cgroup), Some(slot));
    }

    /// There is a process, which waits at its gate until that is written down.
    fn is_there(
        &mut self,
        (id, role): (ProcessId, Role),
        blueprint: Arc<Blueprint>,
        (handle, gate, cgroup): (WorkerHandle, Gate, Option<String>),
        slot: Option<Slot>,
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
            hooks: None,
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
