//! First starts whose migration cannot begin, database sides that take their time, and what is left of a migration to the next
//! ostlerd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ostler::plan::{AppPlan, Budgets, Database, Migrate, MigrateCommand, Plan};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Command, Event, LinkFact, MigrationFact, MigrationOrder, Moment, Opened,
    Outcome, Past, Pending, PendingMigration, ProcessFact, ProcessId, RequestId, RunId, Supervisor, Trouble,
    TroubleKind,
};

use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

/// A supervisor whose one app has never served and has a migration; what it ordered, and how long it said to wait.
pub(crate) struct Shop {
    pub(crate) supervisor: Supervisor,
    pub(crate) now: Moment,
    pub(crate) orders: Vec<(RunId, MigrationOrder)>,
    delays: Vec<Duration>,
    pub(crate) answers: Vec<Outcome>,
    pub(crate) said: Vec<AppEventKind>,
}

pub(crate) fn migrated_plan() -> AppPlan {
    let mut plan = app_plan(&name(0), 1, &policy(&mut Rng::seeded(1)));
    plan.migrate = Some(Arc::new(Migrate {
        command: MigrateCommand::Django,
        databases: vec![Database::Alias("default".to_owned())],
        post_deploy: Vec::new(),
        budgets: Budgets::default(),
        breaking: Default::default(),
        overrides: BTreeMap::new(),
        marker: true,
    }));
    plan
}

impl Shop {
    pub(crate) fn new() -> Shop {
        Shop::of(migrated_plan())
    }

    pub(crate) fn of(plan: AppPlan) -> Shop {
        let apps = BTreeMap::from([(name(0), Ok(plan))]);
        let supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
        let (orders, delays, answers) = Default::default();
        let now = Moment::ZERO;
        let mut shop = Shop { supervisor, now, orders, delays, answers, said: Vec::new() };
        shop.tell(Event::TimePassed);
        shop
    }

    pub(crate) fn tell(&mut self, event: Event) {
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::Migrate { run, order, .. } => self.orders.push((run, order)),
                Action::Announce(AppEvent { kind, .. }) => {
                    if let AppEventKind::StartDelayed { delay } = kind {
                        self.delays.push(delay);
                    }
                    self.said.push(kind);
                }
                Action::Answer { outcome, .. } => self.answers.push(outcome),
                _ => {}
            }
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.supervisor.next_deadline().filter(|due| *due <= until) {
            self.now = due;
            self.tell(Event::TimePassed);
        }
        self.now = until;
        self.tell(Event::TimePassed);
    }

    pub(crate) fn hear(&mut self, fact: MigrationFact) {
        let run = self.orders.last().expect("something was ordered").0;
        self.tell(Event::MigrationHeard { run, fact: Box::new(fact) });
    }

    /// How many generations were brought in.
    pub(crate) fn rollouts(&self) -> usize {
        self.said.iter().filter(|it| matches!(it, AppEventKind::RolloutStarted { .. })).count()
    }

    pub(crate) fn opens(&self) -> usize {
        self.orders.iter().filter(|(_, order)| matches!(order, MigrationOrder::OpenDatabase { .. })).count()
    }

    pub(crate) fn last(&self) -> &MigrationOrder {
        &self.orders.last().expect("something was ordered").1
    }

    /// The app cannot be imported, or its database does not answer.
    pub(crate) fn fails_to_begin(&mut self, kind: TroubleKind) {
        assert!(matches!(self.last(), MigrationOrder::Open(_)), "{:?}", self.last());
        self.hear(MigrationFact::PastRead(Past::default()));
        let trouble = Trouble { kind, message: "no module named goods".to_owned(), traceback: String::new() };
        self.hear(MigrationFact::DatabaseFailed(trouble));
    }
}

#[test]
fn a_first_start_whose_migration_cannot_begin_is_tried_again_ever_more_slowly() {
    for kind in [TroubleKind::App, TroubleKind::Unreachable, TroubleKind::Broken] {
        let mut shop = Shop::new();
        for round in 1..10 {
            shop.fails_to_begin(kind);
            assert_eq!((shop.delays.len(), shop.opens()), (round, round));
            shop.wait(shop.delays[round - 1]);
        }
        let seconds: Vec<f64> = shop.delays.iter().map(Duration::as_secs_f64).collect();
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
            shop.fails_to_begin(TroubleKind::App);
        }
        shop.tell(Event::Requested { id: RequestId(7), command: Command::AbortMigration { app: name(0) } });
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
    assert_eq!(silent.delays.len(), 1, "one that says nothing is given up");
}

#[test]
fn so_is_the_one_that_is_asked_what_was_resolved() {
    let mut shop = Shop::new();
    shop.hear(MigrationFact::PastRead(Past { dirty: Some("half".to_owned()), ..Past::default() }));
    shop.tell(Event::Requested { id: RequestId(7), command: Command::ResolveMigration { app: name(0) } });
    shop.hear(MigrationFact::PastRead(Past { dirty: Some("half".to_owned()), ..Past::default() }));
    for _ in 0..5 {
        shop.wait(Budgets::default().open_timeout);
        shop.hear(MigrationFact::Opening);
    }
    shop.hear(MigrationFact::Opened(Opened::default()));
    assert!(matches!(shop.last(), MigrationOrder::ResolveDatabase), "{:?}", shop.last());
}

/// Its migration is under way, with something to do.
pub(crate) fn migrates(shop: &mut Shop) {
    let pending = Pending {
        migrations: vec![PendingMigration { name: "shop.0001_x".to_owned(), atomic: true, operations: 1 }],
        ..Pending::default()
    };
    shop.hear(MigrationFact::PastRead(Past::default()));
    shop.hear(MigrationFact::Opened(Opened { pending: Some(pending.clone()), ..Opened::default() }));
    shop.hear(MigrationFact::Locked { pending, swept: Vec::new(), marks: Box::default() });
    shop.hear(MigrationFact::Recorded);
    assert!(matches!(shop.last(), MigrationOrder::Watch { .. }), "{:?}", shop.last());
}

fn is_migrated_by_the_next(shop: &Shop) -> bool {
    let mut next = Supervisor::adopt(shop.supervisor.snapshot(), &BTreeMap::new(), shop.now, 1);
    let actions = next.handle(shop.now, Event::TimePassed);
    actions.iter().any(|it| matches!(it, Action::Migrate { .. }))
}

#[test]
fn what_an_ostlerd_that_is_to_end_was_bringing_in_is_not_brought_in_by_the_next() {
    let mut shop = Shop::new();
    migrates(&mut shop);
    assert!(is_migrated_by_the_next(&shop), "nobody wanted it to end");
    shop.tell(Event::Requested { id: RequestId(7), command: Command::Shutdown });
    assert!(!is_migrated_by_the_next(&shop));
}

/// Its first generation serves.
pub(crate) fn serves(shop: &mut Shop) {
    shop.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
    shop.hear(MigrationFact::Opened(Opened { pending: Some(Pending::default()), ..Opened::default() }));
    serves_now(shop);
}

/// Its workers, which are started, come up; it has no release link.
pub(crate) fn serves_now(shop: &mut Shop) {
    let no_link = || LinkFact::Read { record: Box::default(), link: None, leads_to: None };
    shop.tell(Event::ReleaseLinkObserved { app: name(0), fact: no_link() });
    for process in 1..=8 {
        shop.tell(ProcessFact::Ready.of(ProcessId(process)));
    }
    // It serves now, which is noted beside what is known of its link.
    shop.tell(Event::ReleaseLinkObserved { app: name(0), fact: no_link() });
}

#[test]
fn new_code_in_the_folder_that_serves_finds_its_databases_migrated_by_the_next() {
    let mut shop = Shop::new();
    serves(&mut shop);
    shop.tell(Event::Requested { id: RequestId(1), command: Command::restart(name(0)) });
    let prepared = Box::new(Ok(migrated_plan()));
    shop.tell(Event::AppPrepared { app: name(0), prepared });
    migrates(&mut shop);
    shop.tell(Event::Requested { id: RequestId(7), command: Command::Shutdown });
    assert!(is_migrated_by_the_next(&shop));
}
