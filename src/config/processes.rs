//! `[processes.NAME]` of an app: commands that run beside its workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::check::{Checker, Field};
use super::error::{Fault, Problem};
use super::key::{Shape, keys};
use super::kinds::With;
use super::migrate::words;
use super::values;
use super::visible::shortened;

/// `[processes.NAME]`.
pub(super) static PROCESS: Shape = Shape { title: "processes.name", groups: &[ProcessConfig::KEYS] };

keys! {
    /// A command that runs beside the workers.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct ProcessConfig {
        /// the program and its arguments; the program is looked for in the app's PATH
        command: Vec<String> = With(command), [required], "[\"celery\", \"-A\", \"shop\", \"worker\"]", Rollout;
    }
}

/// The value of `processes`: the tables `[processes.NAME]`, by name.
pub(super) fn check(
    checker: &mut Checker<'_>,
    field: &Field<'_, '_>,
) -> Option<BTreeMap<String, ProcessConfig>> {
    let mut read = BTreeMap::new();
    for (key, value) in checker.table(field)? {
        let place = checker.source.place(key.span());
        let fault = match (is_name(key.get_ref()), value.get_ref()) {
            (false, _) => Fault::new(
                "is no name",
                "must begin with a letter and hold at most 40 small letters, digits, - and _",
                "",
            ),
            (true, DeValue::Table(inner)) => {
                let section = checker.section(&PROCESS, inner, place);
                read.insert(key.get_ref().to_string(), ProcessConfig::read(checker, &section));
                continue;
            }
            (true, other) => values::wrong_type(other, "must be a table"),
        };
        let shown = shortened(key.get_ref(), 60);
        let problem = Problem::new(place, format!("`processes.{shown}` {}", fault.what));
        let help = format!("write for example processes = {}", field.example);
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    Some(read)
}

fn command(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<String>> {
    words(field.value.get_ref(), "command = ").map_err(|fault| checker.fault(field, field.value, fault)).ok()
}

fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(fits)
}
