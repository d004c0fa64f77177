//! The change from one generation to the next.
//!
//! ```text
//! request ─► Prepare ─► the migration (`migrating`) ─► Replacing ─► Settling ─► committed
//!               │           │                              │ ▲         │
//!               │ refused   │ not good                     │ └─────────┘ it failed: back, one failure more
//!               ▼           ▼                              ▼ max_boot_failures
//!        nothing changed   no worker changed              RollingBack ─► rolled back: the old generation is filled up
//! ```
//!
//! The first new worker is a canary where clients are being served: it is held back for `settle` after it has loaded
//! the app, so that a release that crashes soon after its start never gets a client.

use crate::plan::{AppPlan, Prepared, Refusal};

use super::action::Action;
use super::app_event::AppEventKind;
use super::context::Context;
use super::pool::{Backoff, Cause};
use super::process_fact::LastWords;
use super::request::{Outcome, RequestId};
use super::state::{App, Generation, Mode, Preparing, Purpose, Rollout, RolloutPhase, Waiting};
use super::view::LastRollout;

impl App {
    /// A restart (or a start) is asked for: look at the release anew.
    pub(super) fn prepare(&mut self, context: &mut Context<'_>, id: RequestId, purpose: Purpose) {
        self.prepare_for(context, vec![(id, purpose)]);
    }

    /// The same for all who have asked until now: one look is enough for those who want the same.
    pub(super) fn prepare_for(&mut self, context: &mut Context<'_>, asked: Vec<(RequestId, Purpose)>) {
        let Some((_, first)) = asked.first().copied() else { return };
        if !self.may_look(context) {
            // Half of one release and half of another must not be looked at.
            return asked.into_iter().for_each(|(id, purpose)| self.release.wait(id, purpose));
        }
        if let Some(preparing) = &mut self.preparing {
            preparing.again.extend(asked);
            return self.joined(context);
        }
        let (waiters, again) = asked.into_iter().partition(|(_, purpose)| *purpose == first);
        self.preparing = Some(Preparing { waiters, again, by_itself: false });
        context.actions.push(Action::Prepare { app: self.name.clone() });
        self.announce(context, AppEventKind::RolloutRequested { joined: false, more: None });
    }

    /// The release has been looked at.
    pub(super) fn prepared(&mut self, context: &mut Context<'_>, prepared: Prepared) {
        // Its listeners are bound.
        self.doubt_accepting();
        let Some(Preparing { waiters, again, by_itself }) = self.preparing.take() else {
            // It was stopped meanwhile; what the shell made for it is not needed.
            if self.mode == Mode::Stopped {
                context.actions.push(Action::ReleaseApp { app: self.name.clone() });
            }
            return;
        };
        let (rollout, only): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|(_, purpose)| *purpose == Purpose::Rollout);
        let (rolls_out, ids) =
            (by_itself || !rollout.is_empty(), rollout.into_iter().chain(only).map(|(id, _)| id));
        match prepared {
            Ok(plan) if rolls_out => self.roll_out(context, plan, ids.collect()),
            Ok(plan) => self.migrate_only(context, plan, ids.collect()),
            Err(refusal) => self.refuse(context, refusal, ids.collect()),
        }
        self.prepare_for(context, again);
    }

    pub(super) fn refuse(&mut self, context: &mut Context<'_>, refusal: Refusal, waiters: Vec<RequestId>) {
        let Refusal { reason, detail, .. } = refusal.clone();
        if !waiters.is_empty() || self.refusal.as_ref() != Some(&refusal) {
            self.announce(
                context,
                AppEventKind::PrepareFailed { reason: reason.clone(), detail: detail.clone() },
            );
        }
        self.last_rollout =
            Some(LastRollout { generation: None, committed: false, reason: Some(reason.clone()) });
        self.refusal = Some(refusal);
        self.look_again_later(context);
        for id in waiters {
            let outcome = Outcome::Misconfigured { reason: reason.clone(), detail: detail.clone() };
            self.answer(context, id, outcome);
        }
    }

    /// Brings `plan` in: as the first generation, by joining the rollout that already does, or by a new one. Its
    /// databases are as it needs them.
    pub(super) fn bring_in(&mut self, context: &mut Context<'_>, plan: AppPlan, waiters: Vec<RequestId>) {
        self.refusal = None;
        if let Some(rollout) = &mut self.rollout
            && !rollout.is_rolling_back()
            && rollout.generation.blueprint == plan.blueprint
        {
            rollout.generation.policy = plan.policy;
            rollout.generation.owes_post_deploy |= plan.migrate.is_some();
            rollout.generation.migrate = plan.migrate;
            rollout.waiters.extend(waiters);
            self.joined(context);
            return;
        }
        let generation = self.next_generation(plan);
        let (id, workers) = (generation.id, self.wanted(&generation.policy));
        let from = self.serving.as_ref().map(|serving| serving.id);
        self.settled = false;
        if self.serving.is_none() {
            self.waiting.extend(waiters.into_iter().map(|id| Waiting {
                id,
                done: "started".to_owned(),
                scale: false,
            }));
            self.serving = Some(generation);
        } else {
            // A rollout that is given up midway has fewer workers than there were before it.
            let before = self.rollout.as_ref().map_or(0, |rollout| rollout.ready_before);
            let ready_before = self.ready_workers().max(before);
            self.supersede(context, &generation);
            self.rollout = Some(Rollout {
                generation,
                phase: RolloutPhase::Replacing,
                started: context.now,
                failures: 0,
                ready_before,
                waiters,
                canary_ready: false,
            });
        }
        self.announce(context, AppEventKind::RolloutStarted { generation: id, from, workers });
        self.hooks_of_new_generation(id, from.is_some(), workers);
    }

    /// Ends a rollout in favour of a newer one; its workers are then replaced like those of the old generation.
    fn supersede(&mut self, context: &mut Context<'_>, by: &Generation) {
        let Some(rollout) = self.rollout.take() else { return };
        let generation = rollout.generation.id;
        self.announce(context, AppEventKind::RolloutSuperseded { generation, by: by.id });
        self.hooks_of_incoming_go();
        for worker in self.select(|it| it.generation == generation && it.is_live() && !it.is_ready()) {
            self.end(context, worker, Cause::Rollout);
        }
        let reason = match &rollout.phase {
            RolloutPhase::RollingBack { words } => words.message.clone(),
            _ => format!("superseded by the rollout to generation {}", by.id),
        };
        for id in rollout.waiters {
            let outcome = match &rollout.phase {
                RolloutPhase::RollingBack { words } => self.rolled_back_outcome(words.clone()),
                _ => Outcome::Refused { reason: reason.clone() },
            };
            self.answer(context, id, outcome);
        }
    }

    /// Too many failures: go back to the generation that served, or, where it never did, stay with the new one.
    pub(super) fn roll_back(&mut self, context: &mut Context<'_>, words: LastWords) {
        let Some(rollout) = &mut self.rollout else { return };
        let generation = rollout.generation.id;
        let to = self.serving.as_ref().filter(|serving| serving.served).map(|serving| serving.id);
        rollout.phase = RolloutPhase::RollingBack { words: words.clone() };
        if let Some(serving) = &mut self.serving {
            // What it failed at before has no bearing on whether it can be filled up again.
            serving.backoff = Backoff::default();
        }
        self.announce(context, AppEventKind::RollingBack { generation, to, reason: words.message });
        if to.is_some() {
            self.hooks_of_incoming_go();
        } else {
            // It goes on trying.
            self.hooks_of_incoming_stay();
            let failed = self.rollout.as_ref().map(|rollout| rollout.generation.clone());
            self.serving = failed;
            self.finish_rollback(context);
        }
    }

    /// The old generation serves again as far as it can.
    pub(super) fn finish_rollback(&mut self, context: &mut Context<'_>) {
        let Some(rollout) = self.rollout.take() else { return };
        let RolloutPhase::RollingBack { words } = rollout.phase else { return };
        let generation = rollout.generation.id;
        let serving = self.answering();
        let reason = words.message.clone();
        self.announce(context, AppEventKind::RolledBack { generation, serving, reason: reason.clone() });
        self.last_rollout =
            Some(LastRollout { generation: Some(generation), committed: false, reason: Some(reason) });
        for id in rollout.waiters {
            let outcome = self.rolled_back_outcome(words.clone());
            self.answer(context, id, outcome);
        }
    }

    fn rolled_back_outcome(&self, words: LastWords) -> Outcome {
        Outcome::RolledBack { reason: words.message.clone(), last_words: words, serving: self.answering() }
    }

    /// The new generation has proved itself.
    pub(super) fn commit(&mut self, context: &mut Context<'_>) {
        let Some(rollout) = self.rollout.take() else { return };
        let mut generation = rollout.generation;
        generation.complete = true;
        let (id, took) = (generation.id, context.now.since(rollout.started));
        self.serving = Some(generation);
        self.last_words = None;
        self.deployed();
        self.last_rollout = Some(LastRollout { generation: Some(id), committed: true, reason: None });
        self.announce(context, AppEventKind::RolloutCommitted { generation: id, took });
        self.hooks_of_incoming_stay();
        self.hooks_at_full_strength(context);
        for waiter in rollout.waiters {
            let message = format!("{}: generation {id} serves", self.name);
            self.answer(context, waiter, Outcome::Done { message, generation: Some(id) });
        }
    }
}
