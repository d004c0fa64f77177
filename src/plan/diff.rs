//! The difference of two plans: what a new configuration changes, key by key, and what that causes.
//!
//! The supervisor decides by [`effect`], and `ostler reload --dry-run` prints [`diff`]: they cannot disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{AppName, HealthConfig, counted, size_words, words};

use super::migrate::{Database, Migrate, MigrateCommand};
use super::types::{
    Account, AppPlan, Blueprint, Fingerprint, ImageRoot, Plan, Policy, Probe, Readiness, Volume, WorkerRange,
};

/// The keys of `[health]` that differ: its sockets are bound once, when ostlerd starts.
pub fn needs_restart(running: &HealthConfig, new: &HealthConfig) -> Vec<String> {
    let pairs = running.told().into_iter().zip(new.told());
    pairs.filter(|(old, new)| old != new).map(|((key, _), _)| format!("health.{key}")).collect()
}

/// What a change causes, the least that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It runs as it should.
    Nothing,
    /// Other numbers are in force at once, with the workers that run.
    InPlace,
    /// Workers are added or drained; none is restarted.
    Resize,
    /// A new generation of this app takes over.
    Rollout,
    /// The app is started.
    Add,
    /// The app is drained and its listeners are closed.
    Remove,
    /// The app was stopped with `ostler stop`; what changes counts when it is started.
    Stopped,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Nothing => "nothing changes",
            Effect::InPlace => "changed in place, no worker restarted",
            Effect::Resize => "resized, no worker restarted",
            Effect::Rollout => "rolled out",
            Effect::Add => "added",
            Effect::Remove => "removed: its workers drain",
            Effect::Stopped => "nothing changes: it is stopped, `ostler start` takes what is new",
        })
    }
}

/// One app, what is different, and what that causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppChange {
    /// The app.
    pub app: AppName,
    /// What follows.
    pub effect: Effect,
    /// What is different, by name; empty where the app comes or goes.
    pub keys: Vec<KeyChange>,
    /// Whether migrations run before what follows.
    #[serde(default)]
    pub migrates: bool,
    /// Which those are, or why there are none, in words; empty where nothing follows that they could precede.
    #[serde(default)]
    pub migrations: String,
}

/// One value that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// `workers`, `rollout.settle`, `env.DATABASE_URL`.
    pub key: String,
    /// Before; `None` where it was not set. Of the environment no value is told, only `(hidden)`.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

/// What it takes to get from what runs to what should.
pub fn effect(old: &AppPlan, new: &AppPlan) -> Effect {
    if old.blueprint != new.blueprint {
        Effect::Rollout
    } else if numbers(&old.policy) != numbers(&new.policy) {
        Effect::Resize
    } else if old.policy != new.policy || old.migrate != new.migrate {
        Effect::InPlace
    } else {
        Effect::Nothing
    }
}

/// How many workers there may be, whatever else is in the policy.
fn numbers(policy: &Policy) -> (u32, Option<(u32, u32)>) {
    (policy.workers, policy.range.map(|range| (range.min, range.max)))
}

/// Every app of either plan, by name, with what changes. An app that could not be prepared counts as not there.
pub fn diff(old: &Plan, new: &Plan) -> Vec<AppChange> {
    let names: BTreeSet<&AppName> = old.apps.keys().chain(new.apps.keys()).collect();
    let of = |plan: &Plan, name: &AppName| plan.apps.get(name).and_then(|it| it.as_ref().ok().cloned());
    let change = |name: &AppName| {
        let (effect, keys) = match (of(old, name), of(new, name)) {
            (Some(old), Some(new)) => (effect(&old, &new), keys(&old, &new)),
            (None, Some(_)) => (Effect::Add, Vec::new()),
            (Some(_), None) => (Effect::Remove, Vec::new()),
            (None, None) if new.apps.contains_key(name) => (Effect::Nothing, Vec::new()),
            (None, None) => (Effect::Remove, Vec::new()),
        };
        let begins = matches!(effect, Effect::Rollout | Effect::Add);
        let coming = of(new, name).filter(|_| begins);
        let migrates = coming.as_ref().is_some_and(|it| it.migrate.is_some());
        let migrations = coming.map(|it| it.migrations()).unwrap_or_default();
        AppChange { app: name.clone(), effect, keys, migrates, migrations }
    };
    names.into_iter().map(change).collect()
}

fn keys(old: &AppPlan, new: &AppPlan) -> Vec<KeyChange> {
    let (before, after) = (Fields::of(old), Fields::of(new));
    let names: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
    let mut changed: Vec<KeyChange> = names
        .into_iter()
        .filter(|name| before.0.get(*name) != after.0.get(*name))
        .map(|name| KeyChange {
            key: name.clone(),
            old: before.0.get(name).cloned(),
            new: after.0.get(name).cloned(),
        })
        .collect();
    let url = |plan: &AppPlan| {
        plan.migrate.as_ref().and_then(|it| it.databases.iter().find(|it| is_url(it)).cloned())
    };
    let (before, after) = (url(old), url(new));
    if before != after {
        let hidden = |url: Option<Database>| url.map(|_| "(hidden)".to_owned());
        let key = "migrate.database_url".to_owned();
        changed.push(KeyChange { key, old: hidden(before), new: hidden(after) });
    }
    let (before, after) = (&old.blueprint.env, &new.blueprint.env);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let hidden = |env: &BTreeMap<String, String>, name| env.contains_key(name).then(|| "(hidden)".to_owned());
    changed.extend(names.into_iter().filter(|name| before.get(*name) != after.get(*name)).map(|name| {
        KeyChange { key: format!("env.{name}"), old: hidden(before, name), new: hidden(after, name) }
    }));
    changed
}

fn is_url(database: &Database) -> bool {
    matches!(database, Database::Url(_))
}

fn alias(database: &Database) -> Option<&str> {
    match database {
        Database::Alias(name) => Some(name),
        Database::Url(_) => None,
    }
}

/// An app's plan as names and texts, without its environment and without the URLs of databases.
#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn of(plan: &AppPlan) -> Fields {
        let mut fields = Fields::default();
        fields.blueprint(&plan.blueprint);
        fields.policy(&plan.policy);
        if let Some(migrate) = &plan.migrate {
            fields.migrate(migrate);
        }
        fields
    }

    fn set(&mut self, key: &str, value: impl fmt::Display) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    fn set_some(&mut self, key: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// What comes straight from a table of keys is told as its rows say.
    fn rows(&mut self, title: &str, rows: Vec<(&'static str, Option<String>)>) {
        for (key, value) in rows {
            self.set_some(&format!("{title}.{key}"), value);
        }
    }

    // Every field is named, here and below, so that none that is added can be forgotten.
    fn blueprint(&mut self, blueprint: &Blueprint) {
        let Blueprint {
            app: _,
            directory,
            python,
            entry,
            args,
            env: _,
            account,
            umask,
            limits,
            listen,
            class,
            capacity,
            gunicorn,
            probe,
            log_file,
            hooks,
            preload,
            processes,
            no_new_privileges,
            image,
            release: Fingerprint { files, newest },
        } = blueprint;
        self.set("directory", directory.display());
        self.set("python", python.display());
        self.set("app", entry);
        self.set("args", format!("{args:?}"));
        if let Some(Account { name, uid, gid, groups, home: _ }) = account {
            self.set("user", format!("{name} (uid {uid}, gid {gid}, groups {groups:?})"));
        }
        self.set("umask", format!("{umask:03o}"));
        self.rows("limits", limits.told());
        let addresses: Vec<String> = listen.iter().map(|it| it.address.to_string()).collect();
        self.set("listen", addresses.join(", "));
        for it in listen {
            self.set(&format!("backlog of {}", it.address), it.backlog);
            self.set_some(
                &format!("socket_mode of {}", it.address),
                it.mode.map(|mode| format!("{mode:03o}")),
            );
        }
        self.set("worker class", class);
        self.set_some("requests at once of a worker", *capacity);
        self.set("gunicorn", gunicorn);
        self.set("probe.enabled", probe.is_some());
        if let Some(Probe { path, host, scheme, timeout, asked }) = probe {
            self.set_some("probe.path", asked.then_some(path));
            self.set_some("probe.host", host.as_ref());
            self.set("probe.scheme", scheme);
            self.set("probe.timeout", words(*timeout));
        }
        self.set_some("log_file", log_file.as_ref().map(|it| it.display()));
        let hooks: Vec<&str> = hooks.iter().map(|hook| hook.name()).collect();
        self.set("hooks", hooks.join(", "));
        self.set("preload", preload);
        for (name, command) in processes {
            self.set(&format!("processes.{name}.command"), format!("{command:?}"));
        }
        self.set("no_new_privileges", no_new_privileges);
        if let Some(ImageRoot { release: _, name, directory, writable, volumes }) = image {
            self.set_some("the image", name.as_ref());
            self.set("the image's directory", directory.display());
            self.set("image_writable", writable);
            for (inside, Volume { host, read_only }) in volumes {
                let mode = if *read_only { ":ro" } else { "" };
                self.set(&format!("volumes of {}", inside.display()), format!("{}{mode}", host.display()));
            }
        }
        self.set("release", format!("{}, the newest of {}", counted(*files, "file"), newest / 1_000_000_000));
    }

    fn policy(&mut self, policy: &Policy) {
        let Policy {
            workers,
            range,
            hang_timeout,
            request_timeout,
            drain_timeout,
            quiet_drain,
            max_requests,
            max_requests_jitter,
            max_age,
            max_rss,
            restarts_per_minute,
            rollout,
            keepalive,
            readiness: Readiness { optional, min_ready },
            no_migrations: _,
            resources,
        } = policy;
        let time = |limit: &Option<Duration>| limit.map(words);
        match range {
            Some(WorkerRange { min, max, idle }) => {
                self.set("workers", format_args!("{min} to {max}"));
                self.set("workers.idle", words(*idle));
            }
            None => self.set("workers", workers),
        }
        self.set_some("limits.timeout", time(hang_timeout));
        self.set_some("limits.request_timeout", time(request_timeout));
        self.set("limits.graceful_timeout (with keep-alive)", words(*drain_timeout));
        self.set_some("quiet drain", time(quiet_drain));
        self.set("limits.max_requests", max_requests);
        self.set("limits.max_requests_jitter", max_requests_jitter);
        self.set_some("limits.max_age", time(max_age));
        self.set_some("limits.max_rss", max_rss.map(size_words));
        self.set("limits.restarts_per_minute", restarts_per_minute);
        self.rows("rollout", rollout.told());
        self.rows("limits", resources.told());
        self.set("gunicorn's keepalive", words(*keepalive));
        self.set("optional", optional);
        self.set("min_ready", min_ready);
    }

    fn migrate(&mut self, migrate: &Migrate) {
        let Migrate { command, databases, post_deploy, budgets, breaking, overrides, marker } = migrate;
        self.set(
            "migrate.command",
            match command {
                MigrateCommand::Django => "Django's migrate".to_owned(),
                MigrateCommand::DjangoApp { .. } => "Django's migrate, without a manage.py".to_owned(),
                MigrateCommand::Other(words) => words.join(" "),
            },
        );
        let aliases: Vec<&str> = databases.iter().filter_map(alias).collect();
        if !aliases.is_empty() {
            self.set("migrate.database", aliases.join(", "));
        }
        for (number, words) in post_deploy.iter().enumerate() {
            self.set(&format!("migrate.post_deploy {}", number + 1), words.join(" "));
        }
        self.rows("migrate", budgets.told());
        self.set("migrate.marker", marker);
        self.set("migrate.breaking", breaking);
        for (name, budgets) in overrides {
            self.rows(&format!("migrate.override.{name:?}"), budgets.told());
        }
    }
}
