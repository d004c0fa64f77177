//! Randomness that a seed replays: SplitMix64, for jitter and nothing else.
//!
//! By hand, because a seed has to mean the same in every version: what was recorded of a run is played again with it, a fault
//! that the simulator has found is known by its seed, and scaling is judged by what it does under the load of some seeds. A
//! library may change its numbers with any release.

/// A generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One whose numbers follow from the seed.
    pub fn seeded(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `0..=most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_numbers_are_those_of_splitmix64() {
        let mut random = Random::seeded(1_234_567);
        let numbers = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next(), random.next(), random.next()], numbers);
    }
}
