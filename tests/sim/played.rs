//! One app with migrations, played step by step: what the core is told, and what comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ostler::plan::{AppPlan, Budgets, Database, Migrate, MigrateCommand, Plan};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Command, CommandFailure, Event, Exit, LinkFact, MigrationFact,
    MigrationOrder, Moment, Opened, Outcome, Past, Pending, PendingMigration, ProcessFact, ProcessId, Report,
    RequestId, RunId, Supervisor, Trouble, TroubleKind, Verdict,
};

use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

/// The migration that is pending.
pub(crate) const MIGRATION: &str = "shop.0001_x";

/// A supervisor whose one app has never served; what it ordered, answered and said.
pub(crate) struct Shop {
    pub(crate) supervisor: Supervisor,
    pub(crate) now: Moment,
    pub(crate) orders: Vec<(RunId, MigrationOrder)>,
    pub(crate) answers: Vec<Outcome>,
    pub(crate) said: Vec<AppEventKind>,
}

pub(crate) fn migrated_plan() -> AppPlan {
    migrated_by(|_| {})
}

/// The same, with what `change` makes of its migrations.
pub(crate) fn migrated_by(change: impl Fn(&mut Migrate)) -> AppPlan {
    let mut plan = app_plan(&name(0), 1, &policy(&mut Rng::seeded(1)));
    let mut migrate = Migrate {
        command: MigrateCommand::Django,
        databases: vec![Database::Alias("default".to_owned())],
        post_deploy: Vec::new(),
        budgets: Budgets::default(),
        breaking: Default::default(),
        overrides: BTreeMap::new(),
        marker: true,
    };
    change(&mut migrate);
    plan.migrate = Some(Arc::new(migrate));
    plan
}

pub(crate) fn pending() -> Pending {
    let one = PendingMigration { name: MIGRATION.to_owned(), atomic: true, operations: 1 };
    Pending { migrations: vec![one], ..Pending::default() }
}

/// The app has no release link.
pub(crate) fn no_link() -> Event {
    let fact = LinkFact::Read { record: Box::default(), link: None, leads_to: None };
    Event::ReleaseLinkObserved { app: name(0), fact }
}

impl Shop {
    pub(crate) fn new() -> Shop {
        Shop::of(migrated_plan())
    }

    pub(crate) fn of(plan: AppPlan) -> Shop {
        let apps = BTreeMap::from([(name(0), Ok(plan))]);
        let supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
        let (orders, answers, said) = Default::default();
        let mut shop = Shop { supervisor, now: Moment::ZERO, orders, answers, said };
        shop.tell(Event::TimePassed);
        shop
    }

    pub(crate) fn tell(&mut self, event: Event) {
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::Migrate { run, order, .. } => self.orders.push((run, order)),
                Action::Announce(AppEvent { kind, .. }) => self.said.push(kind),
                Action::Answer { outcome, .. } => self.answers.push(outcome),
                _ => {}
            }
        }
    }

    /// Somebody asks for this.
    pub(crate) fn asks(&mut self, command: Command) {
        self.tell(Event::Requested { id: RequestId(1), command });
    }

    /// Its release has been looked at.
    pub(crate) fn is_looked_at(&mut self) {
        self.tell(Event::AppPrepared { app: name(0), prepared: Box::new(Ok(migrated_plan())) });
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

    /// Waits until it orders this, for a minute at most.
    pub(crate) fn wait_until(&mut self, orders: impl Fn(&MigrationOrder) -> bool) {
        let comes = (0..60).any(|_| {
            self.wait(Duration::from_secs(1));
            orders(self.last())
        });
        assert!(comes, "{:?}", self.last());
    }

    pub(crate) fn hear(&mut self, fact: MigrationFact) {
        let run = self.orders.last().expect("something was ordered").0;
        self.tell(Event::MigrationHeard { run, fact: Box::new(fact) });
    }

    /// Its code has run on its databases before with nothing pending.
    pub(crate) fn has_run_before(&mut self) {
        self.hear(MigrationFact::PastRead(Past { current: true, ..Past::default() }));
    }

    pub(crate) fn has_nothing_pending(&mut self) {
        self.hear(MigrationFact::Opened(Opened { pending: Some(Pending::default()), ..Opened::default() }));
    }

    /// The database side ends and says this.
    pub(crate) fn database_fails(&mut self, kind: TroubleKind, message: &str) {
        let trouble = Trouble { kind, message: message.to_owned(), traceback: String::new() };
        self.hear(MigrationFact::DatabaseFailed(trouble));
    }

    /// Its migration is under way, with something to do.
    pub(crate) fn migrates(&mut self) {
        self.hear(MigrationFact::PastRead(Past::default()));
        self.hear(MigrationFact::Opened(Opened { pending: Some(pending()), ..Opened::default() }));
        self.hear(MigrationFact::Locked { pending: pending(), swept: Vec::new(), marks: Box::default() });
        self.hear(MigrationFact::Recorded);
        assert!(matches!(self.last(), MigrationOrder::Watch { .. }), "{:?}", self.last());
    }

    /// The command has ended, and what is left is looked for.
    pub(crate) fn command_ends(&mut self, status: i32, failure: Option<CommandFailure>) {
        self.hear(MigrationFact::CommandEnded { exit: Exit::Code(status), failure });
        self.hear(MigrationFact::BackendsGone);
        assert!(matches!(self.last(), MigrationOrder::VerifyDatabase { .. }), "{:?}", self.last());
    }

    /// So much of what was pending is applied, and nothing is half done.
    pub(crate) fn is_clean(&mut self, applied: &[&str]) {
        let recorded = Some(applied.iter().map(|it| (*it).to_owned()).collect());
        self.hear(MigrationFact::Verified(Report { recorded, ..Report::default() }));
    }

    /// Its first generation serves.
    pub(crate) fn serves(&mut self) {
        self.has_run_before();
        self.has_nothing_pending();
        self.comes_up();
    }

    /// Its workers, which are started, come up; it has no release link.
    pub(crate) fn comes_up(&mut self) {
        self.tell(no_link());
        for process in 1..=8 {
            self.tell(ProcessFact::Ready.of(ProcessId(process)));
        }
        // It serves now, which is noted beside what is known of its link.
        self.tell(no_link());
    }

    pub(crate) fn last(&self) -> &MigrationOrder {
        &self.orders.last().expect("something was ordered").1
    }

    pub(crate) fn opens(&self) -> usize {
        self.orders.iter().filter(|(_, order)| matches!(order, MigrationOrder::OpenDatabase { .. })).count()
    }

    /// How many generations were brought in.
    pub(crate) fn rollouts(&self) -> usize {
        self.said.iter().filter(|it| matches!(it, AppEventKind::RolloutStarted { .. })).count()
    }

    /// How the last migration has ended.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.said.iter().rev().find_map(|it| match it {
            AppEventKind::MigrationEnded { verdict, .. } => Some(verdict),
            _ => None,
        })
    }
}
