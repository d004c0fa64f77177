//! One run of the command, as far as it is seen, and the budgets that it is held to.

use std::time::Duration;

use crate::plan::{Budgets, Migrate};

use super::super::time::Moment;
use super::fact::{DatabaseLook, Step};
use super::order::AbortReason;
use super::record::AppliedMigration;
use super::remedy::StoppedAt;
use super::vendor::Vendor;

/// The server ends an atomic migration's wait for a lock itself after `lock_timeout`; where it has not by then, the
/// guard is not in force.
const GUARD_GRACE: Duration = Duration::from_secs(2);
/// What the database side takes where nobody has said how long it may be and it was not read from the server.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// A step that has no connection for so long is none that is watched.
const UNKNOWN: Duration = Duration::from_secs(3);
/// Looks come several times a second; where none comes for so long, nobody watches any more.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// The command, from its start to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    pub(super) at: Option<CurrentMigration>,
    pub(super) look: DatabaseLook,
    pub(super) applied: Vec<AppliedMigration>,
    /// Where it is, of all places of all tries: each step is another.
    pub(super) place: u32,
    /// When the last look came.
    looked: Moment,
    /// When it was last seen to be alone in a database of which nobody is served.
    alone: Option<Moment>,
    /// Since when no backend of it is seen, though it is at work there.
    unknown: Option<Moment>,
    /// When the command or its backends were last seen to do something.
    sign: Moment,
    /// Maintenance that waits behind it and was named.
    pub(super) named: Vec<u64>,
    /// Why it does not tell how far it is.
    pub(super) unseen: Option<String>,
    warned: Warned,
}

/// The migration that is being applied.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CurrentMigration {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) of: u32,
    pub(super) atomic: bool,
    pub(super) since: Moment,
    pub(super) step: Step,
}

impl CurrentMigration {
    pub(super) fn place(&self) -> StoppedAt<'_> {
        let runs = match &self.step {
            Step::Operation { runs, .. } => *runs,
            _ => None,
        };
        StoppedAt { name: &self.name, atomic: self.atomic, runs }
    }
}

/// What has been said, so that it is said once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Warned {
    stall: bool,
    timeout: bool,
    total: bool,
    wait: bool,
    unknown: bool,
}

/// What the budgets are applied to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) migrate: &'a Migrate,
    pub(super) vendor: Vendor,
    pub(super) sight: Sight,
    /// From when `timeout_total` counts.
    pub(super) clock: Moment,
    /// How long an atomic migration waits for a lock where nobody has said it: what the server suggests.
    pub(super) lock_timeout: Option<Duration>,
    /// Whether a worker of the app serves while it runs.
    pub(super) serves: bool,
}

/// What is seen of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Looks come.
    Watched,
    /// There is a database, and no second connection to it.
    Blind,
    /// No database is known.
    None,
}

/// What a budget says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    /// End it.
    Abort(AbortReason),
    /// Nobody looks any more.
    Unseen(Duration),
    /// Say so, once.
    Warn(String),
}

impl Attempt {
    pub(super) fn started(now: Moment, place: u32) -> Attempt {
        Attempt {
            at: None,
            look: DatabaseLook::default(),
            applied: Vec::new(),
            place,
            looked: now,
            alone: None,
            unknown: None,
            named: Vec::new(),
            sign: now,
            unseen: None,
            warned: Warned::default(),
        }
    }

    /// It does something.
    pub(super) fn alive(&mut self, now: Moment) {
        self.sign = now;
        self.warned.stall = false;
    }

    pub(super) fn looked(&mut self, now: Moment, look: DatabaseLook) {
        self.looked = now;
        if look.working {
            self.alive(now);
        }
        if look.clients == Some(0) {
            self.alone = Some(now);
        }
        let is_unknown = look.backends == 0 && look.place == self.place;
        self.unknown = is_unknown.then(|| self.unknown.unwrap_or(now));
        self.look = look;
        if self.look.place != self.place {
            self.forget_locks();
        }
    }

    /// What was seen of the locks was seen of a place that is left.
    fn forget_locks(&mut self) {
        let DatabaseLook { waiting, concurrent, blockers, blocked, harm, maintenance, .. } = &mut self.look;
        (*waiting, *concurrent, *blocked, *harm) = (None, false, 0, None);
        blockers.clear();
        maintenance.clear();
    }

    pub(super) fn progressed(&mut self, now: Moment, step: Step) {
        self.alive(now);
        if !matches!(step, Step::Unseen { .. }) {
            self.place += 1;
            self.unknown = None;
            self.forget_locks();
        }
        match &step {
            Step::Migration { name, number, of, atomic } => {
                let (name, number, of, atomic) = (name.clone(), *number, *of, *atomic);
                self.warned.timeout = false;
                self.at = Some(CurrentMigration { name, number, of, atomic, since: now, step });
            }
            Step::Applied { seconds } => {
                if let Some(at) = self.at.take() {
                    self.applied.push(AppliedMigration { name: at.name, seconds: *seconds });
                }
            }
            Step::After { .. } => self.at = None,
            Step::Unseen { words } => self.unseen = Some(words.clone()),
            _ => {
                if let Some(at) = &mut self.at {
                    at.step = step;
                }
            }
        }
    }

    fn budgets(&self, migrate: &Migrate) -> Budgets {
        self.at.as_ref().map_or(migrate.budgets, |at| migrate.budgets_of(&at.name))
    }

    /// Whether ending it now leaves the database as it was before this migration. Of another tool on a database that
    /// nobody knows that is not known; a command without an end would be worse than a verdict of `unknown`. Nor where it
    /// does not tell which migration it is at.
    pub(super) fn rolls_back(&self, rules: &Rules<'_>) -> bool {
        if self.unseen.is_some() {
            return false;
        }
        let unknown = rules.vendor == Vendor::Other && !rules.is_django();
        (rules.vendor.rolls_back() || unknown) && self.at.as_ref().is_none_or(|at| at.atomic)
    }

    /// How long it may wait for a lock, as seen from outside. An atomic migration is bounded by the server's own
    /// `lock_timeout`, so this is but a net under it; of another tool nothing is known.
    fn lock_limit(&self, rules: &Rules<'_>) -> Duration {
        let budgets = self.budgets(rules.migrate);
        let atomic = self.at.as_ref().map_or(rules.is_django(), |at| at.atomic);
        match budgets.lock_timeout.or(rules.lock_timeout) {
            Some(timeout) if atomic && !timeout.is_zero() => timeout + GUARD_GRACE,
            None if atomic => LOCK_TIMEOUT + GUARD_GRACE,
            _ => budgets.lock_wait,
        }
    }

    /// Whether it may wait as long as it takes: an index that is built concurrently waits for every transaction that is
    /// older, and nobody waits behind it; unless somebody has said how long this very migration may.
    fn waits_harmlessly(&self, rules: &Rules<'_>) -> bool {
        let bounded = self.at.as_ref().is_some_and(|at| rules.migrate.has_own_lock_wait(&at.name));
        self.look.concurrent && self.look.blocked == 0 && !bounded
    }

    /// What the budgets say now; the first that is exceeded counts.
    pub(super) fn judge(&mut self, now: Moment, rules: &Rules<'_>) -> Option<Finding> {
        let budgets = self.budgets(rules.migrate);
        if self.look.harm.is_some_and(|harm| harm >= budgets.harm) {
            let queues = self.look.waiting.is_some();
            let reason = if queues { AbortReason::Harm } else { AbortReason::Hold };
            return Some(Finding::Abort(reason(budgets.harm)));
        }
        let limit = self.lock_limit(rules);
        if self.look.waiting.is_some_and(|waiting| waiting >= limit) {
            if !self.waits_harmlessly(rules) {
                return Some(Finding::Abort(AbortReason::LockWait(limit)));
            }
            if !self.warned.wait {
                self.warned.wait = true;
                return Some(Finding::Warn(self.waits_long(limit)));
            }
        }
        if rules.sight == Sight::Watched && now.since(self.looked) >= LONGEST_SILENCE {
            return Some(Finding::Unseen(LONGEST_SILENCE));
        }
        if self.unknown_at(rules).is_some_and(|at| now >= at) {
            self.warned.unknown = true;
            let words = "unwatched: none of the connections in the database is known to be its own, so nobody sees \
                         what it waits for, nor who waits behind it";
            return Some(Finding::Warn(words.to_owned()));
        }
        self.judge_time(now, rules, &budgets).or_else(|| self.judge_stall(now, rules, budgets.stall))
    }

    /// What takes too long is ended where that undoes it; where not, it is said once.
    fn judge_time(&mut self, now: Moment, rules: &Rules<'_>, budgets: &Budgets) -> Option<Finding> {
        let (rolls_back, total) = (self.rolls_back(rules), budgets.timeout_total);
        // A time that somebody has set for this very migration is meant, whatever it leaves.
        let meant = self.at.as_ref().is_some_and(|at| rules.migrate.has_own_timeout(&at.name));
        if self.timeout_at(rules, budgets).is_some_and(|at| now >= at) && !self.warned.timeout {
            if rolls_back || meant {
                return Some(Finding::Abort(AbortReason::Timeout(budgets.timeout)));
            }
            self.warned.timeout = true;
            return Some(Finding::Warn(self.overdue("timeout", budgets.timeout)));
        }
        if now >= self.total_at(rules, total) && !self.warned.total {
            if rolls_back {
                return Some(Finding::Abort(AbortReason::TimeoutTotal(total)));
            }
            self.warned.total = true;
            return Some(Finding::Warn(self.overdue("timeout_total", total)));
        }
        None
    }

    /// Before the first migration and after the last only `timeout_total` counts.
    fn timeout_at(&self, rules: &Rules<'_>, budgets: &Budgets) -> Option<Moment> {
        self.at.as_ref().map(|at| self.counted_from(rules, at.since) + budgets.timeout)
    }

    fn total_at(&self, rules: &Rules<'_>, total: Duration) -> Moment {
        self.counted_from(rules, rules.clock) + total
    }

    /// As long as no worker serves and nobody else is connected, it keeps nobody waiting and no time counts.
    fn counted_from(&self, rules: &Rules<'_>, since: Moment) -> Moment {
        self.alone.filter(|_| !rules.serves).map_or(since, |alone| alone.max(since))
    }

    /// When it is to be said that none of its connections is known. A program takes its time to connect; Django has before
    /// it comes to a migration.
    fn unknown_at(&self, rules: &Rules<'_>) -> Option<Moment> {
        let limit = match (&self.at, rules.is_django()) {
            (Some(_), _) => UNKNOWN,
            (None, true) => return None,
            (None, false) => UNKNOWN * 10,
        };
        let is_news = rules.sight == Sight::Watched && !self.warned.unknown;
        self.unknown.filter(|_| is_news).map(|since| since + limit)
    }

    fn waits_long(&self, limit: Duration) -> String {
        let what = self.at.as_ref().map_or("the command", |at| &at.name);
        format!(
            "{what} has been waiting for {} s for transactions that are older than its index, which is built \
             concurrently; nobody waits behind it, so it goes on for as long as that takes",
            limit.as_secs_f64()
        )
    }

    fn overdue(&self, key: &str, limit: Duration) -> String {
        let what = self.at.as_ref().map_or("the command", |at| &at.name);
        format!(
            "{what} takes longer than {key} ({} s) and goes on: what it has done could not be rolled back",
            limit.as_secs_f64()
        )
    }

    /// Where nothing is seen of it, it hangs; where nobody can see its backends, or ending it would not undo it, that is
    /// only said.
    fn judge_stall(&mut self, now: Moment, rules: &Rules<'_>, stall: Duration) -> Option<Finding> {
        if now >= self.sign + stall && self.ends_stalled(rules) {
            return Some(Finding::Abort(AbortReason::Stall(stall)));
        }
        if now >= self.sign + stall / 2 && !self.warned.stall {
            self.warned.stall = true;
            let words = format!(
                "nothing was seen of it for {:.0} s: no output, no progress, no backend at work, no \
                 processor time used",
                (stall / 2).as_secs_f64()
            );
            return Some(Finding::Warn(words));
        }
        None
    }

    fn ends_stalled(&self, rules: &Rules<'_>) -> bool {
        let untouched =
            rules.is_django() && self.at.is_none() && self.applied.is_empty() && self.unseen.is_none();
        rules.sight != Sight::Blind && (untouched || self.rolls_back(rules))
    }

    /// When time alone exceeds a budget.
    pub(super) fn due(&self, rules: &Rules<'_>) -> Option<Moment> {
        let budgets = self.budgets(rules.migrate);
        let timeout = self.timeout_at(rules, &budgets).filter(|_| !self.warned.timeout);
        let total = (!self.warned.total).then(|| self.total_at(rules, budgets.timeout_total));
        let half = (!self.warned.stall).then(|| self.sign + budgets.stall / 2);
        let stall = self.ends_stalled(rules).then(|| self.sign + budgets.stall);
        let unseen = (rules.sight == Sight::Watched).then(|| self.looked + LONGEST_SILENCE);
        let unknown = self.unknown_at(rules);
        let all = [timeout, total, half, stall, unseen, unknown];
        all.into_iter().flatten().min()
    }
}

impl Rules<'_> {
    fn is_django(&self) -> bool {
        self.migrate.command.is_django()
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
