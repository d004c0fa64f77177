//! What becomes of a run: of one on several databases, and of one that meets a lock each time.

use std::sync::Arc;
use std::time::Duration;

use ostler::plan::{AppPlan, Budgets, Database};
use ostler::supervise::{
    AppEventKind, Command, CommandFailure, Event, Exit, FailureKind, Marks, MigrationFact, MigrationOrder,
    Opened, Owed, Past, Pending, PendingMigration, Report, RequestId, Trouble, TroubleKind, Verdict,
    VerdictKind,
};

use crate::first::{Shop, migrated_plan, migrates};
use crate::scenario::name;

const NAME: &str = "shop.0001_x";

fn of_databases(names: &[&str]) -> AppPlan {
    let mut plan = migrated_plan();
    let mut migrate = (**plan.migrate.as_ref().expect("it has some")).clone();
    migrate.databases = names.iter().map(|it| Database::Alias((*it).to_owned())).collect();
    plan.migrate = Some(Arc::new(migrate));
    plan
}

fn is_applied(shop: &mut Shop) {
    shop.hear(MigrationFact::CommandEnded { exit: Exit::Code(0), failure: None });
    shop.hear(MigrationFact::BackendsGone);
    assert!(matches!(shop.last(), MigrationOrder::VerifyDatabase { .. }), "{:?}", shop.last());
    shop.hear(MigrationFact::Verified(Report { recorded: Some(vec![NAME.to_owned()]), ..Report::default() }));
    shop.hear(MigrationFact::Recorded);
}

fn cannot_be_reached(shop: &mut Shop) {
    assert!(matches!(shop.last(), MigrationOrder::OpenDatabase { .. }), "{:?}", shop.last());
    let message = "connection refused".to_owned();
    let trouble = Trouble { kind: TroubleKind::Unreachable, message, traceback: String::new() };
    shop.hear(MigrationFact::DatabaseFailed(trouble));
}

fn has_nothing_pending(shop: &mut Shop) {
    shop.hear(MigrationFact::Opened(Opened { pending: Some(Pending::default()), ..Opened::default() }));
}

fn verdict(shop: &Shop) -> Verdict {
    let ended = shop.said.iter().rev().find_map(|it| match it {
        AppEventKind::MigrationEnded { verdict, .. } => Some(verdict.clone()),
        _ => None,
    });
    ended.unwrap_or_else(|| panic!("it goes on: {:?}", shop.said))
}

#[test]
fn what_was_applied_before_another_database_failed_is_told_with_what_failed() {
    let mut shop = Shop::of(of_databases(&["default", "archive"]));
    migrates(&mut shop);
    is_applied(&mut shop);
    cannot_be_reached(&mut shop);
    let verdict = verdict(&shop);
    assert_eq!((verdict.kind, verdict.applied.as_slice()), (VerdictKind::Partial, &[NAME.to_owned()][..]));
    let (one, other) = (verdict.reason.find("default: "), verdict.reason.find("archive: "));
    assert!(one.is_some() && one < other && verdict.reason.contains("refused"), "{}", verdict.reason);
}

#[test]
fn a_database_with_nothing_to_do_is_not_told_beside_one_that_failed() {
    let mut shop = Shop::of(of_databases(&["default", "archive"]));
    shop.hear(MigrationFact::PastRead(Past::default()));
    has_nothing_pending(&mut shop);
    cannot_be_reached(&mut shop);
    let verdict = verdict(&shop);
    assert_eq!((verdict.kind, verdict.applied.len()), (VerdictKind::Failed, 0));
    assert!(verdict.reason.starts_with("archive: "), "{}", verdict.reason);
}

/// It meets a lock, and nothing of it is left.
fn meets_a_lock(shop: &mut Shop) {
    let failure = CommandFailure { kind: FailureKind::Lock, ..CommandFailure::default() };
    shop.hear(MigrationFact::CommandEnded { exit: Exit::Code(1), failure: Some(failure) });
    shop.hear(MigrationFact::BackendsGone);
    shop.hear(MigrationFact::Verified(Report { recorded: Some(Vec::new()), ..Report::default() }));
}

#[test]
fn a_run_that_meets_a_lock_each_time_is_tried_as_often_as_configured() {
    let mut shop = Shop::new();
    migrates(&mut shop);
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
    assert_eq!((verdict(&shop).kind, tries(&shop)), (VerdictKind::Retryable, most));
}

fn waits_for_another_try(shop: &mut Shop) {
    let pending = || Pending {
        migrations: vec![PendingMigration { name: NAME.to_owned(), atomic: true, operations: 1 }],
        ..Pending::default()
    };
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
    shop.hear(MigrationFact::CommandEnded { exit: Exit::Code(1), failure: None });
    shop.hear(MigrationFact::BackendsGone);
    shop.hear(MigrationFact::Verified(Report { recorded: Some(Vec::new()), ..Report::default() }));
    shop.hear(MigrationFact::Recorded);
    assert_eq!((verdict(&shop).kind, shop.rollouts()), (VerdictKind::Failed, 0));
    let begins = |shop: &Shop| matches!(shop.last(), MigrationOrder::Open(_));
    let tries = (0..60).find(|_| {
        shop.wait(Duration::from_secs(1));
        begins(&shop)
    });
    assert!(tries.is_some(), "{:?}", shop.last());
    owes(&mut shop);
    assert_eq!(shop.rollouts(), 1, "nothing is pending: {:?}", shop.last());
}

#[test]
fn one_that_waits_for_another_try_ends_at_once_if_somebody_asks() {
    let mut shop = Shop::new();
    migrates(&mut shop);
    meets_a_lock(&mut shop);
    assert!(shop.said.iter().any(|it| matches!(it, AppEventKind::MigrationRetry { .. })), "{:?}", shop.said);
    shop.tell(Event::Requested { id: RequestId(1), command: Command::AbortMigration { app: name(0) } });
    shop.hear(MigrationFact::Recorded);
    assert!(!verdict(&shop).kind.is_good() && !shop.answers.is_empty(), "{:?}", shop.answers);
}
