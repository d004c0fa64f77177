//! What a migration meets of others: a lock that another server has, and what a run without an end has left.

use std::time::Duration;

use ostler::supervise::{
    AppEventKind, Backend, Command, DatabaseLook, Leftover, MigrationFact, MigrationOrder, Opened, Past,
    ProbeAnswer, ProcessFact, ProcessId, Proof, Report, StopSignal, TroubleKind, Unfinished, Vendor,
    VerdictKind,
};

use crate::played::{MIGRATION, Shop, pending};
use crate::scenario::name;

/// It wants the lock.
fn wants_the_lock(past: Past) -> Shop {
    let mut shop = Shop::new();
    shop.hear(MigrationFact::PastRead(past));
    shop.hear(MigrationFact::Opened(Opened { pending: Some(pending()), ..Opened::default() }));
    assert!(matches!(shop.last(), MigrationOrder::LockDatabase), "{:?}", shop.last());
    shop
}

fn has_the_lock(shop: &mut Shop) {
    shop.hear(MigrationFact::Locked { pending: pending(), swept: Vec::new(), marks: Box::default() });
}

fn is_busy(shop: &mut Shop, quiet: u64) {
    let quiet = Some(Duration::from_secs(quiet));
    shop.hear(MigrationFact::Busy { holder: "web2 (pid 4711)".to_owned(), quiet });
}

#[test]
fn whoever_has_the_lock_is_waited_for_as_long_as_something_is_seen_of_them() {
    let mut shop = wants_the_lock(Past::default());
    for _ in 0..300 {
        is_busy(&mut shop, 1);
        shop.wait(Duration::from_secs(1));
    }
    assert_eq!(shop.verdict(), None);
    let said = |it: &&AppEventKind| matches!(it, AppEventKind::MigrationBusy { .. });
    assert_eq!(shop.said.iter().filter(said).count(), 1, "it is said once");
    is_busy(&mut shop, 24 * 3600);
    let verdict = shop.verdict().expect("nobody is seen any more");
    assert!(
        verdict.kind == VerdictKind::Retryable && verdict.reason.contains("web2 (pid 4711)"),
        "{verdict:?}"
    );
}

/// The lock is there, and what the run before this one has left is looked for.
fn looks_for_what_is_left(report: Report) -> Shop {
    let unfinished = Unfinished {
        run: "r1".to_owned(),
        pending: vec![MIGRATION.to_owned()],
        database: "default".to_owned(),
    };
    let mut shop = wants_the_lock(Past { unfinished: Some(unfinished), ..Past::default() });
    has_the_lock(&mut shop);
    assert!(matches!(shop.last(), MigrationOrder::VerifyDatabase { .. }), "{:?}", shop.last());
    shop.hear(MigrationFact::Verified(report));
    shop
}

#[test]
fn a_run_whose_ostlerd_died_and_that_has_left_nothing_is_begun_anew() {
    let shop = looks_for_what_is_left(Report::default());
    assert!(matches!(shop.last(), MigrationOrder::RecordMigration(_)), "{:?}", shop.last());
    assert_eq!(shop.verdict(), None);
}

#[test]
fn what_it_has_left_half_done_waits_for_a_person_with_what_to_do() {
    let leftover = Leftover {
        what: "index x is INVALID".to_owned(),
        remedy: "drop index x".to_owned(),
        ..Leftover::default()
    };
    let (recorded, leftovers) = (Some(vec![MIGRATION.to_owned()]), vec![leftover.clone()]);
    let mut shop = looks_for_what_is_left(Report { recorded, leftovers, ..Report::default() });
    shop.hear(MigrationFact::Recorded);
    let verdict = shop.verdict().expect("it is over");
    assert_eq!((verdict.kind, &verdict.leftovers), (VerdictKind::Dirty, &vec![leftover]));
    assert_eq!(verdict.applied, [MIGRATION]);
    assert!(verdict.reason.contains("r1") && verdict.reason.contains("index x"), "{}", verdict.reason);
}

#[test]
fn what_nobody_can_look_for_is_not_known() {
    let unverified = Some("permission denied".to_owned());
    let shop = looks_for_what_is_left(Report { unverified, ..Report::default() });
    let verdict = shop.verdict().expect("it is over");
    assert!(
        verdict.kind == VerdictKind::Unknown && verdict.reason.contains("permission denied"),
        "{verdict:?}"
    );
}

#[test]
fn code_that_serves_badly_is_not_asked_after_a_migration_if_its_databases_have_answered_at_its_start() {
    let mut shop = Shop::new();
    shop.has_run_before();
    shop.has_nothing_pending();
    let answer = ProbeAnswer {
        path: "/".to_owned(),
        status: Some(500),
        took: Duration::ZERO,
        late: false,
        good: false,
        message: "it answered 500".to_owned(),
    };
    let bad = Proof { urls: None, answer: Some(answer) };
    shop.tell(ProcessFact::Proved(bad).of(ProcessId(1)));
    shop.comes_up();

    let command = Command::Migrate { app: name(0), accept_breakage: false };
    shop.asks(command);
    shop.is_looked_at();
    shop.migrates();
    shop.command_ends(0, None);
    shop.is_clean(&[MIGRATION]);
    shop.hear(MigrationFact::Recorded);
    let asks = |it: &(_, MigrationOrder)| matches!(it.1, MigrationOrder::AskServing { .. });
    assert!(shop.verdict().is_some_and(|it| it.kind == VerdictKind::Applied), "{:?}", shop.said);
    assert!(!shop.orders.iter().any(asks), "{:?}", shop.orders);
}

/// Its database side dies, and another one is started for it.
fn loses_its_database_side(shop: &mut Shop) {
    shop.database_fails(TroubleKind::Unreachable, "the connection was lost");
    shop.wait_until(|order| matches!(order, MigrationOrder::OpenDatabase { .. }));
}

#[test]
fn a_database_side_that_dies_while_a_migration_runs_is_replaced() {
    let mut shop = Shop::new();
    shop.migrates();
    loses_its_database_side(&mut shop);
    assert_eq!(shop.verdict(), None, "it runs on");
}

#[test]
fn who_holds_the_lock_that_a_migration_waits_for_is_said_and_that_others_wait_behind_it() {
    let mut shop = Shop::new();
    shop.migrates();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let report = Backend { pid: 12, application: "the report".to_owned(), ..Backend::default() };
    let look = DatabaseLook { place: 1, backends: 1, waiting: seconds(1), ..DatabaseLook::default() };
    let look = DatabaseLook { blockers: vec![report], blocked: 3, harm: seconds(1), ..look };
    for _ in 0..2 {
        shop.hear(MigrationFact::Looked(look.clone()));
    }
    let blocked = |it: &&AppEventKind| matches!(it, AppEventKind::MigrationBlocked { by } if by[0].pid == 12);
    let harm = |it: &&AppEventKind| matches!(it, AppEventKind::MigrationHarm { blocked: 3 });
    assert_eq!(shop.said.iter().filter(blocked).count(), 1, "once: {:?}", shop.said);
    assert_eq!(shop.said.iter().filter(harm).count(), 1, "once: {:?}", shop.said);
}

#[test]
fn a_lock_that_another_server_has_taken_meanwhile_is_warned_of_once() {
    let mut shop = Shop::new();
    shop.migrates();
    loses_its_database_side(&mut shop);
    shop.hear(MigrationFact::Opened(Opened { pending: Some(pending()), ..Opened::default() }));
    for _ in 0..3 {
        is_busy(&mut shop, 1);
    }
    let warned = |it: &&AppEventKind| matches!(it, AppEventKind::MigrationWarned { words } if words.contains("another server now"));
    assert_eq!(shop.said.iter().filter(warned).count(), 1, "{:?}", shop.said);
}

#[test]
fn what_nobody_sees_is_interrupted_and_what_is_seen_has_its_statement_cancelled() {
    for seen in [true, false] {
        let mut shop = Shop::new();
        shop.hear(MigrationFact::PastRead(Past::default()));
        let opened = Opened { vendor: Vendor::Postgresql, pending: Some(pending()), ..Opened::default() };
        shop.hear(MigrationFact::Opened(opened.clone()));
        has_the_lock(&mut shop);
        shop.hear(MigrationFact::Recorded);
        let look = DatabaseLook { place: 1, backends: 1, working: true, ..DatabaseLook::default() };
        shop.hear(MigrationFact::Looked(look));
        if !seen {
            loses_its_database_side(&mut shop);
            shop.hear(MigrationFact::Opened(opened));
        }
        shop.asks(Command::AbortMigration { app: name(0) });
        let signal = shop.orders.iter().find_map(|(_, order)| match order {
            MigrationOrder::Abort(signal) => Some(*signal),
            _ => None,
        });
        assert_eq!(signal, Some(if seen { StopSignal::Cancel } else { StopSignal::Interrupt }));
    }
}
