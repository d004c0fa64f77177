//! How workers and zygotes come to be: started, or forked.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use super::effects::Effect;
use super::{Expected, Home, Running, Shell, legacy};
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::run::driver::Inbound;
use crate::run::hooks::hook_before_forks;
use crate::run::scoreboard::Slot;
use crate::run::worker_process::{self, Admission, StartedWorker};
use crate::run::zygote::{self, Newborn, Parent};
use crate::supervise::{Action, DueHook, Event, Exit, GenerationId, WorkerId};
use crate::worker::HookOrder;

impl Shell {
    /// Starts a worker or a zygote.
    pub(super) fn start(&mut self, action: Action) {
        match action {
            Action::SpawnWorker { worker, generation, blueprint, hold, tolerate, from } => {
                let tables = !self.tables.has(&blueprint.app, generation);
                let admission = Admission { hold, tables, tolerate };
                let spawned = match from {
                    Some(zygote) => self.fork((worker, generation), blueprint, admission, zygote),
                    None => self.spawn(worker, generation, blueprint, admission),
                };
                if let Err(reason) = spawned {
                    self.report(Event::SpawnFailed { worker, reason });
                }
            }
            Action::StartZygote { zygote, generation, blueprint, replaces, workers } => {
                let before = hook_before_forks(&blueprint, replaces, workers);
                if let Err(reason) = self.start_zygote((zygote, generation), blueprint, before) {
                    self.report(Event::SpawnFailed { worker: zygote, reason });
                }
            }
            _ => {}
        }
    }

    fn spawn(
        &mut self,
        worker: WorkerId,
        generation: GenerationId,
        blueprint: Arc<Blueprint>,
        admission: Admission,
    ) -> Result<(), String> {
        let children = self.children.clone();
        let (home, slot) = self.home_and_slot(&blueprint)?;
        let board = (&home.scoreboard, &slot);
        match worker_process::start(
            &children,
            (worker, generation),
            &blueprint,
            admission,
            &home.listeners,
            board,
        ) {
            Ok(mut started) => {
                if admission.tables {
                    self.tables.hear(&blueprint.app, generation, &mut started.watch, &self.outbox);
                }
                self.runs(worker, blueprint, started, slot, None);
                Ok(())
            }
            Err(reason) => {
                home.scoreboard.release(slot);
                Err(reason)
            }
        }
    }

    fn start_zygote(
        &mut self,
        (zygote, generation): (WorkerId, GenerationId),
        blueprint: Arc<Blueprint>,
        before: Option<HookOrder>,
    ) -> Result<(), String> {
        let children = self.children.clone();
        let (home, slot) = self.home_and_slot(&blueprint)?;
        let board = (&home.scoreboard, &slot);
        match zygote::start(&children, (zygote, generation), &blueprint, before, board) {
            Ok((started, commands)) => {
                self.runs(zygote, blueprint, started, slot, None);
                self.workers.entry(zygote).and_modify(|running| running.commands = Some(commands));
                Ok(())
            }
            Err(reason) => {
                home.scoreboard.release(slot);
                Err(reason)
            }
        }
    }

    /// Tells a zygote to fork a worker; the driver gets `Forked`.
    fn fork(
        &mut self,
        (worker, generation): (WorkerId, GenerationId),
        blueprint: Arc<Blueprint>,
        admission: Admission,
        zygote: WorkerId,
    ) -> Result<(), String> {
        let gone = || format!("its zygote {zygote} is not there");
        let commands = self.workers.get(&zygote).and_then(|running| running.commands.as_ref());
        let commands = commands.ok_or_else(gone)?.try_clone().map_err(|error| error.to_string())?;
        let (home, slot) = self.home_and_slot(&blueprint)?;
        let sockets = home.listeners.of(&blueprint.listen);
        let orders = worker_process::orders((worker, generation), &blueprint, admission, &sockets, &slot);
        match zygote::fork(commands.as_fd(), &orders, &home.scoreboard, &sockets) {
            Ok(unborn) => {
                let inbox = self.outbox.inbox.clone();
                let task = tokio::spawn(async move {
                    let born = unborn.born().await;
                    // The driver outlives its tasks.
                    let _ = inbox.send(Inbound::Forked { worker, born });
                });
                let waiting = task.abort_handle();
                let tells = admission.tables;
                self.unborn.insert(worker, Expected { blueprint, zygote, slot, generation, tells, waiting });
                Ok(())
            }
            Err(error) => {
                home.scoreboard.release(slot);
                Err(format!("its zygote {zygote} cannot be told to fork it: {error}"))
            }
        }
    }

    /// A worker that was to be forked has said its first word; what the core hears of that.
    pub(in crate::run) fn forked(
        &mut self,
        worker: WorkerId,
        born: Result<Newborn, String>,
    ) -> Option<Event> {
        // Of one that was given up nothing is kept: it ends with its control socket.
        let Expected { blueprint, zygote, slot, generation, tells, .. } = self.unborn.remove(&worker)?;
        let cgroup = self.workers.get(&zygote).and_then(|running| running.cgroup.clone());
        let known = born.and_then(|it| it.known(&self.children, worker, &blueprint, cgroup));
        match known {
            Ok(mut started) => {
                if tells {
                    self.tables.hear(&blueprint.app, generation, &mut started.watch, &self.outbox);
                }
                self.runs(worker, blueprint, started, slot, Some(zygote));
                Some(Event::WorkerForked { worker })
            }
            Err(reason) => {
                self.release(&blueprint, slot);
                Some(Event::SpawnFailed { worker, reason })
            }
        }
    }

    /// Gives up a worker that was to be forked, where it has not been yet.
    pub(super) fn give_up(&mut self, worker: WorkerId) {
        if self.give_up_waiting(worker) {
            return;
        }
        let Some(Expected { blueprint, slot, waiting, .. }) = self.unborn.remove(&worker) else { return };
        waiting.abort();
        self.release(&blueprint, slot);
        self.report(Event::WorkerExited { worker, exit: Exit::Unknown });
    }

    fn release(&mut self, blueprint: &Blueprint, slot: Slot) {
        if let Some(home) = self.apps.get_mut(&blueprint.app) {
            home.scoreboard.release(slot);
        }
    }

    /// The app's sockets, bound and open, and a place on its scoreboard. Unix sockets were made before ([`Shell::held_back`]).
    fn home_and_slot(&mut self, blueprint: &Blueprint) -> Result<(&mut Home, Slot), String> {
        let passed = self.passed();
        let home = self.apps.get_mut(&blueprint.app).ok_or("its listeners are closed")?;
        home.listeners.open_again().map_err(|it| it.to_string())?;
        if home.listeners.lacks(&blueprint.listen) {
            let bound = home.listeners.bind_with(&blueprint.listen, &passed, Vec::new());
            bound.map_err(|error| error.to_string())?;
        }
        self.memory.watch(&blueprint.app);
        let slot = home.scoreboard.claim().map_err(|error| format!("no place on the scoreboard: {error}"))?;
        Ok((home, slot))
    }

    /// Starts the process of a generation's hooks, from what this worker of it was started from.
    pub(super) fn start_hooks(&mut self, generation: GenerationId, worker: WorkerId, first: DueHook) {
        let Some(running) = self.workers.get(&worker) else { return };
        let parent = running.zygote.and_then(|zygote| {
            let zygote = self.workers.get(&zygote)?;
            let home = self.apps.get(&zygote.blueprint.app)?;
            let (commands, cgroup) = (zygote.commands.as_ref()?.as_fd(), zygote.cgroup.clone());
            Some(Parent { commands, scoreboard: &home.scoreboard, cgroup })
        });
        self.hooks.start(generation, &running.blueprint, parent, first);
    }

    pub(super) fn run_hook(&mut self, app: AppName, generation: GenerationId, due: DueHook) {
        let running = due.worker.and_then(|worker| self.workers.get(&worker));
        self.hooks.run(app, generation, due, running.map(|running| running.handle.pid()));
    }

    fn runs(
        &mut self,
        id: WorkerId,
        blueprint: Arc<Blueprint>,
        started: StartedWorker,
        slot: Slot,
        zygote: Option<WorkerId>,
    ) {
        let StartedWorker { handle, watch, gate, cgroup } = started;
        tokio::spawn(watch.run(self.outbox.facts.clone()));
        let now = Instant::now();
        let (began, slot, gate) = (legacy::began(handle.pid()), Some(slot), Some(gate));
        let running = Running {
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
        self.effects.push(Effect::Release(id));
    }
}
