//! What is measured: a file for each line of the design's table.

mod broken;
mod death;
mod health;
mod heap;
mod idle;
mod latency;
mod rollouts;
mod supervisor;
mod throughput;

use crate::Effort;
use crate::contestants::Contestant;
use crate::found::Found;

/// One of them.
pub struct Measure {
    /// For `--only`.
    pub name: &'static str,
    /// Measures these contestants, ostler first.
    pub run: fn(Effort, &[Contestant]) -> Found,
}

/// All, in the order of the design's table.
pub const ALL: [Measure; 9] = [
    Measure { name: "rollouts", run: rollouts::run },
    Measure { name: "latency", run: latency::run },
    Measure { name: "broken", run: broken::run },
    Measure { name: "throughput", run: throughput::run },
    Measure { name: "supervisor", run: supervisor::run },
    Measure { name: "idle", run: idle::run },
    Measure { name: "death", run: death::run },
    Measure { name: "heap", run: heap::run },
    Measure { name: "health", run: health::run },
];

/// These, another one first in each round.
pub fn by_turns(with: &[Contestant], round: usize) -> impl Iterator<Item = (usize, Contestant)> {
    (0..with.len()).map(move |at| (at + round) % with.len()).map(|at| (at, with[at]))
}

/// Those of two that take turns.
pub fn beside_gunicorn(with: &[Contestant]) -> Vec<Contestant> {
    let both = [Contestant::Ostler, Contestant::Gunicorn];
    both.into_iter().filter(|it| with.contains(it)).collect()
}
