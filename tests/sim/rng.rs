//! Randomness that a seed replays, from the core's own generator.

use std::time::Duration;

use ostler::supervise::Random;

#[derive(Clone, Debug)]
pub(crate) struct Rng(Random);

impl Rng {
    pub(crate) fn seeded(seed: u64) -> Self {
        Rng(Random::seeded(seed ^ 0x5157_10e5_7a11_0c7e))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// A number of `0..count`; 0 where `count` is 0.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.next() % count.max(1)
    }

    /// A number of `least..=most`.
    pub(crate) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.within(least, most))
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}
