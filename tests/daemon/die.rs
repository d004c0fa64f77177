//! Chance in tests.

/// A die that says what it was seeded with, so that a failing run can be thrown again.
pub struct Die(fastrand::Rng);

impl Die {
    /// Another one in every run.
    pub fn new() -> Die {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        Die(fastrand::Rng::with_seed(seed))
    }

    /// A number under `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }
}
