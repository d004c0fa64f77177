//! Waiting on a state. This is the one place of the tests that sleeps.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// A limit for what hangs, and never for what is slow: packages are installed within it on a machine that does much else.
pub const GENEROUS: Duration = Duration::from_secs(300);

const PERIOD: Duration = Duration::from_millis(25);

/// Looks until `look` gives something or `limit` has passed.
pub fn eventually<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if began.elapsed() > limit {
            return None;
        }
        std::thread::sleep(PERIOD);
    }
}

/// As [`eventually`], with [`GENEROUS`] as the limit and a panic that says what did not come.
#[track_caller]
pub fn until<T>(what: impl Display, look: impl FnMut() -> Option<T>) -> T {
    eventually(GENEROUS, look).unwrap_or_else(|| panic!("waited {GENEROUS:?} in vain until {what}"))
}
