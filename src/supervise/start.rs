//! How a start ends: all workers have come up, or they have failed as often as a rollout may. Who waits for it is answered.

use crate::config::{agreed, counted};

use super::app_event::AppEventKind;
use super::context::Context;
use super::ids::GenerationId;
use super::request::Outcome;
use super::state::{App, Generation, Waiting};
use super::view::LastRollout;

impl Generation {
    /// Whether its workers have failed to boot so often that nobody waits for them any more; they are tried on.
    pub(super) fn is_given_up(&self) -> bool {
        self.backoff.failures() >= self.policy.rollout.max_boot_failures
    }
}

impl App {
    /// Those who wait for the app to serve at full strength.
    pub(super) fn answer_waiting(&mut self, context: &mut Context<'_>) {
        let Some(serving) = self.serving.as_ref().filter(|_| self.rollout.is_none()) else { return };
        let (id, wanted) = (serving.id, self.wanted(&serving.policy) as usize);
        let (was_complete, hopeless) = (serving.complete, serving.is_given_up());
        let ready = self.count(|it| it.generation == id && it.is_ready());
        if ready >= wanted {
            if !was_complete || self.last_words.is_some() {
                self.serving.iter_mut().for_each(|serving| serving.complete = true);
                self.last_words = None;
                if !was_complete {
                    self.start_ended(id, None);
                }
                self.announce(context, AppEventKind::Serving { generation: id, workers: wanted as u32 });
                self.hooks_at_full_strength(context);
                self.deployed();
            }
            for Waiting { id: waiter, done, .. } in std::mem::take(&mut self.waiting) {
                let (n, serve) = (counted(wanted, "worker"), agreed(wanted, "serves", "serve"));
                let message = format!("{}: {done}; {n} of generation {id} {serve}", self.name);
                self.answer(context, waiter, Outcome::Done { message, generation: Some(id) });
            }
        } else if hopeless {
            let last_words = self.last_words.clone().unwrap_or_default();
            let mut reason = last_words.message.clone();
            if !was_complete {
                self.start_ended(id, Some(reason.clone()));
            }
            let serving = self.answering().filter(|answering| was_complete || *answering != id);
            if ready > 0 && serving.is_none() {
                reason.push_str(&format!("; {ready} of {wanted} workers serve"));
            }
            for Waiting { id: waiter, .. } in std::mem::take(&mut self.waiting) {
                let (reason, last_words) = (reason.clone(), last_words.clone());
                self.answer(context, waiter, Outcome::RolledBack { reason, last_words, serving });
            }
        }
    }

    /// A generation that nothing served before has come up, or is given up for now: that is how the last start ended,
    /// unless something has been tried since.
    fn start_ended(&mut self, id: GenerationId, failure: Option<String>) {
        let is_newer = |last: &LastRollout| last.generation > Some(id);
        let migrated = self.databases.problem.is_none() || self.databases.unasked.is_some();
        let tried_since = self.refusal.is_some() || !migrated;
        if !tried_since && !self.last_rollout.as_ref().is_some_and(is_newer) {
            let committed = failure.is_none();
            self.last_rollout = Some(LastRollout { generation: Some(id), committed, reason: failure });
        }
    }
}
