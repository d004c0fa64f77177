//! The list of attacks names tests that there are: one that is renamed or gone is found at once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{files, has, none, text};

/// So many there are at least.
const LEAST: usize = 150;

/// Which folders have the laws of a binary that is none of cargo's.
const PYTHON: &[(&str, &str)] = &[("shim", "tests/shim"), ("database", "tests/migrate_db")];

fn listed() -> Vec<(String, String)> {
    let list = text("tests/attacks/attacks.list");
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    lines
        .map(|line| {
            let (binary, name) = line.split_once(' ').unwrap_or_else(|| panic!("BINARY NAME, not {line:?}"));
            (binary.to_owned(), name.to_owned())
        })
        .collect()
}

/// Where a test of that path may stand: `a::b::law` in `a/b.rs`, in `a.rs` or beside it.
fn places(binary: &str, name: &str) -> Vec<PathBuf> {
    if let Some((_, folder)) = PYTHON.iter().find(|(it, _)| *it == binary) {
        return files(folder, &["py"]);
    }
    let root = if binary == "lib" { "src".to_owned() } else { format!("tests/{binary}") };
    let parts: Vec<&str> = name.split("::").collect();
    let first = parts.iter().take(parts.len() - 1).copied().take(1).collect::<String>();
    let within = |path: &PathBuf| {
        let below =
            path.strip_prefix(&root).ok().and_then(|it| it.iter().next()?.to_str().map(str::to_owned));
        below.is_some_and(|it| it == first || it == format!("{first}.rs"))
    };
    let last = parts[..parts.len() - 1].iter().rev().find(|it| **it != "tests").copied().unwrap_or("main");
    let named = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        let folder = path.parent().and_then(|it| it.file_name()?.to_str()).unwrap_or_default();
        stem == last || stem == format!("{last}_tests") || folder == last
    };
    files(&root, &["rs"]).into_iter().filter(|path| within(path) && named(path)).collect()
}

#[test]
fn every_attack_of_the_list_is_a_test() {
    let listed = listed();
    assert!(listed.len() >= LEAST, "{} attacks are fewer than {LEAST}", listed.len());
    let unique: BTreeSet<_> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "one is listed twice");
    let missing = listed.iter().filter(|(binary, name)| {
        let law = name.rsplit("::").next().unwrap_or(name);
        let (rust, python) = (format!("fn {law}("), format!("def {law}("));
        let is = |path: &PathBuf| {
            let text = text(path);
            // Some are made for each of several drivers, by a macro that gets their names.
            text.contains(&rust)
                || text.contains(&python)
                || (text.contains("macro_rules!") && has(&text, law))
        };
        !places(binary, name).iter().any(is)
    });
    none(
        "attacks of tests/attacks/attacks.list that are no tests",
        missing.map(|(a, b)| format!("{a} {b}")).collect(),
    );
}
