//! The manual page and the files that a package brings.

use super::*;

const MANUAL: &str = include_str!("../../../packaging/man/ostler.toml.5.md");
const EDGE_PAGE: &str = include_str!("../../../packaging/man/ostler-edge.7.md");
const MAIN: &str = include_str!("../../../packaging/etc/ostler.toml");
const EXAMPLE: &str = include_str!("../../../packaging/etc/apps.d/shop.toml.example");

/// What makes the tables of the manual from the rows.
const WRITE: &str = "OSTLER_WRITE_MANUAL";

fn heading(shape: &Shape) -> String {
    match shape.title {
        "" => "## An app".to_owned(),
        "the main file" => "## The main file".to_owned(),
        "processes.name" => "### [processes.NAME]".to_owned(),
        "migrate.override" => "### [migrate.override.\"APP.MIGRATION\"]".to_owned(),
        title => format!("### [{title}]"),
    }
}

/// The table of a group of keys. Keys of which the same is said share a row; a section has a heading instead.
fn table(keys: &[Key]) -> Vec<String> {
    let has_heading = |key: &Key| SHAPES.iter().any(|shape| shape.title == key.name);
    let is_told = |key: &&Key| key.change != Change::Within || !has_heading(key);
    let mut rows: Vec<(String, &str, String)> = Vec::new();
    for key in keys.iter().filter(is_told) {
        let (name, doc, default) = (format!("`{}`", key.name), key.doc.trim(), (key.default)());
        match rows.last_mut().filter(|row| (row.1, &row.2) == (doc, &default)) {
            Some(row) => row.0 += &format!(", {name}"),
            None => rows.push((name, doc, default)),
        }
    }
    let has_defaults = rows.iter().any(|row| !row.2.is_empty());
    let head = ("key".to_owned(), "what", "default".to_owned());
    let line = ("---".to_owned(), "---", "---".to_owned());
    let cells = |(key, what, default): (String, &str, String)| match (has_defaults, default.as_str()) {
        (false, _) => format!("| {key} | {what} |"),
        (true, "") => format!("| {key} | {what} | |"),
        (true, default) => format!("| {key} | {what} | {default} |"),
    };
    [head, line].into_iter().chain(rows).map(cells).collect()
}

/// The manual with its tables of keys made anew: below each heading one for each group, in order.
fn manual() -> String {
    let mut made: Vec<String> = Vec::new();
    let mut groups: Vec<&[Key]> = Vec::new();
    let mut in_table = false;
    for line in MANUAL.lines() {
        if line.starts_with('#') {
            assert!(groups.is_empty(), "a table is missing before {line:?}");
            let shape = SHAPES.iter().find(|shape| heading(shape) == line);
            groups = shape.map(|shape| shape.groups.to_vec()).unwrap_or_default();
        }
        let begins = line.starts_with('|') && !in_table && !groups.is_empty();
        in_table = begins || (in_table && line.starts_with('|'));
        match (begins, in_table) {
            (true, _) => made.extend(table(groups.remove(0))),
            (false, true) => {}
            (false, false) => made.push(line.to_owned()),
        }
    }
    made.join("\n") + "\n"
}

#[test]
fn the_manual_has_every_key_as_its_row_has_it() {
    let made = manual();
    if std::env::var_os(WRITE).is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/man/ostler.toml.5.md");
        return std::fs::write(file, made).unwrap();
    }
    let differ = made.lines().zip(MANUAL.lines()).find(|(made, line)| made != line);
    assert!(made == MANUAL, "{differ:#?}\nwrite it with {WRITE}=1 cargo test -p ostler-core manual");
    let is_there = |shape: &&&Shape| shape.title == "workers" || MANUAL.contains(&heading(shape));
    assert!(SHAPES.iter().all(|shape| is_there(&shape)), "a section is missing");
}

/// The table of presets in ostler-edge(7). Those of which the same is said share a row, and that of nothing known is last.
fn presets() -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    for preset in Preset::ALL.into_iter().cycle().skip(1).take(Preset::ALL.len()) {
        let idle = match preset.idle() {
            Idle::Unknown => "| | |".to_owned(),
            Idle::Configured(program) => format!("| as {program} is configured | over that |"),
            Idle::Usual(idle, enough) => format!("| {idle} s | {enough} |"),
            Idle::Fixed(idle, enough) => format!("| {idle} s, fixed | {enough} |"),
        };
        let told = format!("{} | {} s {idle}", preset.checks(), preset.delay().as_secs());
        let name = format!("`\"{preset}\"`");
        match rows.last_mut().filter(|row| row.1 == told) {
            Some(row) => row.0 += &format!(", {name}"),
            None => rows.push((name, told)),
        }
    }
    rows.into_iter().map(|(names, told)| format!("| {names} | {told}\n")).collect()
}

#[test]
fn every_page_and_file_about_presets_has_each_as_its_row_has_it() {
    let table = presets();
    let rows = EDGE_PAGE.lines().skip_while(|line| !line.starts_with("| `preset`")).skip(2);
    let there: String =
        rows.take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    assert_eq!(there, table, "the table of ostler-edge(7)");
    let key = SHAPES.iter().flat_map(|shape| shape.keys()).find(|key| key.name == "preset").unwrap();
    let commented = MAIN.replace("\n# ", " ");
    for preset in Preset::ALL {
        assert!(key.doc.contains(&format!("`\"{preset}\"`")), "{preset} is missing in {}", key.doc);
        let is_told = [",", ".", " or "].iter().any(|end| commented.contains(&format!(" {preset}{end}")));
        assert!(is_told, "{preset} is missing in the main file of the package");
    }
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
