//! One worker process of the simulated machine: what becomes of it, and how it takes signals.

use std::time::Duration;

use ostler::plan::Blueprint;
use ostler::supervise::{Moment, Observation, ProbeAnswer, ProcessId, Proof, StopSignal, Tolerance};

use crate::rng::Rng;
use crate::scenario::Faults;

/// What a release does to its workers, as long as faults are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    Good,
    FailsToBoot,
    SticksInBoot,
    Crashes,
    Hangs,
}

/// What a worker of this release shows of itself, and whether it may serve with it. As long as faults are on, some
/// releases answer badly.
pub(crate) fn shown(blueprint: &Blueprint, tolerate: Tolerance, calm: bool) -> Option<(Proof, bool)> {
    let (probe, version) = (blueprint.probe.as_ref()?, blueprint.release.files);
    let (good, late) = (calm || version % 9 != 3, !calm && version % 18 == 3);
    let answer = ProbeAnswer {
        path: probe.path.clone(),
        status: (!late).then_some(if good { 200 } else { 500 }),
        took: if late { probe.timeout } else { Duration::from_millis(20) },
        late,
        good,
        message: String::new(),
    };
    let borne = if late { tolerate.late } else { tolerate.errors };
    Some((Proof { urls: None, answer: Some(answer) }, good || borne))
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Loading,
    Waiting,
    Serving,
}

/// How its boot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Loads,
    FailsInWords,
    Dies,
    Sticks,
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) worker: ProcessId,
    pub(crate) is_command: bool,
    pub(crate) hold: bool,
    /// Its answer to the probe, and whether it may serve with it; a zygote is asked for none.
    pub(crate) shows: Option<(Proof, bool)>,
    /// Its ostlerd has fallen: nobody will admit it.
    pub(crate) orphaned: bool,
    /// It has heard that it is to go.
    pub(crate) draining: bool,
    pub(crate) stage: Stage,
    pub(crate) boot: Boot,
    pub(crate) started: Moment,
    pub(crate) serving_since: Moment,
    /// From when it does nothing more.
    pub(crate) hangs_at: Option<Moment>,
    /// Whether only a request hangs while the heart goes on beating.
    pub(crate) heart_beats: bool,
    /// How long after it serves it crashes by itself.
    pub(crate) crashes_after: Option<Duration>,
    drain: Duration,
    ignores_term: bool,
    ignores_quit: bool,
    ignores_abort: bool,
    requests_per_second: u64,
    bytes_per_second: u64,
}

impl Process {
    /// The same as a command of the app's own: nobody looks at it, and it is up.
    pub(crate) fn command(self) -> Process {
        Process { is_command: true, stage: Stage::Serving, hangs_at: None, ..self }
    }

    pub(crate) fn drawn(
        rng: &mut Rng,
        faults: &Faults,
        release: Release,
        now: Moment,
        worker: ProcessId,
        hold: bool,
    ) -> Self {
        let boot = match release {
            Release::FailsToBoot if rng.chance(0.5) => Boot::FailsInWords,
            Release::FailsToBoot => Boot::Dies,
            Release::SticksInBoot => Boot::Sticks,
            _ if rng.chance(faults.boot_sticks) => Boot::Sticks,
            _ if rng.chance(faults.boot_fails) && rng.chance(0.5) => Boot::FailsInWords,
            _ if rng.chance(faults.boot_fails) => Boot::Dies,
            _ => Boot::Loads,
        };
        let crashes = release == Release::Crashes || rng.chance(faults.crashes);
        let hangs = release == Release::Hangs || rng.chance(faults.hangs);
        Process {
            worker,
            is_command: false,
            hold,
            shows: None,
            orphaned: false,
            draining: false,
            stage: Stage::Loading,
            boot,
            started: now,
            serving_since: now,
            hangs_at: hangs.then(|| now + rng.millis(1000, 30_000)),
            heart_beats: rng.chance(0.3),
            crashes_after: crashes.then(|| rng.millis(10, 20_000)),
            drain: rng.millis(5, 3000),
            ignores_term: rng.chance(faults.ignores_term),
            ignores_quit: rng.chance(faults.ignores_quit),
            ignores_abort: rng.chance(faults.ignores_abort),
            requests_per_second: rng.within(1, 10),
            bytes_per_second: if rng.chance(0.3) { rng.within(1, 4) << 20 } else { 0 },
        }
    }

    pub(crate) fn hung(&self, now: Moment) -> bool {
        self.hangs_at.is_some_and(|at| at <= now)
    }

    /// How long until this signal ends it; `None` where it does not.
    pub(crate) fn takes(&self, rung: StopSignal, now: Moment, rng: &mut Rng) -> Option<Duration> {
        let hung = self.hung(now);
        match rung {
            StopSignal::Terminate if self.ignores_term || hung => None,
            StopSignal::Terminate if self.stage == Stage::Serving => Some(self.drain),
            StopSignal::Terminate => Some(rng.millis(1, 200)),
            StopSignal::Quit if self.ignores_quit || hung => None,
            StopSignal::Abort if self.ignores_abort => None,
            StopSignal::Quit | StopSignal::Abort => Some(rng.millis(1, 300)),
            StopSignal::Kill => Some(rng.millis(1, 50)),
            _ => None,
        }
    }

    /// What a look at it says; a slot without a heartbeat yet is as old as its worker.
    pub(crate) fn look(&self, now: Moment, rng: &mut Rng) -> Observation {
        match self.stage {
            Stage::Loading | Stage::Waiting => {
                Observation { beat_age: now.since(self.started), ..Observation::default() }
            }
            Stage::Serving => self.look_at_serving(now, rng),
        }
    }

    fn look_at_serving(&self, now: Moment, rng: &mut Rng) -> Observation {
        let active = match self.hangs_at {
            Some(at) if at <= now => at.since(self.serving_since),
            _ => now.since(self.serving_since),
        };
        let stuck_for = self.hangs_at.map(|at| now.since(at.max(self.serving_since)));
        let silent = self.hung(now) && !self.heart_beats;
        let in_flight = if self.hung(now) { 1 } else { rng.below(3) as u32 };
        Observation {
            beat_age: match stuck_for {
                Some(age) if silent => age,
                _ => rng.millis(0, 1100),
            },
            requests: active.as_secs() * self.requests_per_second,
            in_flight,
            oldest_request: match stuck_for {
                Some(age) if self.hung(now) => Some(age),
                _ if in_flight > 0 => Some(rng.millis(1, 900)),
                _ => None,
            },
            rss: rng.chance(0.5).then(|| (50 << 20) + active.as_secs() * self.bytes_per_second),
        }
    }
}
