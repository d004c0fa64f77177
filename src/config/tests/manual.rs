//! The manual page and the files that a package brings.

use super::super::keys::{self, Shape};
use super::*;

const MANUAL: &str = include_str!("../../../packaging/man/ostler.toml.5.md");
const MAIN: &str = include_str!("../../../packaging/etc/ostler.toml");
const EXAMPLE: &str = include_str!("../../../packaging/etc/apps.d/shop.toml.example");

/// The part of the manual below a heading, up to the next one.
fn section(heading: &str) -> &'static str {
    let begin =
        MANUAL.find(heading).unwrap_or_else(|| panic!("the manual has no {heading:?}")) + heading.len();
    let rest = &MANUAL[begin..];
    &rest[..rest.find("\n##").unwrap_or(rest.len())]
}

/// In the first column of a table.
fn is_named(key: &str, section: &str) -> bool {
    let heads = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    heads.flat_map(|head| head.split([' ', ',', '`'])).any(|word| word == key)
}

#[test]
fn the_manual_names_every_key_where_it_belongs() {
    let sections: [(&str, &Shape); 9] = [
        ("## The main file\n", &keys::MAIN),
        ("### [edge]\n", &keys::EDGE),
        ("### [health]\n", &keys::HEALTH),
        ("## An app\n", &keys::APP),
        ("### [probe]\n", &keys::PROBE),
        ("### [rollout]\n", &keys::ROLLOUT),
        ("### [limits]\n", &keys::LIMITS),
        ("### [migrate]\n", &keys::MIGRATE),
        ("### [migrate.override.", &keys::OVERRIDE),
    ];
    let mut missing = Vec::new();
    for (heading, shape) in sections {
        let is_section = |key: &str| MANUAL.contains(&format!("### [{key}]\n"));
        let keys = shape.known.iter().filter(|key| !is_section(key) && !is_named(key, section(heading)));
        missing.extend(keys.map(|key| format!("{}: {key}", heading.trim())));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The text with every setting that is commented out in force.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_main_file_of_the_package_sets_nothing_and_what_it_shows_is_taken() {
    assert!(MAIN.lines().all(|line| line.is_empty() || line.starts_with('#')), "{MAIN}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ostler.toml");
    std::fs::write(&file, uncommented(MAIN)).unwrap();
    let config = load(&file, true).unwrap();
    assert_eq!(config.health.listen.map(|addresses| addresses.len()), Some(2));
    assert!(config.health.agent.is_some() && config.health.token_file.is_some());
}

#[test]
fn the_example_of_an_app_is_taken_as_it_is_and_with_all_that_it_shows() {
    assert_eq!(parse(EXAMPLE).unwrap().user.as_deref(), Some("shop"));
    let whole = parse(&uncommented(EXAMPLE)).unwrap();
    assert!(whole.probe.path.is_some() && whole.migrate.command.is_some());
}
