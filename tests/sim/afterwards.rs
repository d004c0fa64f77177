//! What is done with an app's databases beside a migration: a person's word that something is put right, and the commands
//! after a rollout.

use std::sync::Arc;
use std::time::Duration;

use ostler::supervise::{
    AppEventKind, Command, Event, Exit, MigrationFact, MigrationOrder, Opened, Outcome, Past, RequestId,
    StopSignal,
};

use crate::first::{Shop, migrated_plan, serves};
use crate::scenario::name;

fn asks(shop: &mut Shop, command: Command) {
    shop.tell(Event::Requested { id: RequestId(1), command });
}

/// A person says that something is put right, and the database has been asked.
fn resolves(shop: &mut Shop, cleared: &[&str]) {
    asks(shop, Command::ResolveMigration { app: name(0) });
    shop.hear(MigrationFact::PastRead(Past::default()));
    shop.hear(MigrationFact::Opened(Opened::default()));
    assert!(matches!(shop.last(), MigrationOrder::ResolveDatabase), "{:?}", shop.last());
    let cleared = cleared.iter().map(|it| (*it).to_owned()).collect();
    shop.hear(MigrationFact::Resolved { holder: None, cleared });
}

#[test]
fn a_persons_word_is_written_down_if_there_was_something_to_put_right() {
    let mut shop = Shop::new();
    serves(&mut shop);
    resolves(&mut shop, &["the run on web2"]);
    assert!(matches!(shop.last(), MigrationOrder::RecordMigration(_)), "{:?}", shop.last());
    shop.hear(MigrationFact::Recorded);
    assert!(matches!(shop.answers.last(), Some(Outcome::Done { .. })), "{:?}", shop.answers);
}

#[test]
fn nothing_is_written_down_if_there_was_nothing_to_put_right() {
    let mut shop = Shop::new();
    serves(&mut shop);
    resolves(&mut shop, &[]);
    assert!(matches!(shop.last(), MigrationOrder::Close), "{:?}", shop.last());
    assert_eq!(shop.answers.len(), 1, "{:?}", shop.answers);
}

#[test]
fn a_persons_word_is_no_migration_that_could_be_ended() {
    let mut shop = Shop::new();
    serves(&mut shop);
    asks(&mut shop, Command::ResolveMigration { app: name(0) });
    assert!(shop.supervisor.view(shop.now).apps[0].migration.is_none(), "no database is asked yet");
    asks(&mut shop, Command::AbortMigration { app: name(0) });
    assert!(matches!(shop.answers.last(), Some(Outcome::Refused { .. })), "{:?}", shop.answers);
}

/// A release has come in, and its command afterwards runs.
fn runs_a_command() -> Shop {
    let mut plan = migrated_plan();
    let mut migrate = (**plan.migrate.as_ref().expect("it has some")).clone();
    migrate.post_deploy = vec![vec!["/bin/warm".to_owned()]];
    plan.migrate = Some(Arc::new(migrate));
    let mut shop = Shop::of(plan);
    serves(&mut shop);
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
    let limit = migrated_plan().migrate.expect("it has some").budgets.timeout_total;
    shop.wait(limit + Duration::from_secs(60));
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
