//! What the shell leaves to the next ostlerd, and what it takes over from the one before.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{AppRuntime, Running, Shell};
use crate::config::{Address, AppName, Config};
use crate::plan::Blueprint;
use crate::run::adopt::{self, Living};
use crate::run::board_file::{self, Left};
use crate::run::hook_host::{self, HookWatch};
use crate::run::inspected::InspectionRecords;
use crate::run::listeners::Listeners;
use crate::run::listeners::bound::inode_of;
use crate::run::proc::Stat;
use crate::run::scoreboard::{Scoreboard, Slot, WatchedSlot};
use crate::run::socket_activation::Passed;
use crate::run::state::{SavedState, WorkerRecord};
use crate::run::wire;
use crate::run::worker_process::{WorkerHandle, watch_adopted};
use crate::supervise::{FoundProcess, GenerationId, ProcessId, Role, SlotStage, Snapshot};

impl Shell {
    /// Everything that the next ostlerd needs, beside the counters.
    pub(in crate::run) fn kept(&self, origin: u64, snapshot: Snapshot) -> SavedState {
        let known: BTreeMap<ProcessId, (&AppName, GenerationId)> =
            snapshot.processes().map(|(app, process, generation, _)| (process, (app, generation))).collect();
        let record = |(id, running): (&ProcessId, &Running)| {
            let (app, generation) = known.get(id)?;
            Some(WorkerRecord {
                id: *id,
                app: (*app).clone(),
                generation: *generation,
                pid: running.handle.pid(),
                started: running.began,
                cgroup: running.cgroup.clone(),
                slot: running.slot.as_ref().map(|slot| slot.index()),
            })
        };
        let listeners = self.apps.iter().map(|(name, runtime)| (name.clone(), runtime.listeners.records()));
        SavedState {
            origin,
            workers: self.workers.iter().filter_map(record).collect(),
            listeners: listeners.collect(),
            config: self.config.clone(),
            known: self.inspections.all(),
            snapshot,
        }
    }

    /// Takes over what lives of what an earlier ostlerd left, with the sockets. Says what was found of each worker. What is
    /// lost of the sockets is to be bound next ([`Shell::bind_what_is_lost`]).
    pub(in crate::run) fn take_over(&mut self, kept: &SavedState) -> BTreeMap<ProcessId, FoundProcess> {
        self.inspections = InspectionRecords::restore(kept.known.clone());
        let mut living = adopt::living(&self.children, &kept.workers);
        let mut found = BTreeMap::new();
        let roles: BTreeMap<ProcessId, &Role> =
            kept.snapshot.processes().map(|(_, process, _, role)| (process, role)).collect();
        let apps: Vec<&AppName> = kept.listeners.keys().collect();
        for app in apps {
            let blueprints = kept.snapshot.blueprints(app);
            let workers: Vec<&WorkerRecord> = kept.workers.iter().filter(|it| it.app == *app).collect();
            let Some((_, first)) = blueprints.first() else {
                // Only workers of apps that leave have no generation any more; they need no sockets of ours.
                self.adopt_homeless(&workers, &mut living, &mut found);
                continue;
            };
            let path = self.scoreboard_path(app);
            let mut scoreboard = board(&path, &workers, &living);
            let mut listeners = Listeners::new(&self.runtime_directory);
            let records = kept.listeners.get(app).map(Vec::as_slice).unwrap_or_default();
            let owner = first.account.as_ref();
            adopt::take_back(&mut listeners, records, owner, &self.passed, living.values());
            for record in workers {
                let blueprint = blueprints.iter().find(|(id, _)| *id == record.generation);
                let blueprint = blueprint.map_or(first, |(_, blueprint)| blueprint).clone();
                let slot =
                    scoreboard.as_mut().ok().zip(record.slot).and_then(|(it, slot)| it.take_over(slot));
                let stage = slot.as_ref().zip(scoreboard.as_ref().ok()).and_then(|(at, it)| it.stage(at));
                let alive = living.contains_key(&record.id);
                let role = roles.get(&record.id).copied().unwrap_or(&Role::Web);
                let is_told = matches!(role, Role::Zygote(_) | Role::Hooks);
                let our_end = living.get(&record.id).filter(|_| is_told);
                let our_end = our_end.and_then(|it| wire::our_end_of(&it.process));
                // One that cannot be told anything is as if it had not come up. A hook host has no slot that says more.
                let up = if *role == Role::Hooks { Some(SlotStage::Ready) } else { stage };
                let stage = up.filter(|_| !is_told || our_end.is_some());
                found.insert(record.id, FoundProcess { alive, stage });
                match living.remove(&record.id) {
                    Some(living) => {
                        let boots = matches!(stage, Some(SlotStage::Empty | SlotStage::Booting));
                        let place = slot.as_ref().zip(scoreboard.as_ref().ok()).filter(|_| boots);
                        let place = place.and_then(|(slot, scoreboard)| scoreboard.place(slot).ok());
                        self.adopt((record, role.clone()), living, blueprint, (slot, place), our_end);
                    }
                    None => {
                        if let (Ok(scoreboard), Some(slot)) = (&mut scoreboard, slot) {
                            scoreboard.release(slot);
                        }
                    }
                }
            }
            match scoreboard.or_else(|_| Scoreboard::create(&path)) {
                Ok(scoreboard) => {
                    let runtime = AppRuntime::new(listeners, scoreboard, first.clone());
                    self.apps.insert(app.clone(), runtime);
                }
                Err(error) => {
                    tracing::error!(
                        app = app.as_str(),
                        "cannot make the scoreboard {}: {error}",
                        path.display()
                    );
                }
            }
        }
        for (_, worker, ..) in kept.snapshot.processes() {
            // Nothing is known of the process of a worker that was still to be forked: it has not begun.
            found.entry(worker).or_insert(FoundProcess { alive: false, stage: Some(SlotStage::Empty) });
        }
        found
    }

    fn adopt_homeless(
        &mut self,
        workers: &[&WorkerRecord],
        living: &mut BTreeMap<ProcessId, Living>,
        found: &mut BTreeMap<ProcessId, FoundProcess>,
    ) {
        for record in workers {
            found.insert(record.id, FoundProcess { alive: living.contains_key(&record.id), stage: None });
            if let Some(Living { process }) = living.remove(&record.id) {
                // Whatever it is, nobody knows how to drain it in time.
                let _ = process.kill_group();
            }
        }
    }

    fn adopt(
        &mut self,
        (record, role): (&WorkerRecord, Role),
        Living { process }: Living,
        blueprint: Arc<Blueprint>,
        (slot, boots): (Option<Slot>, Option<WatchedSlot>),
        our_end: Option<OwnedFd>,
    ) {
        self.memory.watch(&record.app);
        let process = Arc::new(process);
        let facts = self.outbox.facts.clone();
        let (told, commands) = if role == Role::Hooks { (our_end, None) } else { (None, our_end) };
        let wire = told.and_then(|it| hook_host::wire_of(it, &blueprint).ok());
        let hooks = wire.map(|wire| {
            let (mut input, orders) = hook_host::input();
            input.begin();
            let (app, id, process) = (record.app.clone(), record.id, process.clone());
            tokio::spawn(HookWatch { app, id, process, wire, orders }.run(facts.clone()));
            input
        });
        if hooks.is_none() {
            tokio::spawn(watch_adopted(record.id, process.clone(), boots, facts));
        }
        let now = Instant::now();
        let running = Running {
            role,
            blueprint,
            handle: WorkerHandle::adopted(record.id, process),
            slot,
            gate: None,
            commands,
            hooks,
            began: record.started,
            cgroup: record.cgroup.clone(),
            killed: false,
            // Its memory no longer grows fast.
            started: now.checked_sub(Duration::from_secs(60)).unwrap_or(now),
            sane: now,
        };
        self.workers.insert(record.id, running);
    }

    fn scoreboard_path(&self, app: &AppName) -> std::path::PathBuf {
        self.runtime_directory.join("scoreboards").join(app.as_str())
    }

    /// Closes what systemd passed and nobody takes: a socket that is open here looks served. Those of systemd's store are
    /// with their apps by now, or of no use any more.
    pub(in crate::run) fn close_unclaimed(&mut self, config: &Config) {
        let health = config.health.listen.iter().flatten().chain(&config.health.agent);
        let configured = config.apps.values().flat_map(|app| &app.listen).chain(health);
        let bound =
            self.apps.values().flat_map(|runtime| runtime.listeners.all()).map(|it| &it.listen.address);
        let wanted = |name: &str| {
            let is_it = |address: &Address| matches!(address, Address::Systemd(wanted) if wanted == name);
            configured.clone().chain(bound.clone()).any(is_it)
        };
        let mut passed = self.passed.without_own();
        for name in passed.close_unwanted(wanted) {
            tracing::warn!(
                "systemd passed sockets of the name {name}, which no `listen` takes as systemd:{name}: they are closed; \
                 their connections wait for ever, so stop the .socket unit, or name it and restart ostlerd"
            );
        }
        self.passed = Arc::new(passed);
    }

    /// Sockets that were an earlier ostlerd's, for the apps that are bound next.
    pub(in crate::run) fn take_in(&mut self, sockets: Vec<OwnedFd>) {
        self.passed = Arc::new(self.passed.with_more(sockets));
    }

    /// Every socket of every app, by its number.
    pub(in crate::run) fn sockets(&self) -> Vec<(u64, BorrowedFd<'_>)> {
        let all = self.apps.values().flat_map(|runtime| runtime.listeners.all());
        all.filter_map(|bound| Some((inode_of(bound.fd.as_fd())?, bound.fd.as_fd()))).collect()
    }

    /// The next ostlerd serves what this one has bound.
    pub(in crate::run) fn leave(&mut self) {
        self.apps.values_mut().for_each(|runtime| runtime.listeners.keep_files());
    }

    pub(in crate::run) fn passed(&self) -> Arc<Passed> {
        self.passed.clone()
    }
}

/// When a process that was just started began, as its record has it; it is not reaped yet.
pub(super) fn began(pid: i32) -> u64 {
    Stat::of(pid).map_or(0, |stat| stat.start)
}

/// The scoreboard that the workers of an app write, as one of them has it open; a file, where it is one still.
fn board(
    path: &Path,
    workers: &[&WorkerRecord],
    living: &BTreeMap<ProcessId, Living>,
) -> io::Result<Scoreboard> {
    let noted = match board_file::left(path) {
        Ok(Left::File(file)) => return Scoreboard::of_file(file),
        Ok(Left::Memory(identity)) => Ok(identity),
        Err(error) => Err(error),
    };
    let living: Vec<&Living> = workers.iter().filter_map(|it| living.get(&it.id)).collect();
    let held = living.iter().filter_map(|it| adopt::scoreboard_of(it));
    let found = held.into_iter().find(|board| noted.as_ref().map_or(true, |noted| board.is(*noted)));
    if found.is_none() && !living.is_empty() {
        let shown = path.display();
        tracing::warn!("{shown} is gone: nothing is known of its workers but whether they live");
    }
    found.ok_or_else(|| noted.err().unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}
