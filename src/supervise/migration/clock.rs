//! What time alone does to a run, and when.

use std::time::Duration;

use super::outcome::{Verdict, VerdictKind};
use super::run::{ANSWER, Haste, Migration, RunStage};
use crate::supervise::context::Context;
use crate::supervise::time::Moment;

/// How long an answer may take while the app stops.
const HURRIED: Duration = Duration::from_secs(10);
/// A rollback is waited for somewhat longer where the app only stops.
const HURRIED_ROLLBACK: Duration = Duration::from_secs(30);

impl Migration {
    /// When time alone changes something.
    pub(in crate::supervise) fn deadline(&self) -> Option<Moment> {
        if self.stage != RunStage::Running {
            return self.due;
        }
        if let Some(ending) = &self.session.ending {
            return ending.next;
        }
        let rules = self.rules(&self.migrate);
        let attempt = self.session.attempt.as_ref().and_then(|attempt| attempt.due(&rules));
        attempt.into_iter().chain(self.session.reopening).min()
    }

    /// Lets time pass.
    pub(in crate::supervise) fn expire(&mut self, context: &mut Context<'_>) {
        if self.stage == RunStage::Running {
            self.climb(context);
            if self.stage == RunStage::Running {
                self.rewatch(context);
                self.hold_to_budgets(context);
            }
            return;
        }
        if self.due.is_none_or(|due| context.now < due) {
            return;
        }
        match self.stage.clone() {
            RunStage::Opening => {
                let words = format!("the history could not be read within {} s", ANSWER.as_secs());
                self.conclude(context, Verdict::of(VerdictKind::Failed, &words).with_cause_elsewhere());
            }
            RunStage::Connecting => self.unanswered(context, self.open_limit()),
            RunStage::Sweeping => self.unanswered(context, ANSWER),
            RunStage::Locking { since, .. } => self.unanswered(context, context.now.since(since)),
            RunStage::WritingAhead => {
                // It may be written all the same: then its end is as well.
                let words =
                    format!("nothing was run: the history did not answer within {} s", ANSWER.as_secs());
                self.conclude_unrun(context, VerdictKind::Failed, &words);
            }
            RunStage::EndingBackends { since } => self.still_backends(context, since),
            RunStage::Reopening { asked: true } => self.unanswered(context, self.open_limit()),
            RunStage::Reopening { asked: false } => self.reopen(context),
            RunStage::Verifying => {
                let words = format!("the database side did not answer within {} s", ANSWER.as_secs());
                self.unjudgeable(context, &words);
            }
            RunStage::Waiting if self.session.open => self.lock(context),
            RunStage::Waiting => self.connect(context),
            RunStage::Recording => {
                self.warn(context, "the history did not answer: its end may not be in it".to_owned());
                self.finish_database(context);
            }
            RunStage::AskingServing => self.serving_silent(context),
            RunStage::Running | RunStage::Over => {}
        }
    }

    /// Waits for an answer, so long and no longer.
    pub(super) fn enter(&mut self, now: Moment, stage: RunStage, limit: Duration) {
        self.stage = stage;
        self.due = Some(now + limit);
        self.hurry(now);
    }

    /// What it waits for gets less time where somebody waits for its end.
    pub(super) fn hurry(&mut self, now: Moment) {
        let limit = match (&self.stage, self.haste) {
            (_, Haste::None) => return,
            (RunStage::EndingBackends { .. }, Haste::Stop) => HURRIED_ROLLBACK,
            _ => HURRIED,
        };
        self.due = self.due.map(|due| due.min(now + limit));
    }
}
