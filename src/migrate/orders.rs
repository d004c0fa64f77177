//! What `watch` and `run` are to do: the JSON object of descriptor 4.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::plan::{Blueprint, Database, Migrate, MigrateCommand};

/// The version of the contract.
const CONTRACT: u64 = 1;

/// The content of descriptor 4.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MigrateOrders {
    contract: u64,
    /// Which of the two programs.
    pub mode: MigrateMode,
    /// The app's name.
    pub app: String,
    /// By what the run's connections are known.
    pub tag: String,
    /// Which database.
    pub database: DatabaseOrder,
    /// `django` or `other`.
    pub command: &'static str,
    /// For databases that have no lock of their own.
    pub lock_file: String,
    /// What the server is to keep.
    pub guards: Guards,
    /// What the database is to keep of the run; none where it keeps nothing.
    pub marker: Option<MarkerOrder>,
    /// What the code uses that serves now; `None` where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// How Django is found where the app has no manage.py.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub django: Option<DjangoOrder>,
    /// The aliases that are migrated, where it is to be told in which others something is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrated: Option<Vec<String>>,
    /// Whether `migrate` runs without Django's system checks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
    /// Whether somebody only wants to know what is pending, and what that would do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
}

/// Who runs, for other servers to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MarkerOrder {
    /// The release.
    pub release: String,
    /// The machine.
    pub host: String,
}

/// The app as its workers load it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DjangoOrder {
    /// `module:attribute`.
    pub entry: String,
    /// Gunicorn's arguments.
    pub args: Vec<String>,
    /// Whether the configuration says that it is Django's.
    pub certain: bool,
}

/// What a run is called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// By what its connections are known.
    pub tag: &'a str,
    /// What is run: which app, of which release, and how it is loaded.
    pub blueprint: &'a Blueprint,
    /// The machine.
    pub host: &'a str,
}

/// The code that serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Serving {
    /// Of the database, in its own words (see the module `tables`); `None` where it has not told.
    pub tables: Option<String>,
}

/// The two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MigrateMode {
    /// The database side.
    Watch,
    /// Django's `migrate`.
    Run,
}

/// A database by its alias or by a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseOrder {
    /// Of Django's `DATABASES`.
    Alias(String),
    /// It may hold a password: it goes nowhere but here.
    Url(String),
}

/// The budgets that the server keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guards {
    /// For every migration that has none of its own; where nobody has set it, what suits the server.
    pub lock_timeout_seconds: Option<f64>,
    /// By the migration's name.
    pub overrides: BTreeMap<String, OverrideOrder>,
}

/// The guards of one migration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OverrideOrder {
    /// See [`Guards`].
    pub lock_timeout_seconds: f64,
}

impl MigrateOrders {
    /// Orders for one database of `migrate`.
    pub fn new(
        mode: MigrateMode,
        names: Names<'_>,
        migrate: &Migrate,
        database: &Database,
        lock_file: &Path,
    ) -> MigrateOrders {
        let own = |(name, own): (&String, &crate::plan::Override)| {
            let lock_timeout_seconds = own.lock_timeout?.as_secs_f64();
            Some((name.clone(), OverrideOrder { lock_timeout_seconds }))
        };
        MigrateOrders {
            contract: CONTRACT,
            mode,
            app: names.blueprint.app.to_string(),
            tag: names.tag.to_owned(),
            database: match database {
                Database::Alias(alias) => DatabaseOrder::Alias(alias.clone()),
                Database::Url(url) => DatabaseOrder::Url(url.clone()),
            },
            command: match migrate.command {
                MigrateCommand::Django | MigrateCommand::DjangoApp { .. } => "django",
                MigrateCommand::Other(_) => "other",
            },
            lock_file: lock_file.display().to_string(),
            guards: Guards {
                lock_timeout_seconds: migrate.budgets.lock_timeout.map(|it| it.as_secs_f64()),
                overrides: migrate.overrides.iter().filter_map(own).collect(),
            },
            marker: migrate.marker.then(|| MarkerOrder {
                release: names.blueprint.directory.display().to_string(),
                host: names.host.to_owned(),
            }),
            serving: None,
            django: match migrate.command {
                MigrateCommand::DjangoApp { certain, .. } => Some(DjangoOrder {
                    entry: names.blueprint.entry.clone(),
                    args: names.blueprint.args.clone(),
                    certain,
                }),
                MigrateCommand::Django | MigrateCommand::Other(_) => None,
            },
            migrated: None,
            unchecked: false,
            plan: false,
        }
    }

    /// The same, where the entries that `migrate` leaves out are to be looked at as well.
    pub fn beyond(self, migrate: &Migrate) -> MigrateOrders {
        let alias = |it: &Database| match it {
            Database::Alias(alias) => Some(alias.clone()),
            Database::Url(_) => None,
        };
        let migrated =
            migrate.command.is_django().then(|| migrate.databases.iter().filter_map(alias).collect());
        MigrateOrders { migrated, ..self }
    }

    /// The content of descriptor 4.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("orders have string keys only")
    }
}
