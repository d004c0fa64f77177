//! Chance in tests.

use std::time::SystemTime;

/// A die that says what it was seeded with, so that a failing run can be thrown again.
pub struct Die(u64);

impl Die {
    /// Seeded by the clock.
    pub fn new() -> Die {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let seed = now.as_nanos() as u64 | 1;
        println!("seed {seed}");
        Die(seed)
    }

    /// A number under `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
