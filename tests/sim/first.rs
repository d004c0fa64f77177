//! First starts whose migration cannot begin, database sides that take their time, and what is left of a migration to the next
//! ostlerd.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::plan::Budgets;
use ostler::supervise::{
    Action, AppEventKind, Command, Event, MigrationFact, MigrationOrder, Opened, Outcome, Past, Supervisor,
    TroubleKind,
};

use crate::played::Shop;
use crate::scenario::name;

/// The app cannot be imported, or its database does not answer.
fn fails_to_begin(shop: &mut Shop, kind: TroubleKind) {
    assert!(matches!(shop.last(), MigrationOrder::Open(_)), "{:?}", shop.last());
    shop.hear(MigrationFact::PastRead(Past::default()));
    shop.database_fails(kind, "no module named goods");
}

/// How long it said each time that it waits.
fn delays(shop: &Shop) -> Vec<Duration> {
    let said = shop.said.iter();
    said.filter_map(|it| if let AppEventKind::StartDelayed { delay } = it { Some(*delay) } else { None })
        .collect()
}

#[test]
fn a_first_start_whose_migration_cannot_begin_is_tried_again_ever_more_slowly() {
    for kind in [TroubleKind::App, TroubleKind::Unreachable, TroubleKind::Broken] {
        let mut shop = Shop::new();
        for round in 1..10 {
            fails_to_begin(&mut shop, kind);
            assert_eq!((delays(&shop).len(), shop.opens()), (round, round));
            shop.wait(delays(&shop)[round - 1]);
        }
        let seconds: Vec<f64> = delays(&shop).iter().map(Duration::as_secs_f64).collect();
        assert!(seconds[0] <= 2.0 && seconds[8] >= 15.0, "{seconds:?}");
        assert!(seconds.iter().all(|it| *it <= 30.0), "{seconds:?}");
    }
}

#[test]
fn a_start_that_somebody_has_ended_is_not_tried_again() {
    for meanwhile in [true, false] {
        let mut shop = Shop::new();
        if meanwhile {
            shop.hear(MigrationFact::PastRead(Past::default()));
        } else {
            fails_to_begin(&mut shop, TroubleKind::App);
        }
        shop.asks(Command::AbortMigration { app: name(0) });
        assert!(matches!(shop.answers.last(), Some(Outcome::Done { .. })), "{:?}", shop.answers);
        let before = shop.orders.len();
        shop.wait(Duration::from_secs(3600));
        assert_eq!(shop.orders.len(), before, "{:?}", shop.last());
    }
}

#[test]
fn a_database_side_that_says_that_it_waits_is_waited_for() {
    let most = Budgets::default().open_timeout;
    let mut shop = Shop::new();
    shop.hear(MigrationFact::PastRead(Past::default()));
    for _ in 0..5 {
        shop.wait(most);
        shop.hear(MigrationFact::Opening);
    }
    assert!(matches!(shop.last(), MigrationOrder::OpenDatabase { .. }), "{:?}", shop.last());
    shop.hear(MigrationFact::Opened(Opened::default()));
    assert!(matches!(shop.last(), MigrationOrder::LockDatabase), "{:?}", shop.last());

    let mut silent = Shop::new();
    silent.hear(MigrationFact::PastRead(Past::default()));
    silent.wait(most + Duration::from_secs(6));
    assert_eq!(delays(&silent).len(), 1, "one that says nothing is given up");
}

#[test]
fn so_is_the_one_that_is_asked_what_was_resolved() {
    let mut shop = Shop::new();
    shop.hear(MigrationFact::PastRead(Past { dirty: Some("half".to_owned()), ..Past::default() }));
    shop.asks(Command::ResolveMigration { app: name(0) });
    shop.hear(MigrationFact::PastRead(Past { dirty: Some("half".to_owned()), ..Past::default() }));
    for _ in 0..5 {
        shop.wait(Budgets::default().open_timeout);
        shop.hear(MigrationFact::Opening);
    }
    shop.hear(MigrationFact::Opened(Opened::default()));
    assert!(matches!(shop.last(), MigrationOrder::ResolveDatabase), "{:?}", shop.last());
}

fn is_migrated_by_the_next(shop: &Shop) -> bool {
    let mut next = Supervisor::adopt(shop.supervisor.snapshot(), &BTreeMap::new(), shop.now, 1);
    let actions = next.handle(shop.now, Event::TimePassed);
    actions.iter().any(|it| matches!(it, Action::Migrate { .. }))
}

#[test]
fn what_an_ostlerd_that_is_to_end_was_bringing_in_is_not_brought_in_by_the_next() {
    let mut shop = Shop::new();
    shop.migrates();
    assert!(is_migrated_by_the_next(&shop), "nobody wanted it to end");
    shop.asks(Command::Shutdown);
    assert!(!is_migrated_by_the_next(&shop));
}

#[test]
fn new_code_in_the_folder_that_serves_finds_its_databases_migrated_by_the_next() {
    let mut shop = Shop::new();
    shop.serves();
    shop.asks(Command::restart(name(0)));
    shop.is_looked_at();
    shop.migrates();
    shop.asks(Command::Shutdown);
    assert!(is_migrated_by_the_next(&shop));
}
