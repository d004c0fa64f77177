//! What is lost unexpectedly, and who pays for it.

use super::app::{App, Turn};
use super::event::{GenerationId, LastWords};
use super::news::Happening;
use super::rollout::Phase;
use super::time::Moment;
use super::worker::Worker;

/// Something that should have served, or helped others to, and is lost.
pub(super) struct Lost {
    pub(super) generation: GenerationId,
    pub(super) spawned: Moment,
    /// Whether it came up before.
    pub(super) was_ready: bool,
    pub(super) words: LastWords,
}

impl Lost {
    pub(super) fn worker(worker: &Worker, was_ready: bool, words: LastWords) -> Lost {
        Lost { generation: worker.generation, spawned: worker.spawned, was_ready, words }
    }
}

impl App {
    /// A worker is lost that should have served, or a zygote that should have come up: the budgets pay, and a rollout
    /// counts it.
    pub(super) fn lost(&mut self, turn: &mut Turn<'_>, lost: Lost) {
        let Lost { generation: of, spawned, was_ready, words } = lost;
        self.last_words = Some(words.clone());
        if was_ready {
            let per_minute = self.policy(of).map_or(60, |policy| policy.restarts_per_minute);
            self.bucket.died(turn.now, per_minute);
        } else if let Some(generation) = self.generation_mut(of)
            && let Some(delay) = generation.backoff.failed(turn.now, spawned, turn.random)
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
