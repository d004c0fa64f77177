//! How fast deaths are made good: at once while they are rare, ever slower while they are not.
//!
//! Two brakes, because there are two diseases. Code that does not boot is tried again after 0.5 s, 1 s, 2 s … 30 s
//! ([`Backoff`], one for each generation). Code that boots and then dies is replaced at once, but only so many times
//! a minute ([`Bucket`], one for each app).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::supervise::random::Random;
use crate::supervise::time::Moment;

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The delay after so many failures in a row: it doubles from the first to the longest, and half of it is drawn.
pub(in crate::supervise) fn delay_after(
    (first, longest): (Duration, Duration),
    failures: u32,
    random: &mut Random,
) -> Duration {
    let whole = first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest);
    let half = (whole / 2).as_millis() as u64;
    whole / 2 + Duration::from_millis(random.up_to(half))
}

/// The delay after failures to boot, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backoff {
    failures: u32,
    last_failure: Option<Moment>,
    not_before: Moment,
    /// How often in all, of a process that is up as soon as it is started.
    ends: u32,
}

impl Backoff {
    /// Records that a worker started at `spawned` did not boot; returns the delay where it is a new one.
    ///
    /// Workers that were started side by side and fail together are one failure.
    pub(in crate::supervise) fn failed(
        &mut self,
        now: Moment,
        spawned: Moment,
        random: &mut Random,
    ) -> Option<Duration> {
        if self.last_failure.is_some_and(|last| spawned < last) {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(now);
        let delay = delay_after((FIRST_DELAY, LONGEST_DELAY), self.failures, random);
        self.not_before = now + delay;
        Some(delay)
    }

    /// Records that a process ended by itself that is up as soon as it is started: it was well if it has run for long.
    pub(in crate::supervise) fn ended(&mut self, now: Moment, started: Moment, random: &mut Random) {
        let ends = self.ends.saturating_add(1);
        if now.since(started) >= LONGEST_DELAY {
            self.succeeded();
        }
        self.failed(now, started, random);
        self.ends = ends;
    }

    /// Records that a worker came up.
    pub(in crate::supervise) fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    pub(in crate::supervise) fn failures(&self) -> u32 {
        self.failures
    }

    /// The moment before which nothing may be started.
    pub(in crate::supervise) fn not_before(&self) -> Moment {
        self.not_before
    }

    pub(super) fn ends(&self) -> u32 {
        self.ends
    }
}

/// Deaths that are made good at once: a bucket that holds a minute's worth and fills up steadily.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Deaths not yet paid for, as the time it takes to pay for them.
    debt_until: Moment,
}

impl Bucket {
    /// Records the unexpected death of a worker that had been ready.
    pub(in crate::supervise) fn died(&mut self, now: Moment, per_minute: u32) {
        self.debt_until = self.debt_until.max(now) + price(per_minute);
    }

    /// The moment from which a death may be made good: while the debt is under a minute's worth, now.
    pub(in crate::supervise) fn not_before(&self) -> Moment {
        Moment::at(self.debt_until.since_origin().saturating_sub(Duration::from_secs(60)))
    }
}

fn price(per_minute: u32) -> Duration {
    Duration::from_secs(60) / per_minute.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    #[test]
    fn the_delay_doubles_up_to_its_bound_and_a_success_forgets_it() {
        let mut random = Random::seeded(1);
        let mut backoff = Backoff::default();
        let mut now = at(1000);
        for expected in [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000] {
            let delay = backoff.failed(now, now, &mut random).expect("a new failure");
            assert!(delay.as_millis() <= expected && delay.as_millis() >= expected / 2, "{delay:?}");
            now = now + delay;
        }
        backoff.succeeded();
        assert_eq!(backoff.failures(), 0);
        assert_eq!(backoff.not_before(), Moment::ZERO);
    }

    #[test]
    fn a_delay_doubles_from_the_first_to_the_longest_and_half_of_it_is_drawn() {
        let mut random = Random::seeded(7);
        let limits = (Duration::from_secs(3), Duration::from_secs(30));
        for (failures, whole) in [(1, 3), (2, 6), (3, 12), (4, 24), (5, 30), (6, 30), (u32::MAX, 30)] {
            let whole = Duration::from_secs(whole);
            let drawn: Vec<Duration> = (0..50).map(|_| delay_after(limits, failures, &mut random)).collect();
            assert!(drawn.iter().all(|it| *it >= whole / 2 && *it <= whole), "{failures}: {drawn:?}");
            assert!(drawn.iter().any(|it| *it != drawn[0]), "{failures}: not drawn");
        }
    }

    #[test]
    fn workers_that_fail_together_are_one_failure() {
        let mut random = Random::seeded(1);
        let mut backoff = Backoff::default();
        assert!(backoff.failed(at(900), at(0), &mut random).is_some());
        assert!(backoff.failed(at(901), at(0), &mut random).is_none());
        assert!(backoff.failed(at(902), at(1), &mut random).is_none());
        assert_eq!(backoff.failures(), 1);
    }

    #[test]
    fn ends_are_counted_in_all_and_one_after_a_long_run_is_the_first_again() {
        let mut random = Random::seeded(1);
        let mut backoff = Backoff::default();
        for now in [1000, 2000, 3000] {
            backoff.ended(at(now), at(now - 1), &mut random);
        }
        assert_eq!((backoff.failures(), backoff.ends()), (3, 3));
        backoff.ended(at(60_000), at(30_000), &mut random);
        assert_eq!((backoff.failures(), backoff.ends()), (1, 4));
    }

    #[test]
    fn a_minutes_worth_of_deaths_is_free_and_the_next_waits() {
        let mut bucket = Bucket::default();
        let now = at(3_600_000);
        for _ in 0..60 {
            bucket.died(now, 60);
            assert!(bucket.not_before() <= now);
        }
        bucket.died(now, 60);
        assert_eq!(bucket.not_before(), now + Duration::from_secs(1));
        assert!(bucket.not_before() <= now + Duration::from_secs(60));
    }
}
