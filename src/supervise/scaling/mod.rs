//! How many workers the load takes, where the configuration gives a range: `workers = { min = 2, max = 16 }`.
//!
//! More as soon as nobody has had time for a moment: as many as wait need, at most twice as many as there are, and the
//! next step when those are there. Fewer one at a time, when so long there has been so little to do that the others would
//! have had time for all of it. Between the two is a wide gap, and a worker that was missed soon after it went is kept
//! longer the next time: a load that goes up and down does not take the workers with it.
//!
//! What decides is `wanted`; everything else follows from it as from any other number of workers.

mod meter;
mod seen;

use std::time::Duration;

use super::app_event::AppEventKind;
use super::context::Context;
use super::state::{App, Mode};
use super::state::{Effects, Supervisor};
use super::time::Moment;
use super::view::ScalingView;
use crate::config::AppName;
use crate::plan::WorkerRange;
use meter::Glance;

pub(super) use meter::Meter;
pub use seen::{AppLoad, LoadLook, MachineMemory, WorkerLoad};

/// So long nobody must have had time before more workers are started, and so much of what there are workers for must there
/// have been to do meanwhile: for a moment all are busy by chance now and then, however many there are.
const PRESSED: Duration = Duration::from_millis(700);
const MUCH: f64 = 0.75;

/// Workers that boot count as there for so long; after it, more may be started beside them.
const COMING: Duration = Duration::from_secs(5);

/// A queue that will be gone so soon needs nobody more.
const WORKED_OFF: Duration = Duration::from_secs(2);

/// One worker goes where what there was to do would have taken no more than this share of the others; and so much less of
/// them for each that was missed.
const LOW: f64 = 0.7;
const LESS: f64 = 0.1;

/// From one that goes to the next, in parts of the time that the load was low.
const STEPS: u32 = 5;

/// A worker that is missed within so many times the time that the load was low has gone too early.
const SOON: u32 = 2;
/// Then that time is doubled, so often at most; it is halved again where so many times of it passed without that.
const MOST_REGRETS: u32 = 4;
const LONG: u32 = 4;

/// A worker of which the memory is not known yet takes so much.
const GUESS: u64 = 64 << 20;

/// This part of the memory is left alone: one in so many.
const RESERVE: u64 = 20;

/// It is said again after so long that memory holds growth back.
const SAID: Duration = Duration::from_secs(600);

impl App {
    /// The range in which the load decides now; `None` where a number was configured, or a person has given one.
    fn range(&self) -> Option<WorkerRange> {
        let target = self.target().filter(|_| self.mode == Mode::Running && self.scale.is_none())?;
        target.policy.range
    }

    /// A new generation may be the first whose number the load decides: it begins with as many as there are.
    pub(super) fn follow_load_from_here(&mut self) {
        if let Some(serving) = self.serving.as_ref().filter(|serving| serving.policy.range.is_none()) {
            let workers = self.wanted(&serving.policy);
            self.scaling.begin_with(Some(workers));
        }
    }

    /// When the load must be looked at next.
    pub(super) fn next_load_look(&self) -> Option<Moment> {
        self.range().map(|_| self.scaling.meter.next_look())
    }

    /// The load was looked at.
    pub(super) fn load_observed(
        &mut self,
        context: &mut Context<'_>,
        load: &AppLoad,
        machine: Option<MachineMemory>,
    ) {
        let Some(range) = self.range() else { return };
        let capacity = self.serving.as_ref().and_then(|serving| serving.blueprint.capacity);
        let ready = self.select(|worker| worker.is_ready());
        let patience = self.scaling.patience(range);
        let glance = self.scaling.meter.look(context.now, load, (&ready, capacity), patience);
        if self.needs_more(context.now, range, &glance) {
            self.grow(context, range, &glance, (load, machine));
        } else if self.scaling.meter.pressed_for(context.now).is_none() {
            self.scaling.held = None;
            if self.needs_fewer(context.now, range) {
                self.shrink_by_load(context, range);
            }
        }
    }

    fn needs_more(&self, now: Moment, range: WorkerRange, glance: &Glance) -> bool {
        let much = self.scaling.meter.lately() >= MUCH * f64::from(glance.ready);
        let long = self.scaling.meter.pressed_for(now).is_some_and(|pressed| pressed >= PRESSED) && much;
        let wanted = self.scaling.wanted(range) as usize;
        let (live, coming) = (self.count(|it| it.is_live()), self.coming());
        let soon = coming > 0 && self.scaling.grown.is_some_and(|(at, _)| now.since(at) < COMING);
        let enough = coming > 0 && glance.load() <= live as f64;
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        // Only time holds it back: nobody but another worker can show that they boot again.
        let failing = self.serving.iter().chain(rolling).any(|it| now < it.backoff.not_before());
        let worked_off = glance.waiting > 0 && self.scaling.meter.empties_within(WORKED_OFF);
        // What cannot even be kept need not be more.
        long && wanted < range.max as usize && live >= wanted && !failing && !soon && !enough && !worked_off
    }

    /// Workers that boot.
    fn coming(&self) -> usize {
        self.count(|it| it.is_live() && !it.is_ready())
    }

    fn grow(
        &mut self,
        context: &mut Context<'_>,
        range: WorkerRange,
        glance: &Glance,
        (load, machine): (&AppLoad, Option<MachineMemory>),
    ) {
        let from = self.scaling.wanted(range);
        let needed = from + step(from, glance, self.scaling.meter.lately());
        let room = self.room(load, machine);
        let to =
            needed.min(range.max).min(from.saturating_add(room.as_ref().map_or(u32::MAX, |room| room.0)));
        let why = pressure(glance);
        if to <= from {
            return self.hold_back(context, from, room.map(|(_, words)| words).unwrap_or_default(), &why);
        }
        let patience = self.scaling.patience(range);
        if self.scaling.shrunk.take().is_some_and(|at| context.now.since(at) < patience * SOON) {
            self.scaling.regrets = (self.scaling.regrets + 1).min(MOST_REGRETS);
        }
        self.scaling.held = None;
        self.scaling.grown = Some((context.now, from));
        self.scaling.meter.press_anew();
        self.scaled_by_load(context, from, to, why);
    }

    fn scaled_by_load(&mut self, context: &mut Context<'_>, from: u32, to: u32, reason: String) {
        self.scaling.wanted = Some(to);
        let kind = AppEventKind::ScaledByLoad { from, to, reason };
        self.scaling.last = Some(kind.to_string());
        self.announce(context, kind);
        self.hooks_of_scaling(context, from, to);
    }

    fn hold_back(&mut self, context: &mut Context<'_>, workers: u32, memory: String, why: &str) {
        let reason = format!("{why}, but {memory}");
        if self.scaling.said_held.is_none_or(|at| context.now.since(at) >= SAID) {
            self.scaling.said_held = Some(context.now);
            self.announce(context, AppEventKind::HeldByMemory { workers, reason: reason.clone() });
        }
        self.scaling.held = Some(reason);
    }

    /// How many workers more the memory allows, with what bounds it in words; `None` where nothing is known of it.
    fn room(&self, load: &AppLoad, machine: Option<MachineMemory>) -> Option<(u32, String)> {
        let known: Vec<u64> =
            self.workers().filter(|it| it.is_ready()).filter_map(|it| it.seen.rss).collect();
        let one = known.iter().sum::<u64>().checked_div(known.len() as u64).unwrap_or(GUESS).max(1);
        let resources = self.target().map(|target| target.policy.resources).unwrap_or_default();
        let limit = resources.memory_max.into_iter().chain(resources.memory_high).min();
        let own = limit.zip(load.memory).map(|(limit, taken)| {
            (limit.saturating_sub(taken).saturating_sub(limit / RESERVE), "of the app's own limit")
        });
        let machine = machine.map(|it| (it.available.saturating_sub(it.total / RESERVE), "of the machine"));
        let (left, whose) = own.into_iter().chain(machine).min_by_key(|(left, _)| *left)?;
        // Those that boot have yet to take theirs.
        let more = (left / one).saturating_sub(self.coming() as u64);
        let (left, one) = (left >> 20, one >> 20);
        let words = format!("{left} MiB of memory {whose} can be used and a worker takes {one} MiB");
        Some((u32::try_from(more).unwrap_or(u32::MAX), words))
    }

    fn needs_fewer(&self, now: Moment, range: WorkerRange) -> bool {
        let wanted = self.scaling.wanted(range);
        let quiet = self.rollout.is_none() && self.databases.wanted().is_none() && self.coming() == 0;
        let patience = self.scaling.patience(range);
        let grown = self.scaling.grown.is_none_or(|(at, _)| now.since(at) >= patience);
        let shrunk = self.scaling.shrunk.is_none_or(|at| now.since(at) >= patience / STEPS);
        let others = f64::from(wanted.saturating_sub(1));
        let share = LOW - LESS * f64::from(self.scaling.regrets);
        let low = || self.scaling.meter.peak(now, patience).is_some_and(|peak| peak <= share * others);
        let ready = self.ready_workers() >= wanted as usize;
        quiet && ready && wanted > range.min && grown && shrunk && low()
    }

    fn shrink_by_load(&mut self, context: &mut Context<'_>, range: WorkerRange) {
        let from = self.scaling.wanted(range);
        let patience = self.scaling.patience(range);
        let long = self.scaling.grown.is_some_and(|(at, _)| context.now.since(at) >= patience * LONG);
        if long && self.scaling.shrunk.is_none() {
            self.scaling.regrets = self.scaling.regrets.saturating_sub(1);
        }
        let peak = self.scaling.meter.peak(context.now, patience).unwrap_or_default();
        self.scaling.shrunk = Some(context.now);
        let words = format!("at most {peak:.1} of {from} workers were busy for {}", seconds(patience));
        self.scaled_by_load(context, from, from - 1, words);
    }

    /// How many ready workers it takes for the app to be as it should: those that the load has just asked for may boot.
    pub(super) fn strength(&self, wanted: usize) -> usize {
        let Some(range) = self.range() else { return wanted };
        let (Some((_, before)), true) = (self.scaling.grown, self.count(|it| it.is_live()) >= wanted) else {
            return wanted;
        };
        wanted.min(before.max(range.min) as usize)
    }

    /// What the world may know of it; `None` where the configuration gives one number.
    pub(super) fn scaling_view(&self) -> Option<ScalingView> {
        let range = self.target()?.policy.range?;
        Some(ScalingView {
            min: range.min,
            max: range.max,
            by_hand: self.scale.is_some(),
            last: self.scaling.last.clone(),
            held_back: self.scaling.held.clone(),
        })
    }
}

impl Supervisor {
    /// When the load of apps must be looked at next, and of which.
    pub fn next_load_look(&self) -> Option<LoadLook> {
        if self.has_left() {
            return None;
        }
        let looks = self.apps.iter().filter_map(|(name, app)| Some((app.next_load_look()?, name, app)));
        let looks: Vec<(Moment, &AppName, &App)> = looks.collect();
        // More are started only where nobody had time at an earlier look already.
        let memory = looks.iter().any(|(due, _, app)| app.scaling.meter.pressed_for(*due).is_some());
        let due = looks.iter().map(|(due, ..)| *due).min()?;
        Some(LoadLook { due, apps: looks.into_iter().map(|(_, name, _)| name.clone()).collect(), memory })
    }

    pub(super) fn load_observed(
        &mut self,
        apps: &[AppLoad],
        memory: Option<MachineMemory>,
        effects: &mut Effects,
    ) {
        for load in apps {
            self.with_app(&load.app, effects, |app, context| app.load_observed(context, load, memory));
        }
    }
}

/// How many more than `from` a load like this takes: as many as are known to be missing now and were `lately`, at most as
/// many again. Where all are busy and nobody is seen to wait, a quarter more; half as many again where workers take in
/// more than they can do at once, and nobody sees it wait.
fn step(from: u32, glance: &Glance, lately: f64) -> u32 {
    let hidden = glance.capacity != Some(1);
    let some = if hidden { from.div_ceil(2) } else { (from / 4).max(1) };
    let missing =
        match glance.waiting {
            0 => some,
            _ if glance.capacity.is_none() => some,
            _ => ((glance.load().min(lately) - f64::from(glance.ready)).ceil().max(1.0) as u32)
                .max(if hidden { some } else { 1 }),
        };
    missing.min(from)
}

/// `all 4 workers are busy, 7 connections wait`.
fn pressure(glance: &Glance) -> String {
    let busy = match glance.ready {
        1 => "the only worker is busy".to_owned(),
        ready => format!("all {ready} workers are busy"),
    };
    let wait = match glance.waiting {
        1 => "a connection waits".to_owned(),
        waiting => format!("{waiting} connections wait"),
    };
    match (glance.is_full(), glance.waiting) {
        (true, 0) => busy,
        (true, _) => format!("{busy}, {wait}"),
        (false, _) => wait,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(ready: u32, busy: f64, waiting: u32, capacity: Option<u32>) -> Glance {
        Glance { ready, busy, waiting, capacity }
    }

    #[test]
    fn a_step_is_what_is_missing_and_at_most_as_many_again() {
        for (seen, more) in [
            (glance(4, 4.0, 0, Some(1)), 1),
            (glance(12, 12.0, 0, Some(1)), 3),
            (glance(4, 4.0, 2, Some(1)), 2),
            (glance(4, 4.0, 90, Some(1)), 4),
            (glance(4, 4.0, 0, Some(8)), 2),
            (glance(4, 4.0, 25, Some(8)), 4),
            (glance(4, 3.9, 90, None), 2),
            (glance(1, 1.0, 0, None), 1),
        ] {
            assert_eq!(step(seen.ready, &seen, seen.load()), more, "{seen:?}");
        }
    }

    #[test]
    fn all_are_busy_only_if_there_are_some() {
        assert!(!glance(0, 0.0, 3, Some(1)).is_full());
        assert!(!glance(2, 1.0, 0, Some(1)).is_full());
        assert!(glance(2, 2.0, 0, Some(1)).is_full());
    }

    #[test]
    fn what_presses_is_said_as_it_is() {
        assert_eq!(pressure(&glance(4, 4.0, 7, Some(1))), "all 4 workers are busy, 7 connections wait");
        assert_eq!(pressure(&glance(1, 1.0, 0, Some(1))), "the only worker is busy");
        assert_eq!(pressure(&glance(4, 1.0, 1, None)), "a connection waits");
    }
}
