//! One run of the command, as far as it is seen, and the budgets that it is held to.

use std::time::Duration;

use crate::plan::{Budgets, Migrate};

use super::super::time::Moment;
use super::fact::{Look, Step, Vendor};
use super::order::AbortReason;
use super::record::AppliedMigration;

/// The server ends an atomic migration's wait for a lock itself after `lock_timeout`; where it has not by then, the
/// guard is not in force.
const GUARD_GRACE: Duration = Duration::from_secs(2);
/// Looks come several times a second; where none comes for so long, nobody watches any more.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// The command, from its start to its end.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) at: Option<At>,
    pub(super) look: Look,
    pub(super) applied: Vec<AppliedMigration>,
    /// When the last look came.
    looked: Moment,
    /// When the command or its backends were last seen to do something.
    sign: Moment,
    /// Why it does not tell how far it is.
    pub(super) unseen: Option<String>,
    warned: Warned,
}

/// The migration that is being applied.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) of: u32,
    pub(super) atomic: bool,
    pub(super) since: Moment,
    pub(super) step: Step,
}

/// What has been said, so that it is said once.
#[derive(Clone, Copy, Debug, Default)]
struct Warned {
    stall: bool,
    timeout: bool,
    total: bool,
}

/// What the budgets are applied to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) migrate: &'a Migrate,
    pub(super) vendor: Vendor,
    pub(super) sight: Sight,
    /// From when `timeout_total` counts.
    pub(super) clock: Moment,
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
    pub(super) fn started(now: Moment) -> Attempt {
        Attempt {
            at: None,
            look: Look::default(),
            applied: Vec::new(),
            looked: now,
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

    pub(super) fn looked(&mut self, now: Moment, look: Look) {
        self.looked = now;
        if look.working {
            self.alive(now);
        }
        self.look = look;
    }

    pub(super) fn progressed(&mut self, now: Moment, step: Step) {
        self.alive(now);
        match &step {
            Step::Migration { name, number, of, atomic } => {
                let (name, number, of, atomic) = (name.clone(), *number, *of, *atomic);
                self.warned.timeout = false;
                self.at = Some(At { name, number, of, atomic, since: now, step });
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
    fn rolls_back(&self, rules: &Rules<'_>) -> bool {
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
        match atomic && !budgets.lock_timeout.is_zero() {
            true => budgets.lock_timeout + GUARD_GRACE,
            false => budgets.lock_wait,
        }
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
            return Some(Finding::Abort(AbortReason::LockWait(limit)));
        }
        if rules.sight == Sight::Watched && now.since(self.looked) >= LONGEST_SILENCE {
            return Some(Finding::Unseen(LONGEST_SILENCE));
        }
        self.judge_time(now, rules, &budgets).or_else(|| self.judge_stall(now, rules, budgets.stall))
    }

    /// What takes too long is ended where that undoes it; where not, it is said once.
    fn judge_time(&mut self, now: Moment, rules: &Rules<'_>, budgets: &Budgets) -> Option<Finding> {
        let (rolls_back, total) = (self.rolls_back(rules), budgets.timeout_total);
        // A time that somebody has set for this very migration is meant, whatever it leaves.
        let meant = self.at.as_ref().is_some_and(|at| rules.migrate.has_own_timeout(&at.name));
        if self.timeout_at(budgets).is_some_and(|at| now >= at) && !self.warned.timeout {
            if rolls_back || meant {
                return Some(Finding::Abort(AbortReason::Timeout(budgets.timeout)));
            }
            self.warned.timeout = true;
            return Some(Finding::Warn(self.overdue("timeout", budgets.timeout)));
        }
        if now >= rules.clock + total && !self.warned.total {
            if rolls_back {
                return Some(Finding::Abort(AbortReason::TimeoutTotal(total)));
            }
            self.warned.total = true;
            return Some(Finding::Warn(self.overdue("timeout_total", total)));
        }
        None
    }

    /// Before the first migration and after the last only `timeout_total` counts.
    fn timeout_at(&self, budgets: &Budgets) -> Option<Moment> {
        self.at.as_ref().map(|at| at.since + budgets.timeout)
    }

    fn overdue(&self, key: &str, limit: Duration) -> String {
        let what = self.at.as_ref().map_or("the command", |at| &at.name);
        format!(
            "{what} takes longer than {key} ({} s) and goes on: what it has done could not be rolled back",
            limit.as_secs_f64()
        )
    }

    /// Where nothing is seen of it, it hangs; where nobody can see its backends, that is only said.
    fn judge_stall(&mut self, now: Moment, rules: &Rules<'_>, stall: Duration) -> Option<Finding> {
        if now >= self.sign + stall && rules.sight != Sight::Blind {
            return Some(Finding::Abort(AbortReason::Stall(stall)));
        }
        if now >= self.sign + stall / 2 && !self.warned.stall {
            self.warned.stall = true;
            let words = format!(
                "nothing was seen of it for {:.0} s: no output, no progress, no backend at work",
                (stall / 2).as_secs_f64()
            );
            return Some(Finding::Warn(words));
        }
        None
    }

    /// When time alone exceeds a budget.
    pub(super) fn due(&self, rules: &Rules<'_>) -> Option<Moment> {
        let budgets = self.budgets(rules.migrate);
        let timeout = self.timeout_at(&budgets).filter(|_| !self.warned.timeout);
        let total = (!self.warned.total).then(|| rules.clock + budgets.timeout_total);
        let half = (!self.warned.stall).then(|| self.sign + budgets.stall / 2);
        let stall = (rules.sight != Sight::Blind).then(|| self.sign + budgets.stall);
        let unseen = (rules.sight == Sight::Watched).then(|| self.looked + LONGEST_SILENCE);
        let all = [timeout, total, half, stall, unseen];
        all.into_iter().flatten().min()
    }
}

impl Rules<'_> {
    fn is_django(&self) -> bool {
        self.migrate.command == crate::plan::MigrateCommand::Django
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
