//! What becomes of the processes of the simulated machine, from their start to their end.

use std::time::Duration;

use ostler::plan::Blueprint;
use ostler::supervise::{Exit, LastWords, ProcessFact, ProcessId, Stand, StopSignal, Tolerance};

use crate::process::{Boot, Process, Release, Stage, shown};
use crate::world::{Due, World};

/// How a worker comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) hold: bool,
    pub(crate) tolerate: Tolerance,
}

impl World {
    /// Starts a worker; a zygote where nothing is said of how it comes in.
    pub(crate) fn spawn(&mut self, worker: ProcessId, blueprint: &Blueprint, way: Option<Way>) {
        let faults = self.faults();
        if self.rng.chance(faults.spawn_fails) {
            let reason = "fork: Resource temporarily unavailable (os error 11)".to_owned();
            self.tell(ProcessFact::NotStarted(reason).of(worker));
            return;
        }
        self.begin(worker, blueprint, way, self.scenario.boot);
    }

    pub(crate) fn begin(
        &mut self,
        worker: ProcessId,
        blueprint: &Blueprint,
        way: Option<Way>,
        boot: Duration,
    ) {
        let faults = self.faults();
        let release = if self.is_calm() { Release::Good } else { self.disk.release(blueprint) };
        let hold = way.is_some_and(|way| way.hold);
        let mut process = Process::drawn(&mut self.rng, &faults, release, self.now, worker, hold);
        process.shows = way.and_then(|way| shown(blueprint, way.tolerate, self.is_calm()));
        if process.boot != Boot::Sticks {
            let most = boot.as_millis() as u64;
            let delay = self.rng.millis(20, most);
            self.after(delay, Due::Booted(worker));
        }
        self.begun.insert(worker);
        self.loads.spawned(worker, &blueprint.app);
        self.processes.insert(worker, process);
    }

    pub(crate) fn booted(&mut self, worker: ProcessId) {
        let Some(process) = self.processes.get_mut(&worker) else { return };
        if let Some((proof, serves)) = process.shows.take().filter(|_| process.boot == Boot::Loads) {
            if serves {
                let told = ProcessFact::Proved(proof).of(worker);
                self.after(Duration::ZERO, Due::Fact(Box::new(told)));
            } else {
                process.boot = Boot::FailsInWords;
            }
        }
        let Some(process) = self.processes.get_mut(&worker) else { return };
        match process.boot {
            Boot::Loads if process.hold && process.orphaned => self.exits(worker, Exit::Code(0)),
            Boot::Loads if process.hold => {
                process.stage = Stage::Waiting;
                let crash = process.crashes_after;
                self.tell(ProcessFact::Loaded.of(worker));
                self.crash_after(worker, crash);
            }
            Boot::Loads => {
                let crash = process.crashes_after;
                self.serving(worker);
                self.crash_after(worker, crash);
            }
            Boot::FailsInWords => {
                let message = "ModuleNotFoundError: No module named 'shop'".to_owned();
                let words = LastWords { message, traceback: String::new() };
                self.tell(ProcessFact::Failed(words).of(worker));
                // A thread of the app's that never ends keeps the others.
                if self.rng.chance(0.7) {
                    let delay = self.rng.millis(1, 100);
                    self.after(delay, Due::Exits(worker, Exit::Code(3)));
                }
            }
            Boot::Dies => self.exits(worker, Exit::Signal(11)),
            Boot::Sticks => {}
        }
    }

    /// It says where it stands, whatever has become of it meanwhile.
    pub(crate) fn stands(&mut self, worker: ProcessId) {
        if self.processes.contains_key(&worker) {
            let at = format!("wsgi.py line {} (load)", 1 + self.rng.below(2));
            let stacks = "Current thread (most recent call first):\n".to_owned();
            self.tell(ProcessFact::Stands(Stand { at, stacks }).of(worker));
        }
    }

    fn crash_after(&mut self, worker: ProcessId, crash: Option<Duration>) {
        if let Some(delay) = crash {
            self.after(delay, Due::Exits(worker, Exit::Signal(11)));
        }
    }

    pub(crate) fn admit(&mut self, worker: ProcessId) {
        if self.processes.get(&worker).is_some_and(|process| process.stage == Stage::Waiting) {
            let delay = self.rng.millis(1, 60);
            self.after(delay, Due::Serving(worker));
        }
    }

    pub(crate) fn serving(&mut self, worker: ProcessId) {
        let Some(process) = self.processes.get_mut(&worker) else { return };
        process.stage = Stage::Serving;
        process.serving_since = self.now;
        self.tell(ProcessFact::Ready.of(worker));
    }

    pub(crate) fn signal(&mut self, worker: ProcessId, rung: StopSignal) {
        if self.signal_host(worker, rung) {
            return;
        }
        if self.zygotes.take(worker).is_some() {
            return self.tell(ProcessFact::Exited(Exit::Unknown).of(worker));
        }
        let Some(process) = self.processes.get(&worker) else { return };
        let Some(delay) = process.takes(rung, self.now, &mut self.rng) else { return };
        if let Some(process) = self.processes.get_mut(&worker).filter(|_| rung == StopSignal::Terminate) {
            process.draining = true;
        }
        let exit = match rung {
            StopSignal::Abort => Exit::Signal(6),
            StopSignal::Kill => Exit::Signal(9),
            _ => Exit::Code(0),
        };
        self.after(delay, Due::Exits(worker, exit));
    }

    pub(crate) fn exits(&mut self, worker: ProcessId, exit: Exit) {
        if self.processes.remove(&worker).is_some() {
            self.tell(ProcessFact::Exited(exit).of(worker));
        }
        self.hosts_without(worker);
        for forking in self.zygotes.orphans(worker) {
            let reason = "its zygote has ended, or has made nothing of it".to_owned();
            self.tell(ProcessFact::NotStarted(reason).of(forking));
        }
    }
}
