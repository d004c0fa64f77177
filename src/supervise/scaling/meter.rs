//! What looks at the load come to over time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::seen::AppLoad;
use crate::supervise::ProcessId;
use crate::supervise::time::Moment;

/// From one look to the next where there is something to do, and where there is not.
const BRISK: Duration = Duration::from_millis(150);
const LEISURELY: Duration = Duration::from_millis(200);

/// After a longer pause between two looks nothing is known of what was between them.
const BLIND: Duration = Duration::from_secs(10);

/// The load is averaged over so long: what comes and goes within a second or two needs no other number of workers.
const SMOOTHED: Duration = Duration::from_secs(5);
/// And over so long, where there may be too few: within a second three quarters of what there is to do are seen, and
/// chance is not taken for a crowd.
const LATELY: Duration = Duration::from_millis(680);

/// A worker whose requests do not say whether it is busy is so from this share of a processor on.
const BUSY_SHARE: f64 = 0.85;

/// How far back it is remembered how the queue grew.
const TREND: Duration = Duration::from_secs(1);

/// In so many parts is remembered how high the load was.
const PARTS: u32 = 10;

/// The load at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Glance {
    /// Workers that take clients.
    pub(super) ready: u32,
    /// How many of them what is under way takes.
    pub(super) busy: f64,
    /// Connections that wait for one.
    pub(super) waiting: u32,
    /// How many requests one worker can have at once, where that is bounded.
    pub(super) capacity: Option<u32>,
}

impl Glance {
    /// Whether nobody has time.
    pub(super) fn is_full(&self) -> bool {
        let most = if self.capacity.is_some() { 1.0 - 1e-9 } else { BUSY_SHARE };
        self.ready > 0 && self.busy >= most * f64::from(self.ready)
    }

    /// How many workers it would take to have everybody served at once, as far as that can be known.
    pub(super) fn load(&self) -> f64 {
        self.busy + f64::from(self.waiting) / f64::from(self.capacity.unwrap_or(1))
    }

    fn is_pressed(&self) -> bool {
        self.ready > 0 && (self.waiting > 0 || self.is_full())
    }
}

/// Follows the load of one app.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Meter {
    looked: Option<Moment>,
    /// Since when there have been looks without a long pause.
    since: Option<Moment>,
    /// Of each worker: when it was looked at, its processor time then, and what share of a processor that came to.
    shares: BTreeMap<ProcessId, (Moment, Duration, f64)>,
    /// The load as it is on average, in workers, and as it has been in the last moment.
    smooth: f64,
    lately: f64,
    /// Since when there has been no time, at every look.
    pressed: Option<Moment>,
    /// The queue at the looks of a moment ago.
    queue: VecDeque<(Moment, u32)>,
    /// The highest average of each stretch of time, by the beginning of that.
    peaks: VecDeque<(Moment, f64)>,
    brisk: bool,
}

impl Meter {
    /// Takes a look: at the workers `ready`, each of which can have `capacity` requests at once, where that is bounded.
    /// It is remembered for `memory`.
    pub(super) fn look(
        &mut self,
        now: Moment,
        load: &AppLoad,
        (ready, capacity): (&[ProcessId], Option<u32>),
        memory: Duration,
    ) -> Glance {
        if self.looked.is_some_and(|looked| now.since(looked) > BLIND) {
            *self = Meter::default();
        }
        let passed = self.looked.map_or(Duration::MAX, |looked| now.since(looked));
        self.looked = Some(now);
        self.since.get_or_insert(now);
        let glance = self.glance(now, load, ready, capacity);
        // The first look is all that is known.
        for (average, time) in [(&mut self.smooth, SMOOTHED), (&mut self.lately, LATELY)] {
            let weight = 1.0 - (-passed.as_secs_f64() / time.as_secs_f64()).exp();
            *average += (glance.load() - *average) * weight;
        }
        self.remember(now, memory);
        self.pressed = glance.is_pressed().then(|| self.pressed.unwrap_or(now));
        self.queue.push_back((now, glance.waiting));
        while self.queue.len() > 1 && self.queue.front().is_some_and(|(at, _)| now.since(*at) > TREND) {
            self.queue.pop_front();
        }
        self.brisk = glance.is_pressed() || glance.load().max(self.smooth) * 2.0 >= f64::from(glance.ready);
        glance
    }

    fn glance(&mut self, now: Moment, load: &AppLoad, ready: &[ProcessId], capacity: Option<u32>) -> Glance {
        self.shares.retain(|worker, _| ready.contains(worker));
        let mut busy = 0.0;
        for (worker, seen) in load.workers.iter().filter(|(worker, _)| ready.contains(worker)) {
            busy += match (capacity, seen.cpu) {
                (Some(capacity), _) => f64::from(seen.in_flight.min(capacity)) / f64::from(capacity.max(1)),
                (None, Some(cpu)) => self.share(now, *worker, cpu),
                (None, None) => 0.0,
            };
        }
        Glance { ready: ready.len() as u32, busy, waiting: load.waiting.unwrap_or(0), capacity }
    }

    fn share(&mut self, now: Moment, worker: ProcessId, cpu: Duration) -> f64 {
        let (at, before, share) = *self.shares.entry(worker).or_insert((now, cpu, 0.0));
        let passed = now.since(at);
        // Too short a time says little.
        if passed < BRISK / 2 {
            return share;
        }
        let share = cpu.saturating_sub(before).as_secs_f64() / passed.as_secs_f64();
        let share = share.min(1.0);
        self.shares.insert(worker, (now, cpu, share));
        share
    }

    fn remember(&mut self, now: Moment, memory: Duration) {
        let part = memory / PARTS;
        match self.peaks.back_mut().filter(|(began, _)| now.since(*began) < part) {
            Some((_, peak)) => *peak = peak.max(self.smooth),
            None => self.peaks.push_back((now, self.smooth)),
        }
        // A part that has ended before what is remembered begins is forgotten.
        while self.peaks.get(1).is_some_and(|(next, _)| now.since(*next) >= memory) {
            self.peaks.pop_front();
        }
    }

    /// What there has been to do in the last moment, in workers.
    pub(super) fn lately(&self) -> f64 {
        self.lately
    }

    /// How long nobody has had time.
    pub(super) fn pressed_for(&self, now: Moment) -> Option<Duration> {
        self.pressed.map(|since| now.since(since))
    }

    /// Begins to count anew how long nobody has had time.
    pub(super) fn press_anew(&mut self) {
        self.pressed = None;
    }

    /// Whether the queue will be empty within `patience` as it shrinks now.
    pub(super) fn empties_within(&self, patience: Duration) -> bool {
        let (Some((from, before)), Some((to, now))) = (self.queue.front(), self.queue.back()) else {
            return false;
        };
        let passed = to.since(*from).as_secs_f64();
        let shrunk = f64::from(*before) - f64::from(*now);
        passed > 0.0 && shrunk > 0.0 && f64::from(*now) * passed <= patience.as_secs_f64() * shrunk
    }

    /// The highest that the average load was for all of `memory`, in workers; `None` where it is not known for so long.
    pub(super) fn peak(&self, now: Moment, memory: Duration) -> Option<f64> {
        let known = self.since.is_some_and(|since| now.since(since) >= memory);
        known.then(|| self.peaks.iter().map(|(_, peak)| *peak).fold(0.0, f64::max))
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Moment {
        self.looked.map_or(Moment::ZERO, |at| at + if self.brisk { BRISK } else { LEISURELY })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::scaling::seen::WorkerLoad;

    const W: ProcessId = ProcessId(1);
    const MEMORY: Duration = Duration::from_secs(100);

    fn at(millis: u64) -> Moment {
        Moment::at(Duration::from_millis(millis))
    }

    fn load(in_flight: u32, cpu: Option<u64>, waiting: u32) -> AppLoad {
        let seen = WorkerLoad { in_flight, cpu: cpu.map(Duration::from_millis) };
        let app = "shop".parse().unwrap();
        AppLoad { app, workers: vec![(W, seen)], waiting: Some(waiting), memory: None }
    }

    #[test]
    fn a_worker_of_a_loop_is_busy_by_its_processor_time() {
        let mut meter = Meter::default();
        let mut look = |millis, cpu| meter.look(at(millis), &load(900, Some(cpu), 0), (&[W], None), MEMORY);
        assert!(!look(0, 5000).is_full(), "one look says nothing");
        assert!(!look(500, 5100).is_full());
        assert!(look(1000, 5590).is_full());
    }

    #[test]
    fn time_without_pause_counts_and_a_pause_begins_it_anew() {
        let mut meter = Meter::default();
        let mut look = |millis, in_flight| {
            meter.look(at(millis), &load(in_flight, None, 0), (&[W], Some(2)), MEMORY);
            meter.pressed_for(at(millis))
        };
        assert_eq!(look(0, 2), Some(Duration::ZERO));
        assert_eq!(look(300, 2), Some(Duration::from_millis(300)));
        assert_eq!(look(600, 1), None);
        assert_eq!(look(900, 2), Some(Duration::ZERO));
    }

    #[test]
    fn a_peak_is_remembered_for_as_long_as_is_asked_and_not_much_longer() {
        let mut meter = Meter::default();
        let mut look = |millis, waiting| {
            meter.look(at(millis), &load(0, None, waiting), (&[W], Some(1)), MEMORY);
            meter.peak(at(millis), MEMORY)
        };
        assert_eq!(look(0, 50), None);
        assert_eq!(look(5000, 50), None, "too little is known");
        for second in 6..100 {
            assert_eq!(look(second * 1000, 0), None);
        }
        assert!(look(100_000, 0).unwrap() > 20.0);
        for second in 101..125 {
            look(second * 1000, 0);
        }
        assert!(look(125_000, 0).unwrap() < 5.0);
    }

    #[test]
    fn a_queue_that_is_being_worked_off_is_told_from_one_that_stays() {
        let mut meter = Meter::default();
        for (millis, waiting, empties) in [(0, 90, false), (500, 60, true), (1000, 55, false)] {
            meter.look(at(millis), &load(1, None, waiting), (&[W], Some(1)), MEMORY);
            assert_eq!(meter.empties_within(Duration::from_secs(1)), empties, "{millis}");
        }
    }
}
