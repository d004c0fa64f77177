//! `workers`: a number, `"auto"`, or a range within which the load decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::check::{Checker, Field};
use super::error::Fault;
use super::key::{Shape, keys};
use super::kinds::{Number, One, Time};
use super::values::{Read, wrong_type};
use super::visible::shortened;

/// The most workers that one app may have.
pub const WORKERS_MOST: u32 = 1000;

const SECOND: Duration = Duration::from_secs(1);

/// A number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workers {
    /// So many.
    Count(u32),
    /// 2 × CPUs + 1.
    Auto,
    /// As many as the load needs.
    Range(WorkerRange),
}

impl Workers {
    /// The number that there always is; `None` for one that is not known from the file.
    pub(super) fn least(self) -> Option<u32> {
        match self {
            Workers::Count(count) => Some(count),
            Workers::Range(range) => Some(range.min),
            Workers::Auto => None,
        }
    }
}

/// `workers`, if it is a range.
pub(super) static WORKERS: Shape = Shape { title: "workers", groups: &[WorkerRange::KEYS] };

keys! {
    /// Numbers of workers within which the load decides.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct WorkerRange {
        /// never fewer
        min: u32 = Number(1..=WORKERS_MOST), [required], "2", Resize;
        /// never more
        max: u32 = Number(1..=WORKERS_MOST), [required], "16", Resize;
        /// how long there has been too little to do before there is one worker less
        // Longer than most lulls, short against the hours that a peak lasts.
        idle: Duration = Time::within(SECOND..=24 * 3600 * SECOND), [default 300 * SECOND], "\"5m\"", InPlace;
    }
}

/// The value of `workers`; `None` where it is bad.
pub(super) fn check(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Workers> {
    let DeValue::Table(table) = field.value.get_ref() else {
        return checker.one(field, field.value, number);
    };
    let before = checker.problems.len();
    let place = checker.source.place(field.value.span());
    let section = checker.section(&WORKERS, table, place);
    let range = WorkerRange::read(checker, &section);
    if checker.problems.len() == before
        && range.min > range.max
        && let Some(field) = section.field("max", "")
    {
        let fault =
            Fault::new("is less than `min`", "must not be below `min`", "raise it, or write one number");
        checker.fault(&field, field.value, fault);
    }
    (checker.problems.len() == before).then_some(Workers::Range(range))
}

/// `4` or `"auto"`.
fn number(value: &DeValue<'_>) -> Read<Workers> {
    match value {
        DeValue::String(text) if text == "auto" => Ok(Workers::Auto),
        DeValue::Integer(number) if number.as_str().trim_start_matches('0').is_empty() => Err(Fault::new(
            "is 0",
            format!("must be a whole number from 1 to {WORKERS_MOST}"),
            "to run no worker use `ostler stop NAME`, or take the app's file away",
        )),
        DeValue::Integer(_) => Number(1..=WORKERS_MOST).read(value).map(Workers::Count),
        other => {
            let rule = format!(
                "must be a whole number from 1 to {WORKERS_MOST}, or \"auto\", or a range such as {{ min = 2, max = 16 }}"
            );
            let mut fault = wrong_type(other, &rule);
            if let Some(text) = other.as_str() {
                fault.what = format!("is {:?}", shortened(text, 40));
                if text.parse::<u32>().is_ok() {
                    fault.help = "leave out the quotes".to_owned();
                }
            }
            Err(fault)
        }
    }
}
