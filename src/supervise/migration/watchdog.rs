//! While the command runs: what is seen of it, the budgets, and its end.

use std::time::Duration;

use super::super::app::Context;
use super::super::event::Exit;
use super::super::news::Happening;
use super::super::pool::delay_after;
use super::attempt::{Finding, Rules, Sight};
use super::fact::{Backend, Failure, FailureKind, Look, MigrationFact, Step};
use super::ladder::{Climb, Ladder};
use super::order::{AbortReason, AbortRung, MigrationOrder};
use super::outcome::VerdictKind;
use super::run::{ANSWER, Haste, Migration, Stage};
use super::tell::listed;
use crate::plan::Migrate;

/// Another database side is started after 1 s, 2 s … 30 s.
const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Migration {
    pub(super) fn running(&mut self, context: &mut Context<'_>, fact: MigrationFact) {
        match fact {
            MigrationFact::Progressed(step) => self.progressed(context, step),
            MigrationFact::Wrote | MigrationFact::Worked => {
                if let Some(attempt) = &mut self.session.attempt {
                    attempt.alive(context.now);
                }
            }
            MigrationFact::Looked(look) => self.looked(context, look),
            MigrationFact::Cancelled { backends: 0 } => {
                let taken = self.session.ladder.as_mut().and_then(|it| it.cancelled_nobody(context.now));
                if let Some(taken) = taken {
                    self.session.record.rungs.push(taken);
                    self.take_rung(context, AbortRung::Interrupt);
                }
            }
            MigrationFact::CommandEnded { exit, failure } => self.command_ended(context, exit, failure),
            // Whoever wanted to end it meanwhile is told the same.
            MigrationFact::SpawnFailed { reason } => {
                let message = format!("the command could not be started: {reason}");
                let failure = Failure { kind: FailureKind::Migration, message, ..Failure::default() };
                self.command_ended(context, Exit::Unknown, Some(failure));
            }
            MigrationFact::DatabaseFailed(trouble) => self.database_failed(context, trouble),
            MigrationFact::Opening if self.session.reopening.is_some() => {
                self.session.reopening = Some(context.now + self.open_limit());
            }
            MigrationFact::Opened(_) if self.session.reopening.is_some() => self.lock_again(context),
            MigrationFact::Locked { swept, .. } if self.session.reopening.is_some() => {
                self.watched_again(context, swept);
            }
            MigrationFact::Busy { holder, .. } if self.session.reopening.is_some() => {
                self.lock_lost(context, &holder);
            }
            _ => {}
        }
    }

    fn progressed(&mut self, context: &mut Context<'_>, step: Step) {
        let Some(attempt) = &mut self.session.attempt else { return };
        let before = attempt.at.as_ref().map(|at| at.name.clone());
        attempt.progressed(context.now, step.clone());
        let place = attempt.place;
        self.order(context, MigrationOrder::Watch { place });
        match (step, before) {
            (Step::Migration { name, number, of, .. }, _) => {
                self.announce(context, Happening::MigrationBegins { name, number, of });
            }
            (Step::Applied { seconds }, Some(name)) => {
                self.announce(context, Happening::MigrationApplied { name, seconds });
            }
            (Step::Unseen { words }, _) => self.warn(context, format!("progress is not seen: {words}")),
            _ => {}
        }
        self.hold_to_budgets(context);
    }

    fn looked(&mut self, context: &mut Context<'_>, look: Look) {
        let record = &mut self.session.record;
        let Some(attempt) = &mut self.session.attempt else { return };
        let pids = |look: &Look| look.blockers.iter().map(|it| it.pid).collect::<Vec<_>>();
        let blocked = !look.blockers.is_empty() && pids(&look) != pids(&attempt.look);
        let harms = look.blocked > 0 && attempt.look.blocked == 0;
        if !look.blockers.is_empty() {
            record.blockers = look.blockers.clone();
        }
        let stall = look.harm.map_or(0.0, |harm| harm.as_secs_f64());
        record.longest_stall = record.longest_stall.max(stall);
        attempt.looked(context.now, look.clone());
        let named = &mut attempt.named;
        let more: Vec<_> = look.maintenance.into_iter().filter(|it| !named.contains(&it.pid)).collect();
        named.extend(more.iter().map(|it| it.pid));
        if !more.is_empty() {
            let words =
                format!("maintenance waits behind it, which is no client and no harm: {}", listed(&more));
            self.announce(context, Happening::MigrationWarned { words });
        }
        if blocked {
            self.announce(context, Happening::MigrationBlocked { by: look.blockers });
        }
        if harms {
            self.announce(context, Happening::MigrationHarm { blocked: look.blocked });
        }
        self.hold_to_budgets(context);
    }

    /// Applies the budgets. A command that is being ended has none any more: it has the ladder.
    pub(super) fn hold_to_budgets(&mut self, context: &mut Context<'_>) {
        // More than one may be exceeded at once; each is said once.
        while self.session.ladder.is_none() {
            let migrate = self.migrate.clone();
            let rules = self.rules(&migrate);
            let Some(attempt) = &mut self.session.attempt else { return };
            match attempt.judge(context.now, &rules) {
                None => return,
                Some(Finding::Warn(words)) => self.warn(context, words),
                Some(Finding::Unseen(limit)) => return self.unanswered(context, limit),
                Some(Finding::Abort(reason)) => return self.escalate(context, reason),
            }
        }
    }

    /// Somebody, or the app's stop, wants it to end.
    pub(in crate::supervise) fn abort(&mut self, context: &mut Context<'_>, reason: AbortReason) {
        self.given_up.get_or_insert(reason);
        if reason == AbortReason::Stopping {
            self.haste = self.haste.max(Haste::Stop);
        }
        match self.stage {
            Stage::Running => self.escalate(context, reason),
            Stage::Opening | Stage::Connecting | Stage::Locking { .. } | Stage::Sweeping => {
                let words = format!("ended before anything was run because {reason}");
                self.conclude_unrun(context, VerdictKind::Failed, &words);
            }
            Stage::Waiting => {
                let last = self.session.verdict.take();
                let words = last.map_or(String::new(), |last| format!("; before that: {}", last.reason));
                let words = format!("not tried again because {reason}{words}");
                self.conclude_unrun(context, VerdictKind::Failed, &words);
            }
            Stage::AskingServing => self.close(context),
            // What is being found out, or written, has its end before it.
            _ => self.hurry(context.now),
        }
    }

    /// The daemon leaves at once.
    pub(in crate::supervise) fn kill(&mut self, context: &mut Context<'_>) {
        self.haste = Haste::Now;
        self.given_up.get_or_insert(AbortReason::Stopping);
        match self.stage {
            Stage::Running => self.kill_command(context),
            Stage::EndingBackends { .. } | Stage::Recording => self.hurry(context.now),
            Stage::AskingServing => self.close(context),
            Stage::Over => {}
            _ => self.vanish(context),
        }
    }

    fn kill_command(&mut self, context: &mut Context<'_>) {
        if let Some(ladder) = &mut self.session.ladder {
            let Some(taken) = ladder.kill(context.now) else { return };
            self.session.record.rungs.push(taken);
        } else {
            let mut ladder = Ladder::begun(context.now, AbortReason::Stopping, self.vendor(), None);
            ladder.kill(context.now);
            self.aborting(context, ladder);
        }
        self.take_rung(context, AbortRung::Kill);
    }

    pub(super) fn rules<'a>(&self, migrate: &'a Migrate) -> Rules<'a> {
        Rules {
            migrate,
            vendor: self.vendor(),
            sight: self.sight(),
            clock: self.clock,
            lock_timeout: self.session.record.opened.lock_timeout,
            serves: self.serves,
        }
    }

    /// The database side is gone: nobody sees what the command does until another is there. That is no reason to end it: what
    /// it does is no worse for it, and an end may not be undone.
    pub(super) fn unwatched(&mut self, context: &mut Context<'_>, why: &str) {
        if self.session.reopening.is_none() {
            self.warn(context, format!("unwatched: the database side is gone, and is started again: {why}"));
        }
        self.session.losses += 1;
        let delay = delay_after(REOPEN, self.session.losses, context.random);
        self.session.reopening = Some(context.now + delay);
        let cancelling = self.session.ladder.as_mut().and_then(|it| it.cancelled_nobody(context.now));
        if let Some(taken) = cancelling {
            self.session.record.rungs.push(taken);
            self.take_rung(context, AbortRung::Interrupt);
        }
    }

    /// Starts another database side while the command runs, or gives up the one that does not answer.
    pub(super) fn rewatch(&mut self, context: &mut Context<'_>) {
        if self.session.ladder.is_some() || self.session.reopening.is_none_or(|due| context.now < due) {
            return;
        }
        if self.session.open {
            return self.unanswered(context, self.open_limit());
        }
        let Some(index) = self.session.index else { return };
        self.session.open = true;
        self.session.reopening = Some(context.now + self.open_limit());
        self.order(context, MigrationOrder::OpenDatabase { index });
    }

    /// The lock went with the side before.
    fn lock_again(&mut self, context: &mut Context<'_>) {
        self.session.reopening = Some(context.now + ANSWER);
        self.order(context, MigrationOrder::LockDatabase);
    }

    fn watched_again(&mut self, context: &mut Context<'_>, swept: Vec<Backend>) {
        (self.session.reopening, self.warning) = (None, None);
        self.announce(context, Happening::MigrationWarned { words: "it is watched again".to_owned() });
        if !swept.is_empty() {
            self.announce(context, Happening::MigrationSwept { backends: swept });
        }
        let Some(attempt) = &mut self.session.attempt else { return };
        // What was seen of it meanwhile is nothing.
        attempt.looked(context.now, Look::default());
        let place = attempt.place;
        self.order(context, MigrationOrder::Watch { place });
    }

    /// Another server has taken the lock meanwhile, and ends what it takes for left behind.
    fn lock_lost(&mut self, context: &mut Context<'_>, holder: &str) {
        self.session.reopening = Some(context.now + ANSWER);
        let migrate = self.migrate.clone();
        let rules = self.rules(&migrate);
        let undone = self.session.attempt.as_ref().is_some_and(|it| it.rolls_back(&rules));
        let words = format!("unwatched: the lock is held by another server now: {holder}");
        if self.warning.as_ref() != Some(&words) {
            self.warn(context, words);
        }
        if undone {
            self.escalate(context, AbortReason::LockLost);
        }
    }

    /// Takes the first rung; one that is on the ladder already goes on as it was.
    fn escalate(&mut self, context: &mut Context<'_>, reason: AbortReason) {
        if self.session.ladder.is_some() {
            return;
        }
        let sees = self.sight() == Sight::Watched;
        let look = self.session.attempt.as_ref().map(|it| &it.look).filter(|_| sees);
        let ladder = Ladder::begun(context.now, reason, self.vendor(), look);
        let rung = ladder.rung;
        self.aborting(context, ladder);
        self.take_rung(context, rung);
    }

    fn aborting(&mut self, context: &mut Context<'_>, ladder: Ladder) {
        let reason = ladder.reason;
        self.session.record.aborted = Some(reason);
        self.session.ladder = Some(ladder);
        let migration = self.session.attempt.as_ref().and_then(|it| it.at.as_ref()).map(|at| at.name.clone());
        self.announce(context, Happening::MigrationAborting { migration, reason });
    }

    pub(super) fn take_rung(&mut self, context: &mut Context<'_>, rung: AbortRung) {
        self.order(context, MigrationOrder::Abort(rung));
        self.announce(context, Happening::MigrationRung { rung });
    }

    /// The patience with a rung may be over.
    pub(super) fn climb(&mut self, context: &mut Context<'_>) {
        let Some((taken, climb)) = self.session.ladder.as_mut().and_then(|it| it.climb(context.now)) else {
            return;
        };
        self.session.record.rungs.push(taken);
        match climb {
            Climb::To(rung) => self.take_rung(context, rung),
            // Its backends are left alone: it may still be there.
            Climb::GivenUp => self.unjudgeable(context, "the command is still there after SIGKILL"),
        }
    }

    fn command_ended(&mut self, context: &mut Context<'_>, exit: Exit, failure: Option<Failure>) {
        let session = &mut self.session;
        if let Some(ladder) = &session.ladder {
            let taken = ladder.taken(context.now);
            session.record.rungs.push(taken);
        }
        if let Some(attempt) = &session.attempt {
            session.took.extend(attempt.applied.iter().cloned());
        }
        if let Some(failure) = failure.as_ref().filter(|it| !it.blockers.is_empty()) {
            session.record.blockers = failure.blockers.clone();
        }
        session.ended = Some((exit, failure));
        match (session.index, session.open) {
            (None, _) => self.judged_without_database(context),
            (Some(_), true) => self.end_backends(context),
            (Some(_), false) => self.reopen(context),
        }
    }
}
