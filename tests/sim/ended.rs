//! What follows from the end of a migration, and what does not.

use std::time::Duration;

use ostler::supervise::{
    AppEventKind, Command, MigrationFact, MigrationOrder, Opened, Outcome, TroubleKind, VerdictKind,
};

use crate::played::{MIGRATION, Shop, migrated_plan, pending};
use crate::scenario::name;

#[test]
fn nothing_is_rolled_out_where_only_a_migration_was_asked_for() {
    let mut shop = Shop::new();
    shop.serves();
    assert_eq!(shop.rollouts(), 1);
    shop.asks(Command::Migrate { app: name(0), accept_breakage: false });
    shop.is_looked_at();
    shop.has_run_before();
    shop.has_nothing_pending();
    assert!(matches!(shop.answers.last(), Some(Outcome::Done { .. })), "{:?}", shop.answers);
    assert_eq!(shop.rollouts(), 1);
}

#[test]
fn nothing_is_brought_in_by_a_migration_that_ends_while_its_app_stops() {
    let mut shop = Shop::new();
    shop.serves();
    shop.asks(Command::restart(name(0)));
    shop.is_looked_at();
    shop.migrates();
    shop.command_ends(0, None);
    shop.is_clean(&[MIGRATION]);
    shop.asks(Command::Stop { app: name(0) });
    shop.hear(MigrationFact::Recorded);
    assert!(shop.verdict().is_some_and(|it| it.kind == VerdictKind::Applied), "{:?}", shop.said);
    assert_eq!(shop.rollouts(), 1, "{:?}", shop.answers);
}

#[test]
fn what_serves_unasked_is_asked_by_itself_until_its_databases_have_answered() {
    let begins = |order: &MigrationOrder| matches!(order, MigrationOrder::Open(_));
    let mut shop = Shop::new();
    shop.has_run_before();
    shop.database_fails(TroubleKind::Unreachable, "connection refused");
    assert_eq!(shop.rollouts(), 1, "its code has run on them before");
    for _ in 0..4 {
        shop.wait_until(begins);
        shop.has_run_before();
        shop.database_fails(TroubleKind::Unreachable, "connection refused");
    }
    shop.wait_until(begins);
    shop.has_run_before();
    shop.hear(MigrationFact::Opened(Opened { pending: Some(pending()), ..Opened::default() }));
    shop.database_fails(TroubleKind::Unreachable, "connection refused");
    let opens = shop.opens();
    shop.wait(Duration::from_secs(3600));
    assert_eq!(shop.opens(), opens, "a person has to look: {:?}", shop.last());
}

#[test]
fn what_is_left_of_a_migration_is_not_looked_for_for_long_by_an_app_that_stops() {
    let migrates = |shop: &Shop| shop.supervisor.view(shop.now).apps[0].migration.is_some();
    for stops in [false, true] {
        let mut shop = Shop::new();
        shop.migrates();
        shop.command_ends(1, None);
        if stops {
            shop.asks(Command::Stop { app: name(0) });
        }
        shop.wait(Duration::from_secs(12));
        assert_eq!(matches!(shop.last(), MigrationOrder::VerifyDatabase { .. }), !stops, "{:?}", shop.last());
        assert!(stops || migrates(&shop));
    }
}

#[test]
fn which_migrations_an_app_has_is_said_in_words() {
    let mut shop = Shop::new();
    shop.serves();
    let said = shop.supervisor.view(shop.now).apps[0].migrations.clone();
    assert_eq!(said.as_deref(), Some(migrated_plan().migrations().as_str()));
}

#[test]
fn a_migration_whose_history_cannot_be_read_is_over_at_once() {
    let mut shop = Shop::new();
    shop.database_fails(TroubleKind::Unreachable, "connection refused");
    assert!(matches!(shop.last(), MigrationOrder::Close), "{:?}", shop.last());
    assert!(shop.said.iter().any(|it| matches!(it, AppEventKind::NotRolledOut { .. })), "{:?}", shop.said);
}
