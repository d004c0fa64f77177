//! What a migration would apply, for who only asks: nothing is locked, nothing is changed, nothing is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::database::DatabasePatience;
use super::name::RunName;
use super::opening::{self, Turns};
use crate::config::AppName;
use crate::migrate::{MigrateMode, MigrateOrders, Names, Serving};
use crate::plan::{Blueprint, Database, Migrate, Refusal};
use crate::run::children::Children;
use crate::run::prepare;
use crate::supervise::{MigrationFact, Opened, Outcome, RunId, Trouble, TroubleKind};

/// Whom to ask, and where.
#[derive(Clone, Debug)]
pub(in crate::run) struct PendingCheck {
    pub(in crate::run) children: Children,
    pub(in crate::run) config: PathBuf,
    pub(in crate::run) locks: PathBuf,
    /// What the code uses that serves now.
    pub(in crate::run) serving: Option<Serving>,
}

impl PendingCheck {
    /// What each database of the app lacks, by the release that is on disk now.
    pub(in crate::run) async fn pending(&self, app: &AppName) -> Outcome {
        let plan = match prepare::one(&self.children, &self.config, app).await {
            Ok(looked) => looked.plan,
            Err(Refusal { reason, detail, .. }) => return Outcome::Misconfigured { reason, detail },
        };
        let why = plan.migrations();
        let Some(migrate) = plan.migrate else {
            let reason = format!("{app} has no migrations: see [migrate]; {why}");
            return Outcome::Invalid { reason };
        };
        if migrate.databases.is_empty() {
            let reason = format!(
                "nobody can tell what the migration of {app} would apply: it is not Django's, and no database_url is \
                 configured"
            );
            return Outcome::Invalid { reason };
        }
        let mut databases = Vec::new();
        for database in &migrate.databases {
            match self.open(&plan.blueprint, &migrate, database).await {
                Ok(opened) => databases.push((database.to_string(), opened)),
                Err(trouble) => return refused(app, &database.to_string(), trouble),
            }
        }
        Outcome::MigrationsPending { databases }
    }

    /// Dropped, the process ends.
    async fn open(
        &self,
        blueprint: &Arc<Blueprint>,
        migrate: &Migrate,
        database: &Database,
    ) -> Result<Opened, Trouble> {
        let app = &blueprint.app;
        let RunName { tag, host, .. } = &RunName::new(app, RunId(0), SystemTime::now());
        let names = Names { tag, blueprint, host };
        let lock_file: &Path = &self.locks.join(app.as_str());
        let mut orders = MigrateOrders::new(MigrateMode::Watch, names, migrate, database, lock_file);
        (orders.serving, orders.plan) = (self.serving.clone(), true);
        if Some(database) == migrate.databases.first() {
            orders = orders.beyond(migrate);
        }
        let broken = |message| Trouble { kind: TroubleKind::Broken, message, traceback: String::new() };
        let (facts, mut told) = mpsc::unbounded_channel();
        let whose = (self.children.clone(), blueprint.clone());
        let limits = (DatabasePatience::default(), migrate.budgets.open_timeout);
        // Whoever asks waits for nobody else.
        let (side, task) =
            opening::open(whose, orders, limits, Turns::new(1), move |fact| drop(facts.send(fact)));
        // Its own task: it sees to the end of its process whatever becomes of this future.
        tokio::spawn(task);
        let opened = loop {
            match told.recv().await {
                Some(MigrationFact::Opened(opened)) => break Ok(opened),
                Some(MigrationFact::DatabaseFailed(trouble)) => break Err(trouble),
                Some(_) => {}
                None => break Err(broken("the database side has ended".to_owned())),
            }
        };
        drop(side);
        opened
    }
}

fn refused(app: &AppName, database: &str, Trouble { kind, message, traceback }: Trouble) -> Outcome {
    let reason = format!("{app}: the database {database}: {message}");
    match kind {
        TroubleKind::Unreachable => Outcome::Refused { reason },
        TroubleKind::App | TroubleKind::Graph | TroubleKind::Pooler | TroubleKind::Broken => {
            Outcome::Misconfigured { reason, detail: traceback }
        }
    }
}
