//! What is accepted, and what every bad input prints.

mod accepted;
mod belongs;
mod edge;
mod files;
mod garbage;
mod health;
pub(crate) mod keys;
mod manual;
mod migrate;
mod printed;
mod ranges;
mod static_files;

use std::path::Path;

use super::*;

const SHOP: &str = "/etc/ostler/apps.d/shop.toml";

/// An app that says what it must and nothing more.
const ENOUGH: &str = r#"
directory = "/srv/shop/current"
python = "/srv/shop/venv/bin/python"
app = "shop.wsgi:application"
listen = "127.0.0.1:8000"
user = "shop"
"#;

fn parse(text: &str) -> Result<AppConfig, Problems> {
    parse_app(&"shop".parse().unwrap(), text, Path::new(SHOP), true)
}

/// The app of `ENOUGH` with `more` on top of it.
fn accepted(more: &str) -> AppConfig {
    parse(&format!("{ENOUGH}{more}")).unwrap_or_else(|problems| panic!("{more}:\n{problems}"))
}

/// What is printed for `ENOUGH` with `more` below it: it has exactly one problem.
fn refused(more: &str) -> String {
    one(parse(&format!("{ENOUGH}{more}")), more)
}

/// The same with one of its lines replaced.
fn refused_instead(key: &str, line: &str) -> String {
    let lines = ENOUGH.lines().map(|old| if old.starts_with(key) { line } else { old });
    one(parse(&lines.collect::<Vec<_>>().join("\n")), line)
}

fn one(result: Result<AppConfig, Problems>, what: &str) -> String {
    let problems = result.err().unwrap_or_else(|| panic!("accepted: {what}"));
    assert_eq!(problems.len(), 1, "{what}:\n{problems}");
    problems.to_string()
}

#[track_caller]
fn same(printed: &str, expected: &str) {
    let expected = expected.strip_prefix('\n').unwrap_or(expected);
    assert!(printed == expected, "printed:\n{printed}\nexpected:\n{expected}");
}

/// `printed` has each of these.
#[track_caller]
fn says(printed: &str, parts: &[&str]) {
    for part in parts {
        assert!(printed.contains(part), "{part:?} is missing from:\n{printed}");
    }
}
