//! `[migrate]` of an app: what is run before a rollout, and how long what may take.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::breaking::Breaking;
use super::check::{Checker, Section};
use super::database_url::DatabaseUrl;
use super::error::{Fault, Problem};
use super::source::shortened;
use super::{keys, values};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What each budget may be; an override may be the same.
const OPEN_TIMEOUT: RangeInclusive<Duration> = SECOND..=HOUR;
const LOCK_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=HOUR;
const LOCK_WAIT: RangeInclusive<Duration> = SECOND..=DAY;
/// The database is looked at four times a second: less could not be seen.
const HARM: RangeInclusive<Duration> = Duration::from_millis(500)..=DAY;
const TIMEOUT: RangeInclusive<Duration> = SECOND..=Duration::from_secs(7 * 24 * 3600);
const STALL: RangeInclusive<Duration> = Duration::from_secs(5)..=DAY;
const TRIES: RangeInclusive<u32> = 1..=100;

const COMMAND: &str = "[\"alembic\", \"upgrade\", \"head\"]";
const POST_DEPLOY: &str = "[[\"python\", \"manage.py\", \"clearcache\"]]";
const OVERRIDE: &str = "[migrate.override.\"shop.0007_price\"]";

/// `[migrate]`; `None` is a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MigrateConfig {
    /// Whether migrations are run: by default where the directory has a `manage.py`, the app loads Django, or a command is given.
    pub enabled: Option<bool>,
    /// The program and its arguments; Django's `migrate` where it is not said.
    pub command: Option<Vec<String>>,
    /// Aliases of Django's `DATABASES`, in order; empty is `default` alone.
    pub database: Vec<String>,
    /// How another tool's database is reached.
    pub database_url: Option<DatabaseUrl>,
    /// Default `boot_timeout`.
    pub open_timeout: Option<Duration>,
    /// Default 1 s.
    pub lock_timeout: Option<Duration>,
    /// Default 10.
    pub tries: Option<u32>,
    /// Default 60 s.
    pub lock_wait: Option<Duration>,
    /// Default 3 s.
    pub harm: Option<Duration>,
    /// Default 5 min.
    pub timeout: Option<Duration>,
    /// Default 15 min, or the longest `timeout` where that is longer.
    pub timeout_total: Option<Duration>,
    /// Default 2 min.
    pub stall: Option<Duration>,
    /// Default `refuse`.
    pub breaking: Option<Breaking>,
    /// `[migrate.override.NAME]`, by name.
    pub overrides: BTreeMap<String, OverrideConfig>,
    /// Whether the database keeps what runs leave half done; default true.
    pub marker: Option<bool>,
    /// Run after the rollout has committed.
    pub post_deploy: Vec<Vec<String>>,
}

/// `[migrate.override.NAME]`; what is `None` is as for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideConfig {
    /// See [`MigrateConfig::lock_timeout`].
    pub lock_timeout: Option<Duration>,
    /// See [`MigrateConfig::lock_wait`].
    pub lock_wait: Option<Duration>,
    /// See [`MigrateConfig::harm`].
    pub harm: Option<Duration>,
    /// See [`MigrateConfig::timeout`].
    pub timeout: Option<Duration>,
    /// See [`MigrateConfig::stall`].
    pub stall: Option<Duration>,
}

/// What the app's file says; defaults where it says nothing.
pub(super) fn check(checker: &mut Checker<'_>, app: &Section<'_, '_>) -> MigrateConfig {
    let Some(table) = checker.table(app, "migrate", "{ timeout = \"10m\" }") else {
        return MigrateConfig::default();
    };
    let before = checker.problems.len();
    let section = checker.section(&keys::MIGRATE, table);
    let mut time = |key, example, range: RangeInclusive<Duration>| {
        checker.read(&section, key, example, values::duration(range, false))
    };
    let open_timeout = time("open_timeout", "\"60s\"", OPEN_TIMEOUT);
    let lock_timeout = time("lock_timeout", "\"2s\"", LOCK_TIMEOUT);
    let lock_wait = time("lock_wait", "\"60s\"", LOCK_WAIT);
    let harm = time("harm", "\"3s\"", HARM);
    let timeout = time("timeout", "\"5m\"", TIMEOUT);
    let timeout_total = time("timeout_total", "\"15m\"", TIMEOUT);
    let stall = time("stall", "\"2m\"", STALL);
    let config = MigrateConfig {
        enabled: checker.read(&section, "enabled", "false", values::flag),
        command: command(checker, &section),
        database: database(checker, &section),
        database_url: checker.read(&section, "database_url", "\"env:DATABASE_URL\"", database_url),
        open_timeout,
        lock_timeout,
        tries: checker.read(&section, "tries", "10", values::count(TRIES)),
        lock_wait,
        harm,
        timeout,
        timeout_total,
        stall,
        breaking: checker.read(&section, "breaking", "\"warn\"", Breaking::read),
        overrides: overrides(checker, &section),
        marker: checker.read(&section, "marker", "false", values::flag),
        post_deploy: post_deploy(checker, &section),
    };
    // What contradicts itself only because it is bad has been told once.
    if checker.problems.len() == before {
        contradictions(checker, &section, &config);
    }
    config
}

fn command(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> Option<Vec<String>> {
    let field = section.field("command", COMMAND)?;
    match words(field.value.get_ref(), "command = ") {
        Ok(words) if is_djangos(&words) => {
            let fault = Fault::new(
                "is Django's own migrate",
                "ostlerd runs that by itself, and sees each operation of it",
                "leave `command` out",
            );
            checker.fault(&field, field.value, fault);
            None
        }
        Ok(words) => Some(words),
        Err(fault) => {
            checker.fault(&field, field.value, fault);
            None
        }
    }
}

/// `python manage.py migrate`, with nothing that would make it another command. A `manage.py` in another folder than
/// `directory` is not found without being named.
fn is_djangos(words: &[String]) -> bool {
    let program = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    let words: Vec<&str> = words.iter().map(|word| word.strip_prefix("./").unwrap_or(word)).collect();
    let rest = match words.as_slice() {
        [_, "manage.py", "migrate", rest @ ..] if program.starts_with("python") => rest,
        ["manage.py", "migrate", rest @ ..] => rest,
        [_, "migrate", rest @ ..] if program == "django-admin" => rest,
        _ => return false,
    };
    rest.iter().all(|word| matches!(*word, "--noinput" | "--no-input"))
}

/// One program and its arguments; `before` is what stands before it in a remedy.
fn words(value: &DeValue<'_>, before: &str) -> Result<Vec<String>, Fault> {
    const RULE: &str = "must be a list: the program, then its arguments one by one";
    const MOST: usize = 256;
    if let DeValue::String(text) = value {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        let help = format!("write {before}[{}]", shortened(&words.join(", "), 120));
        return Err(Fault::new("is a string", RULE, help));
    }
    let items = value.as_array().ok_or_else(|| values::wrong_type(value, RULE))?;
    if items.is_empty() || items.len() > MOST {
        let what = if items.is_empty() { "is an empty list" } else { "is too long a list" };
        return Err(Fault::new(what, format!("must have 1 to {MOST} entries"), ""));
    }
    let read = |(at, item): (usize, &Spanned<DeValue<'_>>)| match at {
        0 => values::text(item.get_ref()).map(str::to_owned),
        _ => values::any_text(item.get_ref()).map(str::to_owned),
    };
    items.iter().enumerate().map(read).collect()
}

fn database(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> Vec<String> {
    const EXAMPLE: &str = "[\"default\", \"reports\"]";
    let Some(field) = section.field("database", EXAMPLE) else { return Vec::new() };
    let read = checker.read_list(section, "database", EXAMPLE, alias);
    let names: Vec<String> = read.into_iter().map(|(name, _)| name).collect();
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    let (what, rule) = match (twice, field.value.get_ref().as_array()) {
        (Some((_, name)), _) => (format!("has {name:?} twice"), "each is migrated once"),
        (None, Some(items)) if items.is_empty() => ("is an empty list".to_owned(), "must name an alias"),
        _ => return names,
    };
    checker.fault(
        &field,
        field.value,
        Fault::new(what, rule, "to run no migrations at all write enabled = false"),
    );
    Vec::new()
}

fn alias(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = values::text(value)?;
    if text.contains("://") {
        let rule = "must be the name of an entry of Django's DATABASES";
        return Err(Fault::new("is a URL", rule, "for another tool than Django's write database_url"));
    }
    name(text).ok_or_else(|| {
        let rule = "must be the name of an entry of Django's DATABASES";
        Fault::new(format!("is {:?}", shortened(text, 60)), rule, "")
    })
}

/// A name without anything that a name has not.
fn name(text: &str) -> Option<String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "/\"'`".contains(c);
    (!text.is_empty() && text.len() <= 200 && !text.chars().any(bad)).then(|| text.to_owned())
}

/// What a database may be reached by, as SQLAlchemy, dj-database-url and libpq write it; a part behind
/// `+` names a driver.
const SCHEMES: [&str; 10] =
    ["postgresql", "postgres", "psql", "pgsql", "postgis", "mysql", "mysql2", "mariadb", "sqlite", "sqlite3"];

/// The faults tell nothing of the text: it may hold a password.
fn database_url(value: &DeValue<'_>) -> Result<DatabaseUrl, Fault> {
    let text = values::text(value)?;
    const RULE: &str = "must begin with postgresql://, mysql:// or sqlite:///, or be \"env:NAME\"";
    if let Some(name) = text.strip_prefix("env:") {
        return match super::env_name_fault(name) {
            None => Ok(DatabaseUrl::Env(name.to_owned())),
            Some(_) => Err(Fault::new(
                format!("names the variable {:?}", shortened(name, 40)),
                "behind env: stands the name of an environment variable",
                "",
            )),
        };
    }
    let known = is_database_url(text);
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control()) && text.len() <= 4000;
    match (known, clean) {
        (true, true) => Ok(DatabaseUrl::Text(text.to_owned())),
        (true, false) => Err(Fault::new("is no URL", "must have no spaces", "percent-encode them: %20")),
        (false, _) => Err(Fault::new(
            "is no URL that ostlerd knows",
            RULE,
            "for another kind of database leave it out: the command is then watched alone",
        )),
    }
}

/// Whether this is the URL of a database of a kind that can be watched.
pub fn is_database_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.split('+').next().unwrap_or(scheme));
    scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
}

fn overrides(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> BTreeMap<String, OverrideConfig> {
    let mut read = BTreeMap::new();
    let Some(table) = checker.table(section, "override", "{ \"shop.0007_price\" = { timeout = \"30m\" } }")
    else {
        return read;
    };
    for (key, value) in table {
        let shown = shortened(key.get_ref(), 60);
        let fault = match (name(key.get_ref()), value.get_ref()) {
            (None, _) => Fault::new("is no name of a migration", "must be app_label.name, or name", ""),
            (Some(_), DeValue::Table(inner)) if is_split(inner) => {
                let inner = inner.keys().next().map_or("", |key| key.get_ref());
                let help = format!("quote the name: [migrate.override.\"{shown}.{}\"]", shortened(inner, 60));
                Fault::new("is split at its dot", "TOML takes an unquoted dot for the end of a table", help)
            }
            (Some(name), DeValue::Table(inner)) => {
                read.insert(name, budgets(checker, inner));
                continue;
            }
            (Some(_), other) => values::wrong_type(other, "must be a table"),
        };
        let problem =
            Problem::new(checker.source.place(key.span()), format!("`override.{shown}` {}", fault.what));
        let example = format!("write for example {OVERRIDE}");
        let help = if fault.help.is_empty() { example } else { fault.help };
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    read
}

/// Whether `[migrate.override.shop.0007_price]` was written without quotes.
fn is_split(table: &DeTable<'_>) -> bool {
    !table.is_empty() && table.values().all(|value| matches!(value.get_ref(), DeValue::Table(_)))
}

fn budgets(checker: &mut Checker<'_>, table: &DeTable<'_>) -> OverrideConfig {
    let section = checker.section(&keys::OVERRIDE, table);
    let mut time = |key, example, range: RangeInclusive<Duration>| {
        checker.read(&section, key, example, values::duration(range, false))
    };
    OverrideConfig {
        lock_timeout: time("lock_timeout", "\"2s\"", LOCK_TIMEOUT),
        lock_wait: time("lock_wait", "\"60s\"", LOCK_WAIT),
        harm: time("harm", "\"3s\"", HARM),
        timeout: time("timeout", "\"30m\"", TIMEOUT),
        stall: time("stall", "\"2m\"", STALL),
    }
}

fn post_deploy(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> Vec<Vec<String>> {
    const RULE: &str = "must be a list of commands, each a list of its own";
    const MOST: usize = 64;
    let Some(field) = section.field("post_deploy", POST_DEPLOY) else { return Vec::new() };
    let bad = |checker: &mut Checker<'_>, fault| {
        checker.fault(&field, field.value, fault);
        Vec::new()
    };
    let Some(items) = field.value.get_ref().as_array() else {
        return bad(checker, values::wrong_type(field.value.get_ref(), RULE));
    };
    if items.len() > MOST {
        let what = format!("has {} entries", items.len());
        return bad(checker, Fault::new(what, format!("must have at most {MOST} entries"), ""));
    }
    if !items.is_empty() && items.iter().all(|item| item.get_ref().is_str()) {
        let words: Vec<String> =
            items.iter().filter_map(|item| item.get_ref().as_str()).map(quoted).collect();
        let help = format!("write post_deploy = [[{}]]", shortened(&words.join(", "), 120));
        return bad(checker, Fault::new("is one command", RULE, help));
    }
    let mut commands = Vec::with_capacity(items.len());
    for item in items.iter() {
        match words(item.get_ref(), "post_deploy = [") {
            Ok(words) => commands.push(words),
            Err(mut fault) => {
                if fault.help.starts_with("write post_deploy = [") {
                    fault.help.push(']');
                }
                checker.fault(&field, item, fault);
            }
        }
    }
    commands
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Keys that are good by themselves, and make no sense together.
fn contradictions(checker: &mut Checker<'_>, section: &Section<'_, '_>, config: &MigrateConfig) {
    let mut fault = |key, what: String, rule: &str, help: &str| {
        let field = section.field(key, "").expect("it was read");
        checker.fault(&field, field.value, Fault::new(what, rule, help));
    };
    if config.command.is_some() {
        let alien = "makes no sense beside `command`".to_owned();
        if !config.database.is_empty() {
            let help = "name the database of another tool with database_url, or leave it out";
            fault("database", alien.clone(), "it names entries of Django's DATABASES", help);
        }
        if config.breaking.is_some() {
            let help = "leave it out: what another tool's migrations do to the code that serves is not known";
            fault(
                "breaking",
                alien.clone(),
                "ostlerd foresees what Django's migrations do, and no others",
                help,
            );
        }
        if !config.overrides.is_empty() {
            let help = "say what all of the command may take: timeout, harm, stall";
            fault("override", alien, "ostlerd knows the names of Django's migrations only", help);
        }
    } else if config.database_url.is_some() {
        let help = "name the entry with `database`, or leave it out";
        let rule = "Django's migrate uses its own settings, DATABASES";
        fault("database_url", "makes no sense without `command`".to_owned(), rule, help);
    }
    let Some(total) = config.timeout_total else { return };
    let longest =
        config.timeout.into_iter().chain(config.overrides.values().filter_map(|it| it.timeout)).max();
    if let Some(longest) = longest.filter(|longest| *longest > total) {
        let longest = values::words(longest);
        let what = format!("is shorter than a `timeout` of {longest}");
        let rule = "all migrations together may take no less than one of them";
        fault("timeout_total", what, rule, "leave it out, and it is the longest `timeout`, 15m at least");
    }
}
