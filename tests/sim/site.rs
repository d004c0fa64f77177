//! What an app's migrations meet: its databases, its history, and how badly they behave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ostler::plan::{Blueprint, Budgets, Database, Migrate, MigrateCommand};
use ostler::supervise::{
    Leftover, Marked, Marks, Moment, Owed, Past, Pending, PendingMigration, Record, Unfinished, Vendor,
    VerdictKind,
};

use crate::rng::Rng;

/// How likely each fault of a database is, each time it could happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles {
    pub(crate) lost: f64,
    pub(crate) late: f64,
    pub(crate) watch_dies: f64,
    pub(crate) down: f64,
    pub(crate) busy: f64,
    pub(crate) disk_full: f64,
    pub(crate) unverified: f64,
    pub(crate) fate: f64,
    pub(crate) ignores: f64,
    pub(crate) sticks: f64,
    pub(crate) past: f64,
}

impl Troubles {
    pub(crate) fn drawn(rng: &mut Rng, scale: f64) -> Troubles {
        let mut draw =
            |most: f64| if rng.chance(0.5) { most * scale * rng.below(1000) as f64 / 500.0 } else { 0.0 };
        Troubles {
            lost: draw(0.2),
            late: draw(0.5),
            watch_dies: draw(0.6),
            down: draw(0.5),
            busy: draw(1.0),
            disk_full: draw(0.3),
            unverified: draw(0.3),
            fate: draw(1.6),
            ignores: draw(1.5),
            sticks: draw(2.0),
            past: draw(0.5),
        }
    }
}

/// The migration of an app, with small budgets.
pub(crate) fn migrate(rng: &mut Rng) -> Arc<Migrate> {
    let databases = match rng.below(10) {
        0 => Vec::new(),
        1..8 => vec![Database::Alias("default".to_owned())],
        _ => vec![Database::Alias("default".to_owned()), Database::Alias("logs".to_owned())],
    };
    let other = databases.is_empty() || rng.chance(0.15);
    let django = MigrateCommand::Django;
    Arc::new(Migrate {
        command: if other { MigrateCommand::Other(vec!["alembic".to_owned()]) } else { django },
        databases,
        post_deploy: if rng.chance(0.3) { vec![vec!["true".to_owned()]] } else { Vec::new() },
        budgets: Budgets {
            open_timeout: Duration::from_secs(30),
            lock_timeout: Some(Duration::from_secs(1)),
            tries: rng.within(1, 5) as u32,
            lock_wait: rng.millis(4000, 10_000),
            harm: rng.millis(1000, 3000),
            timeout: rng.millis(5000, 20_000),
            timeout_total: rng.millis(30_000, 60_000),
            stall: rng.millis(6000, 15_000),
        },
        breaking: Default::default(),
        overrides: BTreeMap::new(),
        marker: rng.chance(0.8),
    })
}

/// One database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) vendor: Vendor,
    pub(crate) code: Vec<PendingMigration>,
    pub(crate) applied: Vec<String>,
    pub(crate) leftovers: Vec<Leftover>,
    /// Until when a backend of the run goes on by itself.
    pub(crate) backends_until: Moment,
    /// Until when another server migrates, and whether it applies what is pending.
    pub(crate) busy_until: Moment,
    pub(crate) helps: bool,
    /// For how long nothing has been seen of it.
    pub(crate) quiet: Option<Duration>,
    /// Whether the database keeps that something is half done.
    pub(crate) marked: bool,
    /// What is owed to the code though nothing is pending, where that is kept.
    pub(crate) owed: Option<Owed>,
}

/// The databases of an app, and its history.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) migrate: Arc<Migrate>,
    pub(crate) stores: Vec<Store>,
    pub(crate) past: Past,
    /// The code that has run on all of them with nothing pending.
    pub(crate) current: Option<Arc<Blueprint>>,
    /// Whether the first code that comes has done so before.
    pub(crate) began_before: bool,
    count: u64,
}

impl Site {
    pub(crate) fn drawn(rng: &mut Rng, troubles: &Troubles, migrate: Arc<Migrate>) -> Site {
        let vendors = [Vendor::Postgresql, Vendor::Postgresql, Vendor::Mysql, Vendor::Sqlite, Vendor::Other];
        let mut site = Site {
            migrate: migrate.clone(),
            stores: Vec::new(),
            past: Past::default(),
            current: None,
            began_before: false,
            count: 0,
        };
        for _ in 0..migrate.databases.len().max(1) {
            let vendor =
                if migrate.databases.is_empty() { Vendor::Other } else { vendors[rng.below(5) as usize] };
            site.stores.push(Store {
                vendor,
                code: Vec::new(),
                applied: Vec::new(),
                leftovers: Vec::new(),
                backends_until: Moment::ZERO,
                busy_until: Moment::ZERO,
                helps: false,
                quiet: None,
                marked: false,
                owed: None,
            });
        }
        site.release(rng);
        // Beside the other draws, so that these stay as they are.
        site.began_before = rng.clone().chance(0.5);
        if rng.chance(troubles.past) {
            site.past.dirty = Some("index shop_x is INVALID: DROP INDEX shop_x".to_owned());
        } else if rng.chance(troubles.past) {
            let pending = site.stores[0].code.iter().map(|it| it.name.clone()).collect();
            let (run, database) = ("before".to_owned(), "default".to_owned());
            site.past.unfinished = Some(Unfinished { run, pending, database });
            if rng.chance(0.3) {
                site.stores[0].leftovers.push(leftover("half done by the dead"));
            }
        }
        site
    }

    /// New migrations come with a release.
    pub(crate) fn release(&mut self, rng: &mut Rng) {
        (self.current, self.began_before) = (None, false);
        let keeps = self.migrate.marker && self.migrate.command == MigrateCommand::Django;
        for store in &mut self.stores {
            // Beside the other draws, so that these stay as they are.
            let owed = [None, None, Some(Owed::New), Some(Owed::Earlier)];
            let mut aside = rng.clone();
            for _ in 0..100 {
                let _ = aside.below(4);
            }
            store.owed = owed[aside.below(4) as usize];
            store.owed = store.owed.filter(|_| keeps);
            for _ in 0..rng.below(4) {
                self.count += 1;
                let name = format!("shop.{:04}_x", self.count);
                let atomic = store.vendor != Vendor::Mysql && rng.chance(0.75);
                store.code.push(PendingMigration { name, atomic, operations: rng.within(1, 3) as u32 });
            }
        }
    }

    /// The history, as the shell keeps it.
    pub(crate) fn record(&mut self, record: &Record) {
        match &record.verdict {
            None if record.resolved => {
                (self.past.dirty, self.past.marked, self.past.unfinished) = (None, None, None);
                self.stores.iter_mut().for_each(Store::put_right);
            }
            None => {
                let (pending, database) = (record.pending.clone(), record.database.clone());
                self.past.unfinished = Some(Unfinished { run: "run".to_owned(), pending, database });
            }
            Some(verdict) => {
                self.past.unfinished = None;
                self.past.dirty = (verdict.kind == VerdictKind::Dirty).then(|| verdict.reason.clone());
                let marked = self.past.dirty.is_some() && record.marked;
                self.past.marked = marked.then(|| record.database.clone());
            }
        }
    }
}

pub(crate) fn leftover(what: &str) -> Leftover {
    Leftover { migration: None, what: what.to_owned(), remedy: "DROP INDEX x".to_owned(), removed: false }
}

impl Store {
    /// A person has mended it and said so.
    pub(crate) fn put_right(&mut self) {
        self.leftovers.clear();
        self.marked = false;
    }

    /// What the database keeps.
    pub(crate) fn marks(&self) -> Marks {
        let marked =
            Marked { host: "web2".to_owned(), leftovers: self.leftovers.clone(), ..Marked::default() };
        Marks { dirty: self.marked.then_some(marked), owed: self.owed, ..Marks::default() }
    }

    pub(crate) fn pending(&self) -> Pending {
        let open = |it: &&PendingMigration| !self.applied.contains(&it.name);
        Pending { migrations: self.code.iter().filter(open).cloned().collect(), ..Pending::default() }
    }
}
