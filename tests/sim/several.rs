//! What becomes of a run: of one on several databases, and of one that meets a lock each time.

use std::time::Duration;

use ostler::plan::{AppPlan, Budgets, Database};
use ostler::supervise::{
    AppEventKind, Command, CommandFailure, FailureKind, Marks, MigrationFact, MigrationOrder, Opened, Owed,
    Past, Pending, TroubleKind, VerdictKind,
};

use crate::played::{MIGRATION, Shop, migrated_by, pending};
use crate::scenario::name;

fn of_databases(names: &[&str]) -> AppPlan {
    migrated_by(|it| it.databases = names.iter().map(|it| Database::Alias((*it).to_owned())).collect())
}

fn cannot_be_reached(shop: &mut Shop) {
    assert!(matches!(shop.last(), MigrationOrder::OpenDatabase { .. }), "{:?}", shop.last());
    shop.database_fails(TroubleKind::Unreachable, "connection refused");
}

#[test]
fn what_was_applied_before_another_database_failed_is_told_with_what_failed() {
    let mut shop = Shop::of(of_databases(&["default", "archive"]));
    shop.migrates();
    shop.command_ends(0, None);
    shop.is_clean(&[MIGRATION]);
    shop.hear(MigrationFact::Recorded);
    cannot_be_reached(&mut shop);
    let verdict = shop.verdict().expect("it is over");
    assert_eq!(
        (verdict.kind, verdict.applied.as_slice()),
        (VerdictKind::Partial, &[MIGRATION.to_owned()][..])
    );
    let (one, other) = (verdict.reason.find("default: "), verdict.reason.find("archive: "));
    assert!(one.is_some() && one < other && verdict.reason.contains("refused"), "{}", verdict.reason);
}

#[test]
fn a_database_with_nothing_to_do_is_not_told_beside_one_that_failed() {
    let mut shop = Shop::of(of_databases(&["default", "archive"]));
    shop.hear(MigrationFact::PastRead(Past::default()));
    shop.has_nothing_pending();
    cannot_be_reached(&mut shop);
    let verdict = shop.verdict().expect("it is over");
    assert_eq!((verdict.kind, verdict.applied.len()), (VerdictKind::Failed, 0));
    assert!(verdict.reason.starts_with("archive: "), "{}", verdict.reason);
}

/// It meets a lock, and nothing of it is left.
fn meets_a_lock(shop: &mut Shop) {
    shop.command_ends(1, Some(CommandFailure { kind: FailureKind::Lock, ..CommandFailure::default() }));
    shop.is_clean(&[]);
}

#[test]
fn a_run_that_meets_a_lock_each_time_is_tried_as_often_as_configured() {
    let mut shop = Shop::new();
    shop.migrates();
    let tries = |shop: &Shop| {
        shop.orders.iter().filter(|(_, order)| matches!(order, MigrationOrder::RunMigration { .. })).count()
    };
    let most = Budgets::default().tries as usize;
    for attempt in 1..=most {
        assert_eq!(tries(&shop), attempt);
        meets_a_lock(&mut shop);
        if attempt < most {
            waits_for_another_try(&mut shop);
        }
    }
    shop.hear(MigrationFact::Recorded);
    assert_eq!((shop.verdict().expect("it is over").kind, tries(&shop)), (VerdictKind::Retryable, most));
}

fn waits_for_another_try(shop: &mut Shop) {
    for _ in 0..120 {
        match shop.last() {
            MigrationOrder::LockDatabase => {
                let marks = Box::default();
                shop.hear(MigrationFact::Locked { pending: pending(), swept: Vec::new(), marks });
            }
            MigrationOrder::RecordMigration(_) => shop.hear(MigrationFact::Recorded),
            MigrationOrder::Watch { .. } => return,
            _ => shop.wait(Duration::from_secs(1)),
        }
    }
    panic!("no other try: {:?}", shop.last());
}

#[test]
fn what_hangs_on_a_command_that_has_failed_keeps_an_app_from_its_start_once() {
    let mut shop = Shop::new();
    let owes = |shop: &mut Shop| {
        let owed = Some(Owed::New);
        shop.hear(MigrationFact::PastRead(Past::default()));
        shop.hear(MigrationFact::Opened(Opened {
            pending: Some(Pending::default()),
            owed,
            ..Opened::default()
        }));
    };
    owes(&mut shop);
    assert!(matches!(shop.last(), MigrationOrder::LockDatabase), "{:?}", shop.last());
    let marks = Box::new(Marks { owed: Some(Owed::New), ..Marks::default() });
    shop.hear(MigrationFact::Locked { pending: Pending::default(), swept: Vec::new(), marks });
    shop.hear(MigrationFact::Recorded);
    shop.command_ends(1, None);
    shop.is_clean(&[]);
    shop.hear(MigrationFact::Recorded);
    assert_eq!((shop.verdict().expect("it is over").kind, shop.rollouts()), (VerdictKind::Failed, 0));
    shop.wait_until(|order| matches!(order, MigrationOrder::Open(_)));
    owes(&mut shop);
    assert_eq!(shop.rollouts(), 1, "nothing is pending: {:?}", shop.last());
}

#[test]
fn one_that_waits_for_another_try_ends_at_once_if_somebody_asks() {
    let mut shop = Shop::new();
    shop.migrates();
    meets_a_lock(&mut shop);
    assert!(shop.said.iter().any(|it| matches!(it, AppEventKind::MigrationRetry { .. })), "{:?}", shop.said);
    shop.asks(Command::AbortMigration { app: name(0) });
    shop.hear(MigrationFact::Recorded);
    assert!(
        !shop.verdict().expect("it is over").kind.is_good() && !shop.answers.is_empty(),
        "{:?}",
        shop.answers
    );
}
