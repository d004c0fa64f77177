//! The rules of the house that no compiler holds: who imports whom, what is pure, how long a file is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "attacks/list.rs"]
mod attacks;

/// What each module may name of the others: data flows one way.
const IMPORTS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("worker", &[]),
    ("plan", &["config", "worker"]),
    ("supervise", &["config", "plan"]),
    ("migrate", &["config", "plan", "supervise", "worker"]),
    ("observe", &["config", "plan", "supervise"]),
    ("control", &["config", "plan", "supervise", "observe"]),
    ("cli", &["config", "plan", "supervise", "observe", "control"]),
    ("run", &["config", "worker", "plan", "supervise", "migrate", "observe", "control"]),
    ("fuzzing", &["config", "observe", "control", "cli", "run"]),
    ("bin/ostler.rs", &["cli"]),
    ("bin/ostlerd.rs", &["config", "worker", "plan", "supervise", "migrate", "observe", "control", "run"]),
];

/// Modules without a clock, a file, a process or a log; what they may touch is what they are handed.
const PURE: &[&str] = &["src/config", "src/plan", "src/supervise"];

/// The one part of them that reads files.
const IMPURE: &[&str] = &["src/config/load.rs"];

/// Where clippy's lists of `.clippy.toml` are denied.
const DENIES: &[&str] = &["src/config/check.rs", "src/plan/mod.rs", "src/supervise/mod.rs"];

const DENIAL: &str = "#![deny(clippy::disallowed_methods, clippy::disallowed_types)]";

/// Paths and names that a pure module must not hold; a runtime, sockets and logs its crate has not (src/Cargo.toml).
const IMPURITIES: &[&str] = &[
    "std::fs",
    "std::process",
    "std::env",
    "std::thread",
    "std::os",
    "std::net::Tcp",
    "std::net::Udp",
    "ToSocketAddrs",
    "Instant",
    "SystemTime",
    "nix",
    "println!",
    "eprintln!",
];

const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with one of these endings, relative to the package, sorted.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(items) = fs::read_dir(&folder) else { continue };
        for path in items.map(|item| item.expect("the package can be read").path()) {
            let ending = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if endings.contains(&ending) {
                found.push(path.strip_prefix(root()).expect("it is below the package").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code of a Rust file: comments and the insides of texts blanked, line for line.
fn code(path: &Path) -> String {
    strip(&text(path))
}

fn strip(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => end_of(&chars, at, "\n").saturating_sub(1),
            ('/', Some('*')) => end_of(&chars, at + 2, "*/"),
            ('"', _) => end_of_text(&chars, at),
            ('r', Some('"' | '#')) => end_of_raw_text(&chars, at),
            ('\'', Some('"')) => at + 3,
            _ => at,
        };
        if end <= at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end.min(chars.len())].iter().filter(|it| **it == '\n'));
            at = end;
        }
    }
    code
}

/// The place after the next `mark` at or behind `from`.
fn end_of(chars: &[char], from: usize, mark: &str) -> usize {
    let mark: Vec<char> = mark.chars().collect();
    let found = (from..chars.len()).find(|&at| chars[at..].starts_with(&mark));
    found.map_or(chars.len() + 1, |at| at + mark.len())
}

fn end_of_text(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw_text(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|it| **it == '#').count();
    let before = start.checked_sub(1).map(|at| chars[at]);
    let in_a_name = before.is_some_and(|it| it.is_alphanumeric() || it == '_');
    if in_a_name || chars.get(start + 1 + hashes) != Some(&'"') {
        return start;
    }
    end_of(chars, start + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
}

/// Whether `word` stands in `code` by itself, not as a part of a longer name.
fn has(code: &str, word: &str) -> bool {
    let inner = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    code.match_indices(word).any(|(at, _)| {
        let open_end = word.ends_with("Tcp") || word.ends_with("Udp");
        !inner(code[..at].chars().next_back()) && (open_end || !inner(code[at + word.len()..].chars().next()))
    })
}

/// The modules that `code` names below `crate::` (`ostler::` in the binaries), one or a list in braces.
fn named(code: &str, crate_name: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, mark) in code.match_indices(crate_name) {
        if code[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_') {
            continue;
        }
        let rest = &code[at + mark.len()..];
        match rest.strip_prefix('{') {
            None => names.push(first_name(rest)),
            Some(list) => names.extend(top_level(list).iter().map(|item| first_name(item))),
        }
    }
    names
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}

/// The items of a list in braces, without those of the lists in it.
fn top_level(list: &str) -> Vec<String> {
    let (mut items, mut depth) = (vec![String::new()], 0);
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ => items.last_mut().expect("it begins with one").push(letter),
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn imports_go_one_way() {
    let modules: Vec<&str> =
        IMPORTS.iter().map(|(module, _)| *module).filter(|it| !it.contains('/')).collect();
    let mut wrong = Vec::new();
    for (module, may) in IMPORTS {
        let own = module.split('/').next().unwrap_or_default();
        let crate_name = if own == "bin" { "ostler::" } else { "crate::" };
        let below =
            if own == "bin" { vec![PathBuf::from(format!("src/{module}"))] } else { of_module(module) };
        for file in below {
            for name in named(&code(&file), crate_name) {
                if modules.contains(&name.as_str()) && name != *module && !may.contains(&name.as_str()) {
                    wrong.push(format!("{} names {crate_name}{name}", file.display()));
                }
            }
        }
    }
    none("imports against the direction of the data", wrong);
}

fn of_module(module: &str) -> Vec<PathBuf> {
    let found = files(&format!("src/{module}"), &["rs"]);
    assert!(!found.is_empty(), "src/{module} is gone: IMPORTS is out of date");
    found
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let listed = |name: &str| IMPORTS.iter().any(|(module, _)| *module == name);
    let unlisted: Vec<String> = fs::read_dir(root().join("src"))
        .expect("the package can be read")
        .map(|item| item.expect("the package can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| !["bin", "lib.rs", "core.rs", "Cargo.toml"].contains(&name.as_str()) && !listed(name))
        .collect();
    none("modules without a line in IMPORTS", unlisted);
}

#[test]
fn pure_modules_touch_nothing() {
    let mut wrong = Vec::new();
    for file in PURE.iter().flat_map(|folder| files(folder, &["rs"])) {
        if IMPURE.iter().any(|it| file == Path::new(it)) || file.to_string_lossy().contains("tests") {
            continue;
        }
        let code = code(&file);
        let found = IMPURITIES.iter().filter(|word| has(&code, word));
        wrong.extend(found.map(|word| format!("{}: {word}", file.display())));
    }
    none("impurities", wrong);
}

#[test]
fn pure_modules_deny_what_clippy_knows_to_be_impure() {
    let missing = DENIES.iter().filter(|file| !text(file).lines().any(|line| line == DENIAL));
    none(&format!("files without {DENIAL}"), missing.map(|it| (*it).to_owned()).collect());
}

#[test]
fn no_file_is_too_long() {
    let long = ["src", "tests"].into_iter().flat_map(|folder| files(folder, &["rs", "py", "sh"])).filter_map(
        |file| {
            let lines = text(&file).lines().count();
            (lines > LONGEST).then(|| format!("{}: {lines} lines, {LONGEST} are the most", file.display()))
        },
    );
    none("files that want to be two", long.collect());
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = text("Cargo.toml");
    let (mut wrong, mut before, mut within) = (Vec::new(), "", false);
    for line in manifest.lines() {
        if let Some(title) = line.strip_prefix('[') {
            within = title.trim_end_matches(']').ends_with("dependencies");
        } else if within && line.contains('=') && !line.contains(".workspace") && !before.starts_with("# ") {
            wrong.push(line.to_owned());
        }
        before = line;
    }
    none("dependencies without a comment above them", wrong);
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [["FIX", "ME"], ["TO", "DO"], ["XX", "X"], ["#[ig", "nore"], ["to", "do!("], ["unimple", "mented!("]];
    let mut found = Vec::new();
    for file in ["src", "tests"].into_iter().flat_map(|folder| files(folder, &["rs", "py", "sh"])) {
        for (number, line) in text(&file).lines().enumerate() {
            let mark = marks
                .iter()
                .map(|it| it.concat())
                .find(|mark| has(line, mark) || line.contains(&format!("{mark}]")));
            found.extend(mark.map(|mark| format!("{}:{}: {mark}", file.display(), number + 1)));
        }
    }
    none("marks of unfinished work", found);
}

#[test]
fn tests_wait_on_a_state_and_sleep_in_one_place() {
    let mut sleeps: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for file in files("tests", &["rs"]) {
        let binary: PathBuf = file.components().take(2).collect();
        for (number, line) in code(&file).lines().enumerate() {
            if has(line, "sleep") && line.contains("sleep(") {
                sleeps.entry(binary.clone()).or_default().push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    let too_many = sleeps.into_values().filter(|places| places.len() > 1).flatten();
    none("sleeps beside the one in each binary's own way of waiting", too_many.collect());
}

#[test]
fn each_purpose_installs_only_what_it_takes() {
    let installs = |purpose: &str| {
        let mut setup = std::process::Command::new("bash");
        let output = setup.args(["tests/setup.sh", "--list", purpose]).current_dir(root()).output();
        let output = output.expect("bash starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(installs("packages"), ["build-essential", "make", "rpm"]);
    assert_eq!(installs("build"), ["build-essential", "make"]);
    let lint = ["build-essential", "make", "python3", "python3-venv", "ca-certificates", "shellcheck"];
    assert_eq!(installs("lint"), lint);
    let test = installs("test");
    assert!(
        ["postgresql", "mariadb-server", "chromium"].iter().all(|it| test.contains(&(*it).to_owned())),
        "{test:?}"
    );
}

#[test]
fn documents_stand_for_themselves() {
    let mut documents = files("packaging", &["md"]);
    documents.extend(["README.md", "CHANGELOG.md"].map(PathBuf::from));
    let mut found = Vec::new();
    for file in documents {
        for (number, line) in text(&file).lines().enumerate() {
            let ticket = line
                .match_indices('#')
                .any(|(at, _)| line[at + 1..].starts_with(|it: char| it.is_ascii_digit()));
            if ticket {
                found.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    none("numbers of tickets", found);
}

#[test]
fn the_rules_see_what_they_look_for() {
    let source = "use crate::{run::X, plan::{config, y}};\n// crate::control\nlet a = \"crate::observe\"; r#\"tokio\"#; '\"'; tokio::x";
    let code = strip(source);
    assert_eq!(named(&code, "crate::"), ["run", "plan"]);
    assert!(has(&code, "tokio") && !has("tokio_like", "tokio") && !has(&code, "control"), "{code}");
    assert_eq!(code.lines().count(), source.lines().count());
    assert!(
        has("use std::net::TcpStream;", "std::net::Tcp") && !has("std::net::SocketAddr", "std::net::Tcp")
    );
}
