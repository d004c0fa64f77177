//! What is lost unexpectedly, and who pays for it.

use super::process::Process;
use super::role::Role;
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::ids::GenerationId;
use crate::supervise::process_fact::LastWords;
use crate::supervise::state::{App, RolloutPhase};
use crate::supervise::time::Moment;

/// A process that should have lived on.
pub(super) struct Lost {
    generation: GenerationId,
    started: Moment,
    /// Whether it came up before.
    was_ready: bool,
    role: Role,
    words: LastWords,
}

impl Lost {
    pub(super) fn of(process: &Process, was_ready: bool, words: LastWords) -> Lost {
        let (generation, started) = (process.generation, process.started);
        Lost { generation, started, was_ready, role: process.role.clone(), words }
    }
}

impl App {
    /// The budgets pay for it, and a rollout counts it. A zygote that had come up costs nothing, for its successor is started
    /// when it is needed; neither does a hook host, which has none before the next rollout; a background process is no concern
    /// of the workers, and has a budget of its own.
    pub(super) fn lost(&mut self, context: &mut Context<'_>, lost: Lost) {
        let Lost { generation: of, started, was_ready, role, words } = lost;
        match role {
            Role::Web => {}
            Role::Zygote(_) if was_ready => return,
            Role::Zygote(_) => {}
            Role::Hooks => return,
            Role::Background(name) => {
                let Some(generation) = self.generation_mut(of) else { return };
                let backoff = generation.command_backoffs.entry(name).or_default();
                return backoff.ended(context.now, started, context.random);
            }
        }
        self.last_words = Some(words.clone());
        if was_ready {
            let per_minute = self.policy(of).map_or(60, |policy| policy.restarts_per_minute);
            self.bucket.died(context.now, per_minute);
        } else if let Some(generation) = self.generation_mut(of)
            && let Some(delay) = generation.backoff.failed(context.now, started, context.random)
        {
            let (generation, failures) = (generation.id, generation.backoff.failures());
            self.announce(context, AppEventKind::BackingOff { generation, failures, delay });
        }
        self.count_failure(context, of, words);
    }

    fn count_failure(&mut self, context: &mut Context<'_>, generation: GenerationId, words: LastWords) {
        let Some(rollout) = &mut self.rollout else { return };
        if rollout.generation.id != generation || matches!(rollout.phase, RolloutPhase::RollingBack { .. }) {
            return;
        }
        rollout.failures += 1;
        if matches!(rollout.phase, RolloutPhase::Settling { .. }) {
            // Even if no worker was lost by it: a zygote has failed to load what is watched.
            rollout.phase = RolloutPhase::Replacing;
        }
        if rollout.failures >= rollout.generation.policy.rollout.max_boot_failures {
            self.roll_back(context, words);
        }
    }
}
