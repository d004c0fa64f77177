//! `workers`: a number, `"auto"`, or a range within which the load decides.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::check::{Checker, Section};
use super::error::{Fault, Place};
use super::types::{Workers, WorkersRange};
use super::{keys, values};

const EXAMPLE: &str = "4";
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 3600);

/// The workers of the app whose table is `parent`; `None` where they are not set or bad.
pub(super) fn check(checker: &mut Checker<'_>, parent: &Section<'_, '_>) -> Option<Workers> {
    let field = parent.field("workers", EXAMPLE)?;
    match field.value.get_ref() {
        DeValue::Table(table) => {
            let place = checker.source.place(field.value.span());
            range(checker, table, &place).map(Workers::Range)
        }
        _ => checker.read(parent, "workers", EXAMPLE, values::workers),
    }
}

fn range(checker: &mut Checker<'_>, table: &DeTable<'_>, place: &Place) -> Option<WorkersRange> {
    let section = checker.section(&keys::WORKERS, table);
    for (key, example) in [("min", "2"), ("max", "16")] {
        if !section.has(key) {
            checker.missing(place, key, example);
        }
    }
    let count = values::count(1..=values::WORKERS_MOST);
    let min = checker.read(&section, "min", "2", &count);
    let max = checker.read(&section, "max", "16", &count);
    let idle = values::duration(Duration::from_secs(1)..=LONGEST_IDLE, false);
    let idle = checker.read(&section, "idle", "\"5m\"", idle);
    let (min, max) = (min?, max?);
    if let Some(field) = section.field("max", "16").filter(|_| min > max) {
        let fault =
            Fault::new("is less than `min`", "must not be below `min`", "raise it, or write one number");
        checker.fault(&field, field.value, fault);
        return None;
    }
    Some(WorkersRange { min, max, idle })
}
