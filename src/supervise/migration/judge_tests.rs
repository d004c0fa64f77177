use std::time::Duration;

use super::super::report::Leftover;
use super::*;
use VerdictKind::{Applied, Dirty, Failed, Partial, Retryable, Unknown};

const HARM: AbortReason = AbortReason::Harm(Duration::from_secs(3));
const LOCK_WAIT: AbortReason = AbortReason::LockWait(Duration::from_secs(60));
const EXITS: [Exit; 4] = [Exit::Code(0), Exit::Code(1), Exit::Signal(9), Exit::Unknown];
const VENDORS: [Vendor; 4] = [Vendor::Postgresql, Vendor::Mysql, Vendor::Sqlite, Vendor::Other];
const REASONS: [Option<AbortReason>; 7] = [
    None,
    Some(HARM),
    Some(AbortReason::Hold(Duration::from_secs(3))),
    Some(LOCK_WAIT),
    Some(AbortReason::Asked),
    Some(AbortReason::Stopping),
    Some(AbortReason::LockLost),
];

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("shop.000{n}_x")).collect()
}

fn pending(count: usize) -> Vec<PendingMigration> {
    names(count).into_iter().map(|name| PendingMigration { name, atomic: true, operations: 1 }).collect()
}

fn left(removed: bool) -> Leftover {
    let (what, remedy) = ("index x is INVALID".to_owned(), "DROP INDEX x".to_owned());
    Leftover { migration: None, what, remedy, removed }
}

/// Every combination of what can be known of a run of two migrations.
fn every_case(mut look: impl FnMut(&Case<'_>, Option<&Report>)) {
    let pending = pending(2);
    let lock = CommandFailure { kind: FailureKind::Lock, ..CommandFailure::default() };
    let wrong = CommandFailure { kind: FailureKind::Migration, ..CommandFailure::default() };
    let before = vec!["shop.0000_x".to_owned()];
    let lists = [None, Some(names(0)), Some(names(1)), Some(names(2))];
    let leftovers = [vec![], vec![left(true)], vec![left(false)], vec![left(true), left(false)]];
    for (vendor, exit) in VENDORS.into_iter().flat_map(|vendor| EXITS.map(|exit| (vendor, exit))) {
        for (aborted, failure) in
            REASONS.into_iter().flat_map(|it| [None, Some(&lock), Some(&wrong)].map(|failure| (it, failure)))
        {
            for earlier in [&[][..], &before] {
                let seen = Seen::NoDatabase;
                let case = Case {
                    vendor,
                    pending: &pending,
                    own: None,
                    earlier,
                    at: None,
                    exit,
                    failure,
                    aborted,
                    blockers: &[],
                    seen,
                };
                look(&case, None);
                look(&Case { seen: Seen::Nothing("it is gone"), ..case.clone() }, None);
                for (recorded, leftovers) in
                    lists.iter().flat_map(|list| leftovers.iter().map(move |left| (list, left)))
                {
                    for (backends, unverified) in [(0, None), (1, None), (0, Some("no".to_owned()))] {
                        let (recorded, leftovers) = (recorded.clone(), leftovers.clone());
                        let report = Report { backends, recorded, leftovers, unverified, marked: false };
                        look(&Case { seen: Seen::Report(&report), ..case.clone() }, Some(&report));
                    }
                }
            }
        }
    }
}

#[test]
fn the_table_holds_for_every_combination() {
    let mut count = 0;
    every_case(|case, report| {
        count += 1;
        let Judgement { verdict, again, .. } = judge(case);
        let good = case.exit == Exit::Code(0);
        let lock = match case.aborted {
            Some(reason) => matches!(reason, AbortReason::Harm(_) | AbortReason::LockWait(_)),
            None => case.failure.is_some_and(|it| it.kind == FailureKind::Lock),
        };
        let bare = if lock { Retryable } else { Failed };
        let fails = if case.earlier.is_empty() { bare } else { Partial };
        let expected = match (case.seen, report) {
            (Seen::NoDatabase, _) if good => Applied,
            (_, None) => Unknown,
            (_, Some(it)) if it.leftovers.iter().any(|left| !left.removed) => Dirty,
            (_, Some(it)) if it.unverified.is_some() && good && case.vendor == Vendor::Other => Applied,
            (_, Some(it)) if it.backends > 0 || it.unverified.is_some() => Unknown,
            (_, Some(it)) => match it.recorded.as_ref().map(Vec::len) {
                None if good => Applied,
                None if case.vendor.rolls_back() => fails,
                None => Unknown,
                Some(2) if good => Applied,
                Some(0) if good && case.earlier.is_empty() => Failed,
                Some(0) if !good => fails,
                Some(_) => Partial,
            },
        };
        assert_eq!(verdict.kind, expected, "{case:?}: {verdict:?}");
        let clean = matches!(expected, Retryable | Partial) && !good && lock;
        assert_eq!(again, clean, "{case:?}: {verdict:?}");
        assert!(!verdict.reason.is_empty(), "{case:?}");
    });
    assert!(count > 10_000, "{count} cases");
}

#[test]
fn what_is_tried_again_was_seen_to_be_clean() {
    every_case(|case, report| {
        if judge(case).again {
            let report = report.expect("it was looked at");
            assert!(report.backends == 0 && report.unverified.is_none(), "{case:?}");
            assert!(report.leftovers.iter().all(|it| it.removed), "{case:?}");
        }
    });
}

#[test]
fn the_reason_says_what_where_and_why() {
    let (pending, report) = (pending(3), Report { recorded: Some(names(1)), ..Report::default() });
    let message = "column x does not exist".to_owned();
    let failure =
        CommandFailure { message, traceback: "Traceback…".to_owned(), ..CommandFailure::default() };
    let case = Case {
        vendor: Vendor::Postgresql,
        own: None,
        pending: &pending,
        earlier: &[],
        at: Some(StoppedAt { name: "shop.0002_x", atomic: true, runs: None }),
        exit: Exit::Code(1),
        failure: Some(&failure),
        aborted: None,
        blockers: &[],
        seen: Seen::Report(&report),
    };
    let verdict = judge(&case).verdict;
    assert_eq!(verdict.reason, "1 of 3 migrations applied; shop.0002_x: column x does not exist");
    assert_eq!((verdict.kind, verdict.applied, verdict.detail.as_str()), (Partial, names(1), "Traceback…"));
    let none = Report { recorded: Some(Vec::new()), ..Report::default() };
    let aborted = Case { aborted: Some(HARM), failure: None, seen: Seen::Report(&none), ..case.clone() };
    let verdict = judge(&aborted).verdict;
    assert_eq!(verdict.reason, "shop.0002_x: ended because others waited behind it for 3.0 s");
    let all = Report { recorded: Some(names(3)), ..Report::default() };
    let raced = Case { aborted: Some(HARM), exit: Exit::Code(0), seen: Seen::Report(&all), ..case };
    let verdict = judge(&raced).verdict;
    assert_eq!(
        (verdict.kind, verdict.reason.as_str()),
        (
            Applied,
            "3 migrations applied; it finished as it was being ended because others waited behind it for 3.0 s"
        )
    );
}

#[test]
fn the_reason_names_who_held_the_lock_and_which_limit_to_raise() {
    let (pending, report) = (pending(1), Report { recorded: Some(Vec::new()), ..Report::default() });
    let failure =
        |kind| CommandFailure { kind, message: "lock timeout".to_owned(), ..CommandFailure::default() };
    let (lock, wrong) = (failure(FailureKind::Lock), failure(FailureKind::Migration));
    let holder = Backend { pid: 4711, application: "psql".to_owned(), seconds: 180, ..Backend::default() };
    let blockers = [holder];
    let said = |failure, aborted, at| {
        let case = Case {
            vendor: Vendor::Postgresql,
            pending: &pending,
            own: None,
            earlier: &[],
            at,
            exit: Exit::Code(1),
            failure,
            aborted,
            blockers: &blockers,
            seen: Seen::Report(&report),
        };
        let verdict = judge(&case).last();
        (verdict.reason, verdict.elsewhere)
    };
    let at = Some(StoppedAt { name: "shop.0001_x", atomic: true, runs: None });
    let held = "; the lock was held by psql (pid 4711, open for 180 s)";
    assert_eq!(said(Some(&lock), None, at), (format!("shop.0001_x: lock timeout{held}"), true));
    assert!(said(None, Some(LOCK_WAIT), at).0.ends_with(held));
    assert_eq!(said(Some(&wrong), None, at), ("shop.0001_x: lock timeout".to_owned(), false), "no lock");
    let timeout = AbortReason::Timeout(Duration::from_secs(300));
    let (reason, elsewhere) = said(None, Some(timeout), at);
    assert!(
        reason.ends_with("give it a `timeout` of its own in [migrate.override.\"shop.0001_x\"]"),
        "{reason}"
    );
    assert!(elsewhere);
    let total = AbortReason::TimeoutTotal(Duration::from_secs(900));
    assert!(said(None, Some(total), at).0.ends_with("`timeout_total` in [migrate] gives it more"));
    assert!(!said(None, Some(AbortReason::Asked), at).0.contains("held by"));
}

#[test]
fn there_is_a_migration_to_correct_only_where_one_was_under_way_and_failed_by_itself() {
    let (pending, report) = (pending(1), Report { recorded: Some(Vec::new()), ..Report::default() });
    let told = "shop.0001_x, operation 1 of 2 (Raw SQL operation): ProgrammingError: no such column";
    let failure = |kind| CommandFailure { kind, message: told.to_owned(), ..CommandFailure::default() };
    let (wrong, full) = (failure(FailureKind::Migration), failure(FailureKind::Full));
    let at = Some(StoppedAt { name: "shop.0001_x", atomic: true, runs: None });
    let judged = |at, exit, failure, aborted| {
        let case = Case {
            vendor: Vendor::Postgresql,
            pending: &pending,
            own: None,
            earlier: &[],
            at,
            exit,
            failure,
            aborted,
            blockers: &[],
            seen: Seen::Report(&report),
        };
        judge(&case).last()
    };
    let verdict = judged(at, Exit::Code(1), Some(&wrong), None);
    assert_eq!((verdict.reason.as_str(), verdict.elsewhere), (told, false), "it is named once");
    assert!(!judged(at, Exit::Code(1), None, None).elsewhere);
    assert!(judged(at, Exit::Code(1), Some(&full), None).elsewhere);
    assert!(judged(at, Exit::Signal(9), None, None).elsewhere, "somebody has killed it");
    assert!(
        judged(None, Exit::Code(1), Some(&wrong), None).elsewhere,
        "before the first one, or after the last"
    );
    let aborted = judged(at, Exit::Code(1), Some(&wrong), Some(AbortReason::Asked));
    assert_eq!(aborted.reason, "shop.0001_x: ended because somebody asked for its end");
    assert!(aborted.elsewhere);
}

#[test]
fn a_migrate_that_is_not_djangos_own_and_fails_is_never_said_to_have_changed_nothing() {
    let lock = CommandFailure { kind: FailureKind::Lock, ..CommandFailure::default() };
    let wrong = CommandFailure { kind: FailureKind::Migration, ..CommandFailure::default() };
    let report = Report { recorded: Some(Vec::new()), ..Report::default() };
    for (failure, count) in [&lock, &wrong].into_iter().flat_map(|it| [(it, 0), (it, 2)]) {
        let pending = pending(count);
        let case = Case {
            vendor: Vendor::Postgresql,
            pending: &pending,
            own: Some("django_tenants"),
            earlier: &[],
            at: None,
            exit: Exit::Code(1),
            failure: Some(failure),
            aborted: None,
            blockers: &[],
            seen: Seen::Report(&report),
        };
        let Judgement { verdict, again, .. } = judge(&case);
        assert_eq!((verdict.kind, again), (Partial, failure.kind == FailureKind::Lock));
        assert!(verdict.reason.contains("of django_tenants has done before"), "{}", verdict.reason);
        assert!(!verdict.reason.contains("0 migrations applied"), "{}", verdict.reason);
    }
}

#[test]
fn a_run_for_what_hangs_on_the_command_alone_is_applied_or_failed_and_owed() {
    let wrong = CommandFailure {
        kind: FailureKind::Migration,
        message: "after the last migration (post_migrate): ValueError: x".to_owned(),
        traceback: "Traceback".to_owned(),
        ..CommandFailure::default()
    };
    let report = Report { recorded: Some(Vec::new()), ..Report::default() };
    let case = |exit, failure| Case {
        vendor: Vendor::Postgresql,
        pending: &[],
        own: None,
        earlier: &[],
        at: None,
        exit,
        failure,
        aborted: None,
        blockers: &[],
        seen: Seen::Report(&report),
    };
    let Judgement { verdict, again, .. } = judge(&case(Exit::Code(0), None));
    assert_eq!((verdict.kind, again), (Applied, false));
    assert!(verdict.reason.starts_with("nothing was pending") && verdict.reason.contains("post_migrate"));
    for (exit, failure, words) in
        [(Exit::Code(1), Some(&wrong), "ValueError: x"), (Exit::Signal(9), None, "the command ended")]
    {
        let Judgement { verdict, again, .. } = judge(&case(exit, failure));
        assert_eq!((verdict.kind, again), (Failed, false));
        let said = verdict.reason.contains(words) && verdict.reason.contains("(post_migrate) is owed");
        assert!(said && verdict.detail.is_empty() == failure.is_none(), "{verdict:?}");
    }
    let lock = CommandFailure { kind: FailureKind::Lock, ..CommandFailure::default() };
    let Judgement { verdict, again, .. } = judge(&case(Exit::Code(1), Some(&lock)));
    assert_eq!((verdict.kind, again), (Retryable, true));
}
