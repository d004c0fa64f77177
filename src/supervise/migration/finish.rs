//! After the command: its backends, what is recorded, the verdict, the history, and the next try.

use std::time::Duration;

use super::attempt::CurrentMigration;
use super::fact::{Step, Trouble, TroubleKind};
use super::judge::{Case, Judgement, Seen, judge};
use super::order::MigrationOrder;
use super::outcome::{Verdict, VerdictKind};
use super::record::{AppliedMigration, RungTaken};
use super::report::Report;
use super::run::{ANSWER, Haste, Migration, RunStage};
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::pool::{StopSignal, delay_after};
use crate::supervise::process_fact::Exit;
use crate::supervise::time::Moment;

/// After so long it is said that a rollback takes its time.
const ROLLBACK_USUAL: Duration = Duration::from_secs(60);
/// After so long nobody knows what the backends do.
const ROLLBACK_LONGEST: Duration = Duration::from_secs(10 * 60);
/// How long a database that went away in the middle is waited for, to see what is left.
const REOPEN_FOR: Duration = Duration::from_secs(60);
const REOPEN_EVERY: Duration = Duration::from_secs(2);
/// A migration that met a lock is tried again after 3 s, 6 s … 30 s.
const RETRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

impl Migration {
    /// No process of the command is left: now its backends may be ended. After a clean exit there is none.
    pub(super) fn end_backends(&mut self, context: &mut Context<'_>) {
        self.order(context, MigrationOrder::Abort(StopSignal::EndBackends));
        self.enter(context.now, RunStage::EndingBackends { since: context.now }, ROLLBACK_USUAL);
    }

    /// A rollback takes as long as it takes; only one that nobody can wait for is left to itself.
    pub(super) fn still_backends(&mut self, context: &mut Context<'_>, since: Moment) {
        let waited = context.now.since(since);
        if waited >= ROLLBACK_LONGEST || self.haste > Haste::None {
            let words = format!("its backends are still there after {} s", waited.as_secs());
            return self.unjudgeable(context, &words);
        }
        let words = format!("its backends have been rolling back for {} s", waited.as_secs());
        self.warn(context, words);
        // An answer that was lost is given again.
        self.order(context, MigrationOrder::Abort(StopSignal::EndBackends));
        self.due = Some(context.now + ROLLBACK_USUAL);
    }

    pub(super) fn backends_gone(&mut self, context: &mut Context<'_>) {
        let RunStage::EndingBackends { since } = self.stage else { return };
        if self.session.ending.is_some() {
            let seconds = context.now.since(since).as_secs_f64();
            self.session.record.rungs.push(RungTaken { rung: StopSignal::EndBackends, seconds });
        }
        if self.haste == Haste::Now {
            return self.vanish(context);
        }
        let pending = self.session.pending.clone();
        let (at, failed) = (self.at(), !self.ended_well());
        self.order(context, MigrationOrder::VerifyDatabase { pending, at, failed });
        self.enter(context.now, RunStage::Verifying, ANSWER);
    }

    fn at(&self) -> Option<(String, Step)> {
        let attempt = self.session.attempt.as_ref().filter(|it| it.unseen.is_none())?;
        let at = attempt.at.as_ref()?;
        Some((at.name.clone(), at.step.clone()))
    }

    fn ended_well(&self) -> bool {
        matches!(self.session.ended, Some((Exit::Code(0), _)))
    }

    /// The database side was lost while it was needed to see what is left: another one is started for that.
    pub(super) fn sight_lost(&mut self, context: &mut Context<'_>, trouble: &Trouble) {
        let first = self.session.lost.is_none();
        let since = *self.session.lost.get_or_insert(context.now);
        if first {
            return self.reopen(context);
        }
        let comes_back = trouble.kind == TroubleKind::Unreachable && context.now.since(since) < REOPEN_FOR;
        if comes_back && self.haste == Haste::None {
            return self.enter(context.now, RunStage::Reopening { asked: false }, REOPEN_EVERY);
        }
        self.unjudgeable(context, &trouble.message);
    }

    pub(super) fn reopen(&mut self, context: &mut Context<'_>) {
        let Some(index) = self.session.index else { return };
        self.session.lost.get_or_insert(context.now);
        self.session.open = true;
        self.order(context, MigrationOrder::OpenDatabase { index });
        self.enter(context.now, RunStage::Reopening { asked: true }, self.open_limit());
    }

    pub(super) fn verified(&mut self, context: &mut Context<'_>, report: &Report) {
        let unclear = self.unclear(report);
        let judgement = self.judgement(unclear.as_deref().map_or(Seen::Report(report), Seen::Nothing));
        if let Some(recorded) = &report.recorded {
            self.note_applied(recorded);
        }
        self.session.record.marked = report.marked;
        if judgement.again && self.may_retry(context) {
            self.session.earlier.extend(report.recorded.iter().flatten().cloned());
            return self.retry(context, judgement.verdict);
        }
        self.conclude(context, judgement.last());
    }

    /// A run that failed and did not tell how far it was: what of a migration that is not undone as a whole is done, only
    /// the schema shows, and not always.
    fn unclear(&self, report: &Report) -> Option<String> {
        let why = self.session.attempt.as_ref()?.unseen.as_ref()?;
        let recorded = report.recorded.as_deref().unwrap_or_default();
        let pending = &self.session.pending.migrations;
        let next = pending.iter().find(|it| !recorded.contains(&it.name))?;
        let whole = next.atomic && self.vendor().rolls_back();
        (!whole && report.leftovers.is_empty() && !self.ended_well()).then(|| {
            format!("progress was not seen ({why}): whether {} is done in part cannot be told", next.name)
        })
    }

    pub(super) fn judged_without_database(&mut self, context: &mut Context<'_>) {
        let verdict = self.judgement(Seen::NoDatabase).last();
        self.conclude(context, verdict);
    }

    /// Nobody can tell what came of it.
    pub(super) fn unjudgeable(&mut self, context: &mut Context<'_>, why: &str) {
        let verdict = self.judgement(Seen::Nothing(why)).last();
        self.conclude(context, verdict);
    }

    fn judgement(&self, seen: Seen<'_>) -> Judgement {
        let session = &self.session;
        let at = session.attempt.as_ref().and_then(|it| it.at.as_ref());
        let (exit, failure) = match &session.ended {
            Some((exit, failure)) => (*exit, failure.as_ref()),
            None => (Exit::Unknown, None),
        };
        judge(&Case {
            vendor: self.vendor(),
            pending: &session.pending.migrations,
            own: session.pending.own.as_deref(),
            earlier: &session.earlier,
            at: at.map(CurrentMigration::place),
            exit,
            failure,
            aborted: session.ending.as_ref().map(|it| it.cause),
            blockers: &session.record.blockers,
            seen,
        })
    }

    fn note_applied(&mut self, recorded: &[String]) {
        let session = &mut self.session;
        for name in recorded {
            let took = session.took.iter().rev().find(|it| it.name == *name);
            let seconds = took.map_or(0.0, |it| it.seconds);
            session.record.applied.push(AppliedMigration { name: name.clone(), seconds });
        }
    }

    fn may_retry(&self, context: &Context<'_>) -> bool {
        let budgets = &self.migrate.budgets;
        let spent = context.now.since(self.clock);
        self.given_up.is_none()
            && self.session.record.attempts < budgets.tries
            && spent + RETRY.0 < budgets.timeout_total
    }

    fn retry(&mut self, context: &mut Context<'_>, met: Verdict) {
        let attempt = self.session.record.attempts;
        let delay = delay_after(RETRY, attempt, context.random);
        let reason = met.reason.clone();
        self.announce(context, AppEventKind::MigrationRetry { attempt, delay, reason });
        self.session.verdict = Some(met);
        (self.stage, self.due) = (RunStage::Waiting, Some(context.now + delay));
    }

    /// The verdict on the database at hand: it goes into the history where the run did.
    pub(super) fn conclude(&mut self, context: &mut Context<'_>, verdict: Verdict) {
        if self.haste == Haste::Now {
            return self.vanish(context);
        }
        let session = &mut self.session;
        if session.record.attempts > 0 && !verdict.kind.is_good() {
            self.failed_for.extend(session.index);
        }
        session.verdict = Some(verdict.clone());
        session.record.seconds = context.now.since(session.began).as_secs_f64();
        session.record.verdict = Some(verdict);
        if !session.written {
            return self.finish_database(context);
        }
        let record = Box::new(session.record.clone());
        self.order(context, MigrationOrder::RecordMigration(record));
        self.enter(context.now, RunStage::Recording, ANSWER);
    }

    pub(super) fn finish_database(&mut self, context: &mut Context<'_>) {
        self.close_database(context);
        let Some(verdict) = self.session.verdict.take() else { return };
        let next = self.session.index.map(|index| index + 1);
        let next = next.filter(|next| verdict.kind.is_good() && *next < self.migrate.databases.len());
        self.add_to_total(verdict);
        match (next, self.given_up) {
            (None, _) => self.ask_serving(context),
            (Some(next), None) => self.begin_database(context, Some(next)),
            (Some(next), Some(reason)) => {
                let name = self.migrate.databases.get(next).map(ToString::to_string).unwrap_or_default();
                let words = format!("ended before the database `{name}` because {reason}");
                self.add_to_total(Verdict::of(VerdictKind::Failed, &words).with_cause_elsewhere());
                self.ask_serving(context);
            }
        }
    }

    /// Several databases have one verdict: the first bad one's, which is at least partial where others were changed.
    fn add_to_total(&mut self, verdict: Verdict) {
        let several = self.migrate.databases.len() > 1;
        let before = std::mem::take(&mut self.total.applied);
        let kind = match (verdict.kind, before.is_empty()) {
            (VerdictKind::Failed | VerdictKind::Retryable | VerdictKind::Refused, false) => {
                VerdictKind::Partial
            }
            (VerdictKind::Nothing, _) => self.total.kind,
            (kind, _) => kind,
        };
        let reason = match several {
            true if verdict.kind == VerdictKind::Nothing => self.total.reason.clone(),
            true if self.total.kind == VerdictKind::Nothing => {
                format!("{}: {}", self.database(), verdict.reason)
            }
            true => format!("{}; {}: {}", self.total.reason, self.database(), verdict.reason),
            false => verdict.reason.clone(),
        };
        let applied = before.into_iter().chain(verdict.applied).collect();
        self.total = Verdict { kind, reason, applied, ..verdict };
    }

    fn close_database(&mut self, context: &mut Context<'_>) {
        if std::mem::replace(&mut self.session.open, false) {
            self.order(context, MigrationOrder::CloseDatabase);
        }
    }

    /// The run is over.
    pub(super) fn close(&mut self, context: &mut Context<'_>) {
        if self.total.kind.is_good() && !self.migrate.databases.is_empty() {
            self.order(context, MigrationOrder::KeepCurrent);
        }
        self.order(context, MigrationOrder::Close);
        (self.stage, self.due) = (RunStage::Over, None);
        let (database, verdict) = self.outcome();
        self.announce(context, AppEventKind::MigrationEnded { database, verdict });
    }

    /// The daemon leaves: the history keeps a run without an end, and whoever comes next looks what is left.
    pub(super) fn vanish(&mut self, context: &mut Context<'_>) {
        self.close_database(context);
        let words = "ostlerd was ended at once; the next one looks what is left of it";
        self.total = Verdict { kind: VerdictKind::Unknown, reason: words.to_owned(), ..self.total.clone() };
        self.close(context);
    }
}
