//! What is lost unexpectedly, and who pays for it.

use crate::supervise::app::{App, Turn};
use crate::supervise::event::{GenerationId, LastWords};
use crate::supervise::news::Happening;
use crate::supervise::rollout::Phase;
use crate::supervise::time::Moment;

use super::process::Process;

/// A process that should have lived on.
pub(super) struct Lost {
    generation: GenerationId,
    started: Moment,
    /// Whether it came up before.
    was_ready: bool,
    serves: bool,
    words: LastWords,
}

impl Lost {
    pub(super) fn of(process: &Process, was_ready: bool, words: LastWords) -> Lost {
        let (generation, started) = (process.generation, process.started);
        Lost { generation, started, was_ready, serves: process.role.serves(), words }
    }
}

impl App {
    /// The budgets pay for it, and a rollout counts it. One that had come up and serves nobody costs nothing: its successor
    /// is started when it is needed.
    pub(super) fn lost(&mut self, turn: &mut Turn<'_>, lost: Lost) {
        let Lost { generation: of, started, was_ready, serves, words } = lost;
        if was_ready && !serves {
            return;
        }
        self.last_words = Some(words.clone());
        if was_ready {
            let per_minute = self.policy(of).map_or(60, |policy| policy.restarts_per_minute);
            self.bucket.died(turn.now, per_minute);
        } else if let Some(generation) = self.generation_mut(of)
            && let Some(delay) = generation.backoff.failed(turn.now, started, turn.random)
        {
            let (generation, failures) = (generation.id, generation.backoff.failures());
            self.announce(turn, Happening::BackingOff { generation, failures, delay });
        }
        self.count_failure(turn, of, words);
    }

    fn count_failure(&mut self, turn: &mut Turn<'_>, generation: GenerationId, words: LastWords) {
        let Some(rollout) = &mut self.rollout else { return };
        if rollout.generation.id != generation || matches!(rollout.phase, Phase::RollingBack { .. }) {
            return;
        }
        rollout.failures += 1;
        if rollout.failures >= rollout.generation.policy.rollout.max_boot_failures {
            self.roll_back(turn, words);
        }
    }
}
