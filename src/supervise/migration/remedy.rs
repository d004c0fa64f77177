//! What to do about a migration that a budget or a lock has ended, in words for who wrote it.
//!
//! An operation of Django's own is as it is: where it takes long, it needs longer. Code of the migration's own may be written
//! otherwise: what is done to rows in one transaction takes long, and keeps its locks for as long.

use super::fact::{FailureKind, Language};
use super::order::AbortReason;

/// Where a migration was when it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoppedAt<'a> {
    /// `shop.0007_price`.
    pub(super) name: &'a str,
    /// Whether all of it is one transaction.
    pub(super) atomic: bool,
    /// Code of its own that was running.
    pub(super) runs: Option<Language>,
}

/// The advice, or nothing where what happened says all.
pub(super) fn remedy(
    aborted: Option<AbortReason>,
    failed: Option<FailureKind>,
    at: Option<StoppedAt<'_>>,
) -> Option<String> {
    let rewrite = at.and_then(|at| at.rewrite());
    match aborted {
        Some(AbortReason::Timeout(_)) => {
            let longer = at.map_or("`timeout` in [migrate] gives it more".to_owned(), |at| {
                format!(
                    "if it needs longer, give it a `timeout` of its own in [migrate.override.\"{}\"]",
                    at.name
                )
            });
            Some(either(rewrite, longer))
        }
        Some(AbortReason::TimeoutTotal(_)) => {
            Some(either(rewrite, "`timeout_total` in [migrate] gives it more".to_owned()))
        }
        Some(AbortReason::Stall(_)) => at.filter(|at| at.runs == Some(Language::Python)).map(|_| {
            format!("what its Python waits for outside of the database is better done {AFTERWARDS}")
        }),
        Some(AbortReason::Harm(_) | AbortReason::Hold(_) | AbortReason::LockWait(_)) => rewrite,
        Some(AbortReason::Asked | AbortReason::Stopping | AbortReason::LockLost) => None,
        None => rewrite.filter(|_| failed == Some(FailureKind::Lock)),
    }
}

fn either(rewrite: Option<String>, longer: String) -> String {
    match rewrite {
        Some(rewrite) => format!("{rewrite}; or, {longer}"),
        None => longer,
    }
}

const AFTERWARDS: &str = "after the rollout (`post_deploy` in [migrate], or a management command by hand)";

impl StoppedAt<'_> {
    fn rewrite(&self) -> Option<String> {
        let batches = match (self.runs?, self.atomic) {
            (Language::Python, true) => {
                "have its Python change rows in batches, each in a transaction of its own (`atomic = False` in the \
                 migration, and code that may run again)"
            }
            (Language::Sql, true) => {
                "have RunPython do what its SQL does to rows, in batches, each in a transaction of its own (`atomic = \
                 False` in the migration, and code that may run again)"
            }
            (Language::Python, false) => "have its Python change fewer rows in each transaction",
            (Language::Sql, false) => "have its SQL change fewer rows in each statement",
        };
        Some(format!("{batches}, or do that {AFTERWARDS}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);
    const HERE: &str = "shop.0007_price";

    fn said(aborted: Option<AbortReason>, runs: Option<Language>, atomic: bool) -> String {
        let failed = aborted.is_none().then_some(FailureKind::Lock);
        remedy(aborted, failed, Some(StoppedAt { name: HERE, atomic, runs })).unwrap_or_default()
    }

    #[test]
    fn code_of_its_own_that_a_budget_or_a_lock_ends_is_to_work_in_batches_or_after_the_rollout() {
        let reasons = [
            None,
            Some(AbortReason::Harm(LIMIT)),
            Some(AbortReason::Hold(LIMIT)),
            Some(AbortReason::LockWait(LIMIT)),
            Some(AbortReason::Timeout(LIMIT)),
            Some(AbortReason::TimeoutTotal(LIMIT)),
        ];
        for reason in reasons {
            for language in [Language::Python, Language::Sql] {
                let words = said(reason, Some(language), true);
                assert!(
                    ["in batches", "`atomic = False`", "`post_deploy`"].iter().all(|it| words.contains(it)),
                    "{words}"
                );
                let words = said(reason, Some(language), false);
                assert!(!words.contains("atomic") && words.contains("fewer rows"), "{words}");
            }
            assert!(!said(reason, None, true).contains("rows"), "Django's own operations are as they are");
        }
        assert!(
            said(Some(AbortReason::Stall(LIMIT)), Some(Language::Python), true).contains("`post_deploy`")
        );
    }

    #[test]
    fn what_needs_longer_is_told_where_that_is_said() {
        let timeout = Some(AbortReason::Timeout(LIMIT));
        let own =
            "if it needs longer, give it a `timeout` of its own in [migrate.override.\"shop.0007_price\"]";
        assert_eq!(said(timeout, None, true), own);
        assert!(said(timeout, Some(Language::Python), true).ends_with(&format!("; or, {own}")));
        assert_eq!(remedy(timeout, None, None).unwrap(), "`timeout` in [migrate] gives it more");
        let total = Some(AbortReason::TimeoutTotal(LIMIT));
        assert_eq!(said(total, None, true), "`timeout_total` in [migrate] gives it more");
    }

    #[test]
    fn who_wanted_its_end_and_what_fails_by_itself_need_no_advice() {
        for reason in [AbortReason::Asked, AbortReason::Stopping, AbortReason::LockLost] {
            assert_eq!(said(Some(reason), Some(Language::Python), true), "");
        }
        let at = StoppedAt { name: HERE, atomic: true, runs: Some(Language::Python) };
        assert_eq!(remedy(None, Some(FailureKind::Migration), Some(at)), None);
    }
}
