//! `[migrate]` of an app: what is run before a rollout, and how long what may take.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use super::breaking::Breaking;
use super::budgets::{self, Budgets, Override};
use super::check::{Checker, Field, Section};
use super::database_url::DatabaseUrl;
use super::error::Fault;
use super::key::{KeyKind, Shape, keys};
use super::kinds::{Flag, List, ParsedText, With};
use super::names::django_name;
use super::values;
use super::visible::shortened;

/// `[migrate]`.
pub(super) static MIGRATE: Shape = Shape { title: "migrate", groups: &[MigrateConfig::KEYS, Budgets::KEYS] };

keys! {
    /// `[migrate]`; its own keys say what runs.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct MigrateConfig with {
        /// Whether the file has any key of it.
        configured: bool,
        /// What everything may take.
        budgets: Budgets,
    } {
        /// `false`: nothing of this section runs
        enabled: Option<bool> = Flag,
            [unset "`true` if `directory` has a `manage.py`, if the app [loads Django](ostler-migrations.7.md#without-a-managepy), or if `command` is given"],
            "false", InPlace;
        /// another tool than Django's migrate: a list of the program and its arguments
        command: Option<Vec<String>> = With(command), [unset "Django's migrate"], "[\"alembic\", \"upgrade\", \"head\"]", InPlace;
        /// the entry of Django's `DATABASES`, or a list of them, migrated in this order
        database: Vec<String> = With(database), [unset "`\"default\"`"], "[\"default\", \"reports\"]", InPlace;
        /// another tool's database, `"postgresql://…"`, `"mysql://…"`, `"sqlite:///…"`, or `"env:NAME"`: taken from that
        /// variable of the app's environment; never shown
        database_url: Option<DatabaseUrl> = With(database_url), [unset "none: the command is watched alone"],
            "\"env:DATABASE_URL\"", InPlace;
        /// what happens to a migration that [breaks the code that serves](ostler-migrations.7.md#what-the-old-code-must-tolerate):
        /// `"refuse"`, or `"warn"`: run it and print a warning
        breaking: Breaking = ParsedText(Breaking::read), [default Breaking::Refuse], "\"warn\"", InPlace;
        /// other limits for one migration, in a table of its own; see below
        overrides("override"): BTreeMap<String, Override> = With(budgets::overrides), [section],
            "{ \"shop.0007_price\" = { timeout = \"30m\" } }", InPlace;
        /// `false`: the database keeps nothing of runs that cannot be undone. Then other servers do not know what one left
        /// half done, nor [which code has had its migrate](ostler-migrations.7.md#what-hangs-on-migrate); see
        /// [Several servers](ostler-migrations.7.md#several-servers-several-databases)
        marker: bool = Flag, [default true], "false", InPlace;
        /// a list of commands, each a list, run after the rollout has succeeded
        post_deploy: Vec<Vec<String>> = With(post_deploy), [unset "none"], "[[\"python\", \"manage.py\", \"clearcache\"]]", InPlace;
    }
}

/// The section, with what contradicts itself.
pub(super) fn check(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> MigrateConfig {
    let before = checker.problems.len();
    let budgets = Budgets::read(checker, section);
    let mut config = MigrateConfig::read(checker, section, !section.is_empty(), budgets);
    // Who lets one migration take longer lets all of them together take as long.
    let usual = section.has("timeout").then_some(budgets.timeout);
    let longest =
        config.overrides.values().filter_map(|it| it.timeout).chain(usual).max().unwrap_or_default();
    if !section.has("timeout_total") {
        config.budgets.timeout_total = budgets.timeout_total.max(longest);
    }
    // What contradicts itself only because it is bad has been told once.
    if checker.problems.len() == before {
        contradictions(checker, section, &config, longest);
    }
    config
}

fn command(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<String>> {
    match words(field.value.get_ref(), "command = ") {
        Ok(words) if is_djangos(&words) => {
            let fault = Fault::new(
                "is Django's own migrate",
                "ostlerd runs that by itself, and sees each operation of it",
                "leave `command` out",
            );
            checker.fault(field, field.value, fault);
            None
        }
        Ok(words) => Some(words),
        Err(fault) => {
            checker.fault(field, field.value, fault);
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
pub(super) fn words(value: &DeValue<'_>, before: &str) -> Result<Vec<String>, Fault> {
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

fn database(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<String>> {
    let names = List(ParsedText(alias)).check(checker, field)?;
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    let (what, rule) = match (twice, field.value.get_ref().as_array()) {
        (Some((_, name)), _) => (format!("has {name:?} twice"), "each is migrated once"),
        (None, Some(items)) if items.is_empty() => ("is an empty list".to_owned(), "must name an alias"),
        _ => return Some(names),
    };
    let help = "to run no migrations at all write enabled = false";
    checker.fault(field, field.value, Fault::new(what, rule, help));
    None
}

fn alias(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = values::text(value)?;
    if text.contains("://") {
        let rule = "must be the name of an entry of Django's DATABASES";
        return Err(Fault::new("is a URL", rule, "for another tool than Django's write database_url"));
    }
    django_name(text).ok_or_else(|| {
        let rule = "must be the name of an entry of Django's DATABASES";
        Fault::new(format!("is {:?}", shortened(text, 60)), rule, "")
    })
}

fn database_url(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<DatabaseUrl> {
    checker.one(field, field.value, DatabaseUrl::read)
}

fn post_deploy(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<Vec<String>>> {
    const RULE: &str = "must be a list of commands, each a list of its own";
    const MOST: usize = 64;
    let bad = |checker: &mut Checker<'_>, fault| {
        checker.fault(field, field.value, fault);
        None
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
                checker.fault(field, item, fault);
            }
        }
    }
    Some(commands)
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Keys that are good by themselves, and make no sense together.
fn contradictions(
    checker: &mut Checker<'_>,
    section: &Section<'_, '_>,
    config: &MigrateConfig,
    longest: Duration,
) {
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
        if section.has("breaking") {
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
    if longest > config.budgets.timeout_total {
        let what = format!("is shorter than a `timeout` of {}", values::words(longest));
        let rule = "all migrations together may take no less than one of them";
        let help = "leave it out, and it is the longest `timeout`, 15m at least";
        fault("timeout_total", what, rule, help);
    }
}
