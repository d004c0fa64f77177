//! A run as it is shown.

use std::time::Duration;

use super::super::time::Moment;
use super::fact::Step;
use super::run::{Migration, RunStage};
use super::view::{MigrationPhase, MigrationView};

impl Migration {
    /// How it is now.
    pub(in crate::supervise) fn view(&self, now: Moment) -> MigrationView {
        let session = &self.session;
        let runs = self.stage == RunStage::Running;
        let attempt = session.attempt.as_ref().filter(|_| runs);
        let at = attempt.and_then(|it| it.at.as_ref());
        let look = attempt.map(|it| &it.look);
        let took = |name: &str| self.past.took.iter().rev().find(|(of, _)| of == name).map(|(_, took)| *took);
        let pending = session.pending.migrations.len() as u32;
        MigrationView {
            run: self.run,
            database: self.database(),
            phase: self.phase(now),
            since: now.since(self.began),
            attempt: session.record.attempts,
            migration: at.map(|at| at.name.clone()),
            number: at.map_or(0, |at| at.number),
            of: at.map_or(pending, |at| at.of),
            migration_since: at.map(|at| now.since(at.since)),
            usually: at
                .and_then(|at| took(&at.name))
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            operation: at.and_then(|at| match &at.step {
                Step::Operation { number, of, words, .. } => Some((*number, *of, words.clone())),
                _ => None,
            }),
            doing: look.and_then(|look| look.doing.clone().map(|doing| (doing, look.percent))),
            blockers: look.map_or(Vec::new(), |look| look.blockers.clone()),
            harm: look.filter(|look| look.blocked > 0).map(|it| (it.blocked, it.harm.unwrap_or_default())),
            aborting: session.ending.as_ref().filter(|_| runs).map(|it| (it.cause, it.signal)),
            warning: self.warning.clone(),
        }
    }

    fn phase(&self, now: Moment) -> MigrationPhase {
        match &self.stage {
            RunStage::Locking { holder: Some(holder), .. } => MigrationPhase::Busy { holder: holder.clone() },
            RunStage::Opening | RunStage::Connecting | RunStage::Locking { .. } => MigrationPhase::Opening,
            RunStage::Sweeping | RunStage::WritingAhead => MigrationPhase::Opening,
            RunStage::Running if self.session.ending.is_some() => MigrationPhase::Aborting,
            RunStage::Running => MigrationPhase::Running,
            RunStage::EndingBackends { .. } if self.session.ending.is_some() => MigrationPhase::Aborting,
            RunStage::EndingBackends { .. } | RunStage::Reopening { .. } | RunStage::Verifying => {
                MigrationPhase::Verifying
            }
            RunStage::Recording | RunStage::AskingServing | RunStage::Over => MigrationPhase::Verifying,
            RunStage::Waiting => {
                MigrationPhase::Waiting(self.due.map_or(Duration::ZERO, |due| due.since(now)))
            }
        }
    }
}
