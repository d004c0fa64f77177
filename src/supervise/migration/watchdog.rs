//! While the command runs: what is seen of it, the budgets, and its end.

use std::time::Duration;

use super::attempt::{Finding, Rules, Sight};
use super::fact::{Backend, CommandFailure, DatabaseLook, FailureKind, MigrationFact, Step};
use super::order::{AbortReason, MigrationOrder};
use super::outcome::VerdictKind;
use super::record::RungTaken;
use super::run::{ANSWER, Haste, Migration, RunStage};
use super::tell::listed;
use super::vendor::Vendor;
use crate::plan::Migrate;
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::pool::{Climb, Ending, Ladder, StopSignal, delay_after};
use crate::supervise::process_fact::Exit;

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
            MigrationFact::Cancelled { backends: 0 } => self.cancelled_nobody(context),
            MigrationFact::CommandEnded { exit, failure } => self.command_ended(context, exit, failure),
            // Whoever wanted to end it meanwhile is told the same.
            MigrationFact::SpawnFailed { reason } => {
                let message = format!("the command could not be started: {reason}");
                let failure =
                    CommandFailure { kind: FailureKind::Migration, message, ..CommandFailure::default() };
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
                self.announce(context, AppEventKind::MigrationBegins { name, number, of });
            }
            (Step::Applied { seconds }, Some(name)) => {
                self.announce(context, AppEventKind::MigrationApplied { name, seconds });
            }
            (Step::Unseen { words }, _) => self.warn(context, format!("progress is not seen: {words}")),
            _ => {}
        }
        self.hold_to_budgets(context);
    }

    fn looked(&mut self, context: &mut Context<'_>, look: DatabaseLook) {
        let record = &mut self.session.record;
        let Some(attempt) = &mut self.session.attempt else { return };
        let pids = |look: &DatabaseLook| look.blockers.iter().map(|it| it.pid).collect::<Vec<_>>();
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
            self.announce(context, AppEventKind::MigrationWarned { words });
        }
        if blocked {
            self.announce(context, AppEventKind::MigrationBlocked { by: look.blockers });
        }
        if harms {
            self.announce(context, AppEventKind::MigrationHarm { blocked: look.blocked });
        }
        self.hold_to_budgets(context);
    }

    /// Applies the budgets. A command that is being ended has none any more: it is on the ladder.
    pub(super) fn hold_to_budgets(&mut self, context: &mut Context<'_>) {
        // More than one may be exceeded at once; each is said once.
        while self.session.ending.is_none() {
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
            RunStage::Running => self.escalate(context, reason),
            RunStage::Opening | RunStage::Connecting | RunStage::Locking { .. } | RunStage::Sweeping => {
                let words = format!("ended before anything was run because {reason}");
                self.conclude_unrun(context, VerdictKind::Failed, &words);
            }
            RunStage::Waiting => {
                let last = self.session.verdict.take();
                let words = last.map_or(String::new(), |last| format!("; before that: {}", last.reason));
                let words = format!("not tried again because {reason}{words}");
                self.conclude_unrun(context, VerdictKind::Failed, &words);
            }
            RunStage::AskingServing => self.close(context),
            // What is being found out, or written, has its end before it.
            _ => self.hurry(context.now),
        }
    }

    /// The daemon leaves at once.
    pub(in crate::supervise) fn kill(&mut self, context: &mut Context<'_>) {
        self.haste = Haste::Now;
        self.given_up.get_or_insert(AbortReason::Stopping);
        match self.stage {
            RunStage::Running => self.kill_command(context),
            RunStage::EndingBackends { .. } | RunStage::Recording => self.hurry(context.now),
            RunStage::AskingServing => self.close(context),
            RunStage::Over => {}
            _ => self.vanish(context),
        }
    }

    fn kill_command(&mut self, context: &mut Context<'_>) {
        match &self.session.ending {
            None => self.begin_end(context, AbortReason::Stopping, StopSignal::Kill),
            Some(ending) if ending.signal < StopSignal::Kill => self.go_on(context, StopSignal::Kill),
            Some(_) => {}
        }
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
        self.cancelled_nobody(context);
    }

    /// Starts another database side while the command runs, or gives up the one that does not answer.
    pub(super) fn rewatch(&mut self, context: &mut Context<'_>) {
        if self.session.ending.is_some() || self.session.reopening.is_none_or(|due| context.now < due) {
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
        self.announce(context, AppEventKind::MigrationWarned { words: "it is watched again".to_owned() });
        if !swept.is_empty() {
            self.announce(context, AppEventKind::MigrationSwept { backends: swept });
        }
        let Some(attempt) = &mut self.session.attempt else { return };
        // What was seen of it meanwhile is nothing.
        attempt.looked(context.now, DatabaseLook::default());
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

    /// Begins its end; one that is being ended already goes on as it was.
    fn escalate(&mut self, context: &mut Context<'_>, reason: AbortReason) {
        if self.session.ending.is_some() {
            return;
        }
        let sees = self.sight() == Sight::Watched;
        let look = self.session.attempt.as_ref().map(|it| &it.look).filter(|_| sees);
        let first = first_signal(self.vendor(), look);
        self.begin_end(context, reason, first);
    }

    fn begin_end(&mut self, context: &mut Context<'_>, reason: AbortReason, first: StopSignal) {
        self.session.record.aborted = Some(reason);
        self.session.ending = Some(Ending::at(context.now, reason, first, Ladder::COMMAND));
        let migration = self.session.attempt.as_ref().and_then(|it| it.at.as_ref()).map(|at| at.name.clone());
        self.announce(context, AppEventKind::MigrationAborting { migration, reason });
        self.send(context, first);
    }

    /// Goes on at once, if it is known that `Cancel` does nothing.
    fn cancelled_nobody(&mut self, context: &mut Context<'_>) {
        if self.session.ending.as_ref().is_some_and(|it| it.signal == StopSignal::Cancel) {
            self.go_on(context, StopSignal::Interrupt);
        }
    }

    fn go_on(&mut self, context: &mut Context<'_>, signal: StopSignal) {
        let Some(ending) = &mut self.session.ending else { return };
        self.session.record.rungs.push(RungTaken::of(ending, context.now));
        ending.go_on(context.now, signal, Ladder::COMMAND);
        self.send(context, signal);
    }

    fn send(&mut self, context: &mut Context<'_>, signal: StopSignal) {
        self.order(context, MigrationOrder::Abort(signal));
        self.announce(context, AppEventKind::MigrationRung { rung: signal });
    }

    /// The patience with a signal may be over.
    pub(super) fn climb(&mut self, context: &mut Context<'_>) {
        let Some(ending) = &mut self.session.ending else { return };
        let taken = RungTaken::of(ending, context.now);
        let Some(climb) = ending.climb(context.now, Ladder::COMMAND) else { return };
        self.session.record.rungs.push(taken);
        match climb {
            Climb::To(signal) => self.send(context, signal),
            // Its backends are left alone: it may still be there.
            Climb::GivenUp => self.unjudgeable(context, "the command is still there after SIGKILL"),
        }
    }

    fn command_ended(&mut self, context: &mut Context<'_>, exit: Exit, failure: Option<CommandFailure>) {
        let session = &mut self.session;
        session.record.rungs.extend(session.ending.as_ref().map(|it| RungTaken::of(it, context.now)));
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

/// Where its end begins. Cancelling reaches a backend at work only, and only if somebody watches, whose last look this is;
/// SQLite has no backend, and Python does not see SIGINT while it waits in SQLite.
fn first_signal(vendor: Vendor, look: Option<&DatabaseLook>) -> StopSignal {
    match (vendor, look) {
        (Vendor::Sqlite, _) => StopSignal::Terminate,
        (Vendor::Other, _) => StopSignal::Interrupt,
        (_, Some(look)) if look.backends > 0 && !look.idle_in_transaction => StopSignal::Cancel,
        _ => StopSignal::Interrupt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_something_can_come_of_it() {
        use StopSignal::{Cancel, Interrupt, Terminate};
        let look = |backends, idle_in_transaction| {
            Some(DatabaseLook { backends, idle_in_transaction, ..DatabaseLook::default() })
        };
        let of = |vendor, look: Option<DatabaseLook>| first_signal(vendor, look.as_ref());
        assert_eq!(of(Vendor::Postgresql, look(1, false)), Cancel);
        assert_eq!(of(Vendor::Mysql, look(2, false)), Cancel);
        assert_eq!(of(Vendor::Postgresql, look(1, true)), Interrupt);
        assert_eq!(of(Vendor::Postgresql, look(0, false)), Interrupt);
        assert_eq!(of(Vendor::Postgresql, None), Interrupt);
        assert_eq!(of(Vendor::Other, look(1, false)), Interrupt);
        assert_eq!(of(Vendor::Sqlite, look(1, false)), Terminate);
    }
}
