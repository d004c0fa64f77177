//! How long a migration may take for what, of all of them and of single ones.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use super::check::{Checker, Field};
use super::error::{Fault, Problem};
use super::key::{Shape, keys};
use super::kinds::{Number, Time};
use super::names::django_name;
use super::values;
use super::visible::shortened;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What each budget may be; an override may be the same.
const LOCK_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=HOUR;
const LOCK_WAIT: RangeInclusive<Duration> = SECOND..=DAY;
/// The database is looked at four times a second: less could not be seen.
const HARM: RangeInclusive<Duration> = Duration::from_millis(500)..=DAY;
const TIMEOUT: RangeInclusive<Duration> = SECOND..=Duration::from_secs(7 * 24 * 3600);
const STALL: RangeInclusive<Duration> = Duration::from_secs(5)..=DAY;

/// `[migrate.override.NAME]`.
pub(super) static OVERRIDE: Shape = Shape { title: "migrate.override", groups: &[Override::KEYS] };

keys! {
    /// The budgets of a migration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Budgets {
        /// how long the app's settings may take to load and its database to be opened, `"1s"` to `"1h"`; time in which
        /// the process waits for a processor does not count. When it is over, the error names where the app stands
        open_timeout: Duration = Time::within(SECOND..=HOUR), [default MINUTE, "`boot_timeout`"], "\"60s\"", InPlace;
        /// how long an atomic migration may wait for a lock, `"10ms"` to `"1h"`
        // PostgreSQL cancels an autovacuum for whoever waits for it as long as its `deadlock_timeout`.
        lock_timeout: Option<Duration> = Time::within(LOCK_TIMEOUT),
            [unset "PostgreSQL: the server's `deadlock_timeout` and 0.5 s; others: `\"1s\"`"], "\"2s\"", InPlace;
        /// how often a migration that met a lock is tried, 1 to 100
        tries: u32 = Number(1..=100), [default 10], "10", InPlace;
        /// how long one that is not atomic, or another tool, may wait for a lock
        lock_wait: Duration = Time::within(LOCK_WAIT), [default 60 * SECOND], "\"60s\"", InPlace;
        /// how long others may wait behind it, `"500ms"` at least
        harm: Duration = Time::within(HARM), [default 3 * SECOND], "\"3s\"", InPlace;
        /// how long one migration may take, up to `"7d"`
        timeout: Duration = Time::within(TIMEOUT), [default 5 * MINUTE], "\"5m\"", InPlace;
        /// how long all of them may take together
        timeout_total: Duration = Time::within(TIMEOUT), [default 15 * MINUTE, "`\"15m\"`, or the longest `timeout`"],
            "\"15m\"", InPlace;
        /// how long it may show no sign of life: no output, no progress, no work in the database, no processor time used
        stall: Duration = Time::within(STALL), [default 2 * MINUTE], "\"2m\"", InPlace;
    }
}

keys! {
    /// Budgets of one migration; what is `None` is as for the others.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Override {
        /// as in `[migrate]`
        lock_timeout: Option<Duration> = Time::within(LOCK_TIMEOUT), [unset ""], "\"2s\"", InPlace;
        /// as in `[migrate]`
        lock_wait: Option<Duration> = Time::within(LOCK_WAIT), [unset ""], "\"60s\"", InPlace;
        /// as in `[migrate]`
        harm: Option<Duration> = Time::within(HARM), [unset ""], "\"3s\"", InPlace;
        /// as in `[migrate]`
        timeout: Option<Duration> = Time::within(TIMEOUT), [unset ""], "\"30m\"", InPlace;
        /// as in `[migrate]`
        stall: Option<Duration> = Time::within(STALL), [unset ""], "\"2m\"", InPlace;
    }
}

/// The value of `override`: the tables `[migrate.override.NAME]`, by name.
pub(super) fn overrides(
    checker: &mut Checker<'_>,
    field: &Field<'_, '_>,
) -> Option<BTreeMap<String, Override>> {
    let mut read = BTreeMap::new();
    for (key, value) in checker.table(field)? {
        let shown = shortened(key.get_ref(), 60);
        let fault = match (django_name(key.get_ref()), value.get_ref()) {
            (None, _) => Fault::new("is no name of a migration", "must be app_label.name, or name", ""),
            (Some(_), DeValue::Table(inner)) if is_split(inner) => {
                let inner = inner.keys().next().map_or("", |key| key.get_ref());
                let help = format!("quote the name: [migrate.override.\"{shown}.{}\"]", shortened(inner, 60));
                Fault::new("is split at its dot", "TOML takes an unquoted dot for the end of a table", help)
            }
            (Some(name), DeValue::Table(inner)) => {
                let place = checker.source.place(key.span());
                let section = checker.section(&OVERRIDE, inner, place);
                read.insert(name, Override::read(checker, &section));
                continue;
            }
            (Some(_), other) => values::wrong_type(other, "must be a table"),
        };
        let problem =
            Problem::new(checker.source.place(key.span()), format!("`override.{shown}` {}", fault.what));
        let example = "write for example [migrate.override.\"shop.0007_price\"]";
        let help = if fault.help.is_empty() { example } else { &fault.help };
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    Some(read)
}

/// Whether `[migrate.override.shop.0007_price]` was written without quotes.
fn is_split(table: &DeTable<'_>) -> bool {
    !table.is_empty() && table.values().all(|value| matches!(value.get_ref(), DeValue::Table(_)))
}
