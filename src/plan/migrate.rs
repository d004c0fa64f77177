//! How an app's databases are brought up to date before a rollout, and how long what may take.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::config::{Breaking, Budgets, Override};

/// The migration of one app: what is run, against which databases, within which budgets. A difference here takes no
/// rollout: it counts from the next run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrate {
    /// What is run.
    pub command: MigrateCommand,
    /// What the databases are reached by, one after the other; never empty for [`MigrateCommand::Django`].
    pub databases: Vec<Database>,
    /// Run after the rollout has committed, one after the other.
    pub post_deploy: Vec<Vec<String>>,
    /// What everything may take.
    pub budgets: Budgets,
    /// What becomes of one that breaks the code that serves.
    pub breaking: Breaking,
    /// Other budgets for single migrations, by `app_label.name` or by `name`.
    pub overrides: BTreeMap<String, Override>,
    /// Whether the database keeps what runs leave half done, for every server.
    pub marker: bool,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MigrateCommand {
    /// Django's `migrate`, once for each database, by the app's own interpreter and its manage.py.
    Django,
    /// The same where there is no manage.py: with the settings that the app's own module names when it is loaded.
    DjangoApp {
        /// Whether the configuration says that the app is Django's; else it has nothing to migrate where it is not.
        certain: bool,
        /// The settings that the app's environment names.
        settings: Option<String>,
    },
    /// Any other program with its arguments, in the app's directory and environment; once.
    Other(Vec<String>),
}

impl MigrateCommand {
    /// Whether it is Django's own, of which every operation is seen.
    pub fn is_django(&self) -> bool {
        !matches!(self, MigrateCommand::Other(_))
    }
}

/// Why an app has no migrations that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoMigrations {
    /// The configuration says so.
    Off,
    /// Its interpreter has no Django.
    NoDjango,
    /// There is a Django beside it, and nothing says that the app loads it.
    NotLoaded,
}

/// As the second half of `migrations: …`.
impl fmt::Display for NoMigrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoMigrations::Off => "off ([migrate] enabled = false)",
            NoMigrations::NoDjango => "none: the app's interpreter has no Django, and no `command` is given",
            NoMigrations::NotLoaded => {
                "none: django is installed, but nothing in the app's files says that it loads it; if it does, write \
                 enabled = true in [migrate]"
            }
        })
    }
}

/// A database, as the database side of the watchdog reaches it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Database {
    /// An alias of Django's `DATABASES`.
    Alias(String),
    /// A URL, `postgresql://…`, `mysql://…`, `sqlite:///…`. It may hold a password and is never shown.
    Url(String),
}

/// As people are shown it: a URL by that word alone.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Alias(name) => f.write_str(name),
            Database::Url(_) => f.write_str("url"),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Alias(name) => f.debug_tuple("Alias").field(name).finish(),
            Database::Url(_) => f.write_str("Url(hidden)"),
        }
    }
}

/// What runs before a rollout, in words, as far as it is known without loading the app.
impl fmt::Display for Migrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settings, condition) = match &self.command {
            MigrateCommand::Other(words) => return write!(f, "`{}`", words.join(" ")),
            MigrateCommand::Django => (None, ""),
            MigrateCommand::DjangoApp { certain: true, settings } => (settings.as_deref(), ""),
            MigrateCommand::DjangoApp { certain: false, settings } => {
                (settings.as_deref(), ", if the app sets Django up when it is loaded, which only that tells")
            }
        };
        write!(f, "{}{condition}", self.djangos(settings))
    }
}

impl Migrate {
    /// Django's, with these settings.
    pub fn djangos(&self, settings: Option<&str>) -> String {
        let settings = settings.map(|it| format!(" with settings {it}")).unwrap_or_default();
        let names: Vec<String> = self.databases.iter().map(ToString::to_string).collect();
        let word = if names.len() == 1 { "database" } else { "databases" };
        format!("Django's migrate{settings}, {word} {}", names.join(", "))
    }

    /// Whether a time was set for just the migration `name`.
    pub fn has_own_timeout(&self, name: &str) -> bool {
        self.own(name).is_some_and(|own| own.timeout.is_some())
    }

    /// Whether a wait for a lock was bounded for just the migration `name`.
    pub fn has_own_lock_wait(&self, name: &str) -> bool {
        self.own(name).is_some_and(|own| own.lock_wait.is_some())
    }

    fn own(&self, name: &str) -> Option<&Override> {
        let short = name.split_once('.').map_or(name, |(_, short)| short);
        self.overrides.get(name).or_else(|| self.overrides.get(short))
    }

    /// The budgets of the migration `name` (`shop.0007_price`).
    pub fn budgets_of(&self, name: &str) -> Budgets {
        let Some(own) = self.own(name) else { return self.budgets };
        let of = self.budgets;
        Budgets {
            lock_timeout: own.lock_timeout.or(of.lock_timeout),
            lock_wait: own.lock_wait.unwrap_or(of.lock_wait),
            harm: own.harm.unwrap_or(of.harm),
            timeout: own.timeout.unwrap_or(of.timeout),
            stall: own.stall.unwrap_or(of.stall),
            ..of
        }
    }
}
