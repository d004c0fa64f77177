//! What came of one run of the command: how it ended, and what the database says, made into one verdict.
//!
//! | the database says | exit 0 | otherwise |
//! | --- | --- | --- |
//! | something half done is left | dirty | dirty |
//! | backends are left, or it could not be looked at | unknown | unknown |
//! | all is recorded | applied | partial: what comes after them failed |
//! | some is recorded | partial | partial |
//! | nothing was pending, and so nothing is recorded | applied | failed, or retryable as below |
//! | nothing is recorded | failed | failed, or retryable where a lock or harm was the reason |
//! | the same, of a `migrate` that is not Django's own | failed | partial: what it has done elsewhere is not known |
//! | nobody can tell what is recorded | applied, unverified | as above where the vendor rolls back, else unknown |
//! | there is no database to look at, or of a kind that nobody knows here | applied, unverified | unknown |
//!
//! Who held a lock that others waited for is not tried again: it would hold it again.

use super::fact::{Backend, CommandFailure, FailureKind, PendingMigration};
use super::order::AbortReason;
use super::outcome::{Verdict, VerdictKind};
use super::remedy::{StoppedAt, remedy};
use super::report::Report;
use super::tell::listed;
use super::vendor::Vendor;
use crate::supervise::process_fact::Exit;

/// What follows where nothing but what hangs on the command has failed.
const OWED: &str =
    "nothing was pending; what hangs on `migrate` (post_migrate) is owed, and run with the next rollout";

/// All that is known of a run of the command.
#[derive(Clone, Debug)]
pub(super) struct Case<'a> {
    pub(super) vendor: Vendor,
    pub(super) pending: &'a [PendingMigration],
    /// Whose the command is, where it is not Django's.
    pub(super) own: Option<&'a str>,
    /// What earlier attempts of the same run applied.
    pub(super) earlier: &'a [String],
    /// The migration under way when it ended.
    pub(super) at: Option<StoppedAt<'a>>,
    pub(super) exit: Exit,
    pub(super) failure: Option<&'a CommandFailure>,
    pub(super) aborted: Option<AbortReason>,
    /// Who was seen to hold the lock that it waited for, last.
    pub(super) blockers: &'a [Backend],
    pub(super) seen: Seen<'a>,
}

/// What the database says of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// This.
    Report(&'a Report),
    /// Nothing, for this reason.
    Nothing(&'a str),
    /// There is none that could be asked.
    NoDatabase,
}

/// The verdict, and whether the same may be tried again: only from a state that was seen to be clean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) again: bool,
    /// What to do about it, where that is the end of it.
    pub(super) advice: Option<String>,
}

impl Judgement {
    /// The verdict that stays, with the advice in its reason.
    pub(super) fn last(self) -> Verdict {
        let Judgement { mut verdict, advice, .. } = self;
        if let Some(advice) = advice {
            verdict.reason = format!("{}; {advice}", verdict.reason);
        }
        verdict
    }
}

/// Judges a run of the command.
pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let good = case.exit == Exit::Code(0);
    let report = match case.seen {
        Seen::Report(report) => report,
        Seen::Nothing(why) => return case.unknown(why),
        Seen::NoDatabase if good => return case.of(VerdictKind::Applied, "nothing could be verified", &[]),
        Seen::NoDatabase => return case.unknown("no database is known that could be looked at"),
    };
    let left: Vec<_> = report.leftovers.iter().filter(|it| !it.removed).cloned().collect();
    if !left.is_empty() {
        let what: Vec<&str> = left.iter().map(|it| it.what.as_str()).collect();
        let mut dirty = case.of(VerdictKind::Dirty, &what.join("; "), recorded(report));
        dirty.verdict.leftovers = left;
        return dirty;
    }
    if let Some(why) = &report.unverified {
        if good && case.vendor == Vendor::Other {
            return case.of(VerdictKind::Applied, why, recorded(report));
        }
        return case.unknown(why);
    }
    if report.backends > 0 {
        return case.unknown(&format!("{} of its backends are still there", report.backends));
    }
    let mut judgement = match &report.recorded {
        None if good => case.of(VerdictKind::Applied, "what is recorded could not be verified", &[]),
        None if case.vendor.rolls_back() => case.failed(),
        None => case.unknown("nobody can tell what of it is done"),
        Some(recorded) => case.recorded(good, recorded),
    };
    judgement.verdict.leftovers = report.leftovers.clone();
    judgement
}

fn recorded(report: &Report) -> &[String] {
    report.recorded.as_deref().unwrap_or_default()
}

impl Case<'_> {
    fn recorded(&self, good: bool, recorded: &[String]) -> Judgement {
        let missing = self.pending.iter().filter(|it| !recorded.contains(&it.name)).count();
        match (good, missing) {
            (true, 0) if self.was_owed() => {
                let words =
                    "nothing was pending; what hangs on `migrate` (post_migrate) has run for this code";
                self.of(VerdictKind::Applied, words, &[])
            }
            (true, 0) => self.of(VerdictKind::Applied, "", recorded),
            (true, _) if recorded.is_empty() && self.earlier.is_empty() => {
                self.of(VerdictKind::Failed, "the command ended well and has recorded nothing", recorded)
            }
            (true, _) => {
                let words = format!("the command ended well and has not recorded {missing} of them");
                self.of(VerdictKind::Partial, &words, recorded)
            }
            (false, 0) if !recorded.is_empty() => {
                let words = "what comes after them (post_migrate) failed, and is owed";
                let mut partial = self.of(VerdictKind::Partial, words, recorded);
                partial.again = self.met_a_lock();
                partial
            }
            (false, _) if recorded.is_empty() && self.earlier.is_empty() => self.failed(),
            (false, _) => {
                let mut partial = self.of(VerdictKind::Partial, "", recorded);
                partial.again = self.met_a_lock();
                partial
            }
        }
    }

    /// It failed and left nothing.
    fn failed(&self) -> Judgement {
        let again = self.met_a_lock();
        if let Some(own) = self.own {
            let words = format!("what `migrate` of {own} has done before, in other schemas, stays");
            return Judgement { again, ..self.of(VerdictKind::Partial, &words, &[]) };
        }
        let kind = match (again, self.earlier.is_empty()) {
            (_, false) => VerdictKind::Partial,
            (true, true) => VerdictKind::Retryable,
            (false, true) => VerdictKind::Failed,
        };
        let words = if self.was_owed() { OWED } else { "" };
        Judgement { again, ..self.of(kind, words, &[]) }
    }

    /// Whether it was run for what hangs on the command alone.
    fn was_owed(&self) -> bool {
        self.pending.is_empty() && self.earlier.is_empty() && self.own.is_none()
    }

    /// Whether it may go better another time, and nobody wants it to end.
    fn met_a_lock(&self) -> bool {
        match self.aborted {
            Some(AbortReason::Harm(_) | AbortReason::LockWait(_)) => true,
            Some(_) => false,
            None => self.failure.is_some_and(|failure| failure.kind == FailureKind::Lock),
        }
    }

    fn unknown(&self, why: &str) -> Judgement {
        self.of(VerdictKind::Unknown, why, &[])
    }

    fn of(&self, kind: VerdictKind, words: &str, recorded: &[String]) -> Judgement {
        let applied: Vec<String> = self.earlier.iter().chain(recorded).cloned().collect();
        let mut parts = Vec::new();
        let all = self.earlier.len() + self.pending.len();
        if (kind == VerdictKind::Partial && (all > 0 || self.own.is_none()))
            || (kind == VerdictKind::Applied && !self.pending.is_empty())
        {
            parts.push(match applied.len() == all {
                true => counted(all, "migration applied", "migrations applied"),
                false => format!("{} of {all} migrations applied", applied.len()),
            });
        }
        if !kind.is_good() {
            parts.push(self.cause());
        } else if let Some(reason) = self.aborted {
            parts.push(format!("it finished as it was being ended because {reason}"));
        }
        if !words.is_empty() {
            parts.push(words.to_owned());
        }
        if parts.is_empty() {
            parts.push("done".to_owned());
        }
        let detail = self.failure.filter(|_| !kind.is_good()).map(|it| it.traceback.clone());
        let reason = parts.join("; ");
        let detail = detail.unwrap_or_default();
        let elsewhere = !kind.is_good() && self.is_elsewhere();
        let leftovers = Vec::new();
        let verdict = Verdict { kind, reason, elsewhere, applied, detail, leftovers };
        Judgement { verdict, again: false, advice: self.advice().filter(|_| !kind.is_good()) }
    }

    /// Why it ended as it did, and where it was then.
    fn cause(&self) -> String {
        // What failed says itself which migration it was in, where it knows.
        let says = |at: &StoppedAt<'_>| self.failure.is_some_and(|it| it.message.starts_with(at.name));
        let named = self.at.filter(|at| self.aborted.is_some() || !says(at));
        let what = named.map_or(String::new(), |at| format!("{}: ", at.name));
        let cause = match (self.aborted, self.failure) {
            (Some(reason), _) => format!("{what}ended because {reason}"),
            (None, Some(failure)) if !failure.message.is_empty() => format!("{what}{}", failure.message),
            _ => format!("{what}the command ended: {}", self.exit),
        };
        format!("{cause}{}", self.hint())
    }

    /// Who was in its way.
    fn hint(&self) -> String {
        match self.met_a_lock() && !self.blockers.is_empty() {
            true => format!("; the lock was held by {}", listed(self.blockers)),
            false => String::new(),
        }
    }

    fn advice(&self) -> Option<String> {
        remedy(self.aborted, self.failure.map(|it| it.kind), self.at)
    }

    /// Whether there is nothing to correct in a migration: none was under way, or something else has ended it.
    fn is_elsewhere(&self) -> bool {
        let failed_itself = match self.failure {
            Some(failure) => failure.kind == FailureKind::Migration,
            None => matches!(self.exit, Exit::Code(_)),
        };
        self.aborted.is_some() || self.at.is_none() || !failed_itself
    }
}

/// `1 migration applied`, `3 migrations applied`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
