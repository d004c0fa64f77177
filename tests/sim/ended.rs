//! What follows from the end of a migration, and what does not.

use std::time::Duration;

use ostler::supervise::{
    AppEventKind, Command, Event, Exit, MigrationFact, MigrationOrder, Opened, Outcome, Past, Pending,
    PendingMigration, RequestId, Trouble, TroubleKind,
};

use crate::first::{Shop, migrated_plan, migrates as migrates_now, serves};
use crate::scenario::name;

fn asks(shop: &mut Shop, command: Command) {
    shop.tell(Event::Requested { id: RequestId(1), command });
}

fn is_looked_at(shop: &mut Shop) {
    shop.tell(Event::AppPrepared { app: name(0), prepared: Box::new(Ok(migrated_plan())) });
}

fn breaks(shop: &mut Shop) {
    let message = "connection refused".to_owned();
    let trouble = Trouble { kind: TroubleKind::Unreachable, message, traceback: String::new() };
    shop.hear(MigrationFact::DatabaseFailed(trouble));
}

/// Nothing is left to do.
fn ends_well(shop: &mut Shop) {
    shop.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
    shop.hear(MigrationFact::Opened(Opened { pending: Some(Pending::default()), ..Opened::default() }));
}

/// By itself, within the time that is left between two tries.
fn is_asked_again(shop: &mut Shop) {
    let begins = |shop: &Shop| matches!(shop.last(), MigrationOrder::Open(_));
    let tries = (0..40).find(|_| {
        shop.wait(Duration::from_secs(1));
        begins(shop)
    });
    assert!(tries.is_some(), "{:?}", shop.last());
}

#[test]
fn nothing_is_rolled_out_where_only_a_migration_was_asked_for() {
    let mut shop = Shop::new();
    serves(&mut shop);
    assert_eq!(shop.rollouts(), 1);
    asks(&mut shop, Command::Migrate { app: name(0), accept_breakage: false });
    is_looked_at(&mut shop);
    ends_well(&mut shop);
    assert!(matches!(shop.answers.last(), Some(Outcome::Done { .. })), "{:?}", shop.answers);
    assert_eq!(shop.rollouts(), 1);
}

#[test]
fn nothing_is_brought_in_by_a_migration_that_ends_while_its_app_stops() {
    let mut shop = Shop::new();
    serves(&mut shop);
    asks(&mut shop, Command::restart(name(0)));
    is_looked_at(&mut shop);
    shop.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
    asks(&mut shop, Command::Stop { app: name(0) });
    shop.hear(MigrationFact::Opened(Opened { pending: Some(Pending::default()), ..Opened::default() }));
    assert_eq!(shop.rollouts(), 1, "{:?}", shop.answers);
}

#[test]
fn what_serves_unasked_is_asked_by_itself_until_its_databases_have_answered() {
    let mut shop = Shop::new();
    shop.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
    breaks(&mut shop);
    assert_eq!(shop.rollouts(), 1, "its code has run on them before");
    for _ in 0..4 {
        is_asked_again(&mut shop);
        shop.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
        breaks(&mut shop);
    }
    is_asked_again(&mut shop);
    shop.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
    let migrations = vec![PendingMigration { name: "shop.0001_x".to_owned(), atomic: true, operations: 1 }];
    let pending = Pending { migrations, ..Pending::default() };
    shop.hear(MigrationFact::Opened(Opened { pending: Some(pending), ..Opened::default() }));
    breaks(&mut shop);
    let opens = shop.opens();
    shop.wait(Duration::from_secs(3600));
    assert_eq!(shop.opens(), opens, "a person has to look: {:?}", shop.last());
}

#[test]
fn what_is_left_of_a_migration_is_not_looked_for_for_long_by_an_app_that_stops() {
    let migrates = |shop: &Shop| shop.supervisor.view(shop.now).apps[0].migration.is_some();
    for stops in [false, true] {
        let mut shop = Shop::new();
        migrates_now(&mut shop);
        shop.hear(MigrationFact::CommandEnded { exit: Exit::Code(1), failure: None });
        shop.hear(MigrationFact::BackendsGone);
        assert!(matches!(shop.last(), MigrationOrder::VerifyDatabase { .. }), "{:?}", shop.last());
        if stops {
            asks(&mut shop, Command::Stop { app: name(0) });
        }
        shop.wait(Duration::from_secs(12));
        assert_eq!(matches!(shop.last(), MigrationOrder::VerifyDatabase { .. }), !stops, "{:?}", shop.last());
        assert!(stops || migrates(&shop));
    }
}

#[test]
fn which_migrations_an_app_has_is_said_in_words() {
    let mut shop = Shop::new();
    serves(&mut shop);
    let said = shop.supervisor.view(shop.now).apps[0].migrations.clone();
    assert_eq!(said.as_deref(), Some(migrated_plan().migrations().as_str()));
}

#[test]
fn a_migration_whose_history_cannot_be_read_is_over_at_once() {
    let mut shop = Shop::new();
    breaks(&mut shop);
    assert!(matches!(shop.last(), MigrationOrder::Close), "{:?}", shop.last());
    assert!(shop.said.iter().any(|it| matches!(it, AppEventKind::NotRolledOut { .. })), "{:?}", shop.said);
}
