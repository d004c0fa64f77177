//! What is done with an app's databases beside a migration: a person's word that something is put right, and the commands
//! after a rollout.

use std::time::Duration;

use ostler::plan::Budgets;
use ostler::supervise::{
    AppEventKind, Command, Exit, MigrationFact, MigrationOrder, Opened, Outcome, Past, StopSignal,
};

use crate::played::{Shop, migrated_by};
use crate::scenario::name;

/// A person says that something is put right, and the database has been asked.
fn resolves(shop: &mut Shop, cleared: &[&str]) {
    shop.asks(Command::ResolveMigration { app: name(0) });
    shop.hear(MigrationFact::PastRead(Past::default()));
    shop.hear(MigrationFact::Opened(Opened::default()));
    assert!(matches!(shop.last(), MigrationOrder::ResolveDatabase), "{:?}", shop.last());
    let cleared = cleared.iter().map(|it| (*it).to_owned()).collect();
    shop.hear(MigrationFact::Resolved { holder: None, cleared });
}

#[test]
fn a_persons_word_is_written_down_if_there_was_something_to_put_right() {
    let mut shop = Shop::new();
    shop.serves();
    resolves(&mut shop, &["the run on web2"]);
    assert!(matches!(shop.last(), MigrationOrder::RecordMigration(_)), "{:?}", shop.last());
    shop.hear(MigrationFact::Recorded);
    assert!(matches!(shop.answers.last(), Some(Outcome::Done { .. })), "{:?}", shop.answers);
}

#[test]
fn nothing_is_written_down_if_there_was_nothing_to_put_right() {
    let mut shop = Shop::new();
    shop.serves();
    resolves(&mut shop, &[]);
    assert!(matches!(shop.last(), MigrationOrder::Close), "{:?}", shop.last());
    assert_eq!(shop.answers.len(), 1, "{:?}", shop.answers);
}

#[test]
fn a_persons_word_is_no_migration_that_could_be_ended() {
    let mut shop = Shop::new();
    shop.serves();
    shop.asks(Command::ResolveMigration { app: name(0) });
    assert!(shop.supervisor.view(shop.now).apps[0].migration.is_none(), "no database is asked yet");
    shop.asks(Command::AbortMigration { app: name(0) });
    assert!(matches!(shop.answers.last(), Some(Outcome::Refused { .. })), "{:?}", shop.answers);
}

/// A release has come in, and its command afterwards runs.
fn runs_a_command() -> Shop {
    let mut shop = Shop::of(migrated_by(|it| it.post_deploy = vec![vec!["/bin/warm".to_owned()]]));
    shop.serves();
    shop.hear(MigrationFact::PastRead(Past::default()));
    assert!(matches!(shop.last(), MigrationOrder::PostDeploy), "{:?}", shop.last());
    shop
}

fn failed(shop: &Shop) -> bool {
    shop.said.iter().any(|it| matches!(it, AppEventKind::PostDeployFailed { .. }))
}

#[test]
fn a_command_after_a_rollout_that_takes_too_long_is_ended_ever_harder_and_given_up() {
    let mut shop = runs_a_command();
    shop.wait(Budgets::default().timeout_total + Duration::from_secs(60));
    let signals: Vec<StopSignal> = shop
        .orders
        .iter()
        .filter_map(|(_, order)| if let MigrationOrder::Abort(signal) = order { Some(*signal) } else { None })
        .collect();
    assert_eq!(signals, [StopSignal::Terminate, StopSignal::Kill]);
    assert!(failed(&shop), "{:?}", shop.said);
}

#[test]
fn a_command_after_a_rollout_that_ends_well_is_no_failure() {
    let mut shop = runs_a_command();
    shop.hear(MigrationFact::PostDeployEnded { exit: Exit::Code(0), words: String::new() });
    assert!(!failed(&shop), "{:?}", shop.said);
    let orders = shop.orders.len();
    shop.wait(Duration::from_secs(24 * 3600));
    assert_eq!(shop.orders.len(), orders, "{:?}", shop.last());
}
