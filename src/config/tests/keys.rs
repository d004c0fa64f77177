//! Each key, by what its row says.

use super::super::assemble::main_file;
use super::*;

/// A file that sets a key, or leaves it out, with what it needs beside it.
pub(crate) fn file(shape: &Shape, key: &str, value: Option<&str>) -> String {
    let line = value.map(|value| format!("{key} = {value}")).unwrap_or_default();
    let without = |lines: &str| {
        let others = lines.lines().filter(|other| !other.starts_with(&format!("{key} =")));
        others.map(|other| format!("{other}\n")).collect::<String>()
    };
    match shape.title {
        "the main file" => line,
        "edge" | "health" => format!("[{}]\n{line}", shape.title),
        "" => format!("{}{line}", without(ENOUGH)),
        "workers" => {
            let range = without("min = 1\nmax = 1000").replace('\n', ", ") + &line;
            format!("{ENOUGH}workers = {{ {} }}", range.trim_end_matches(", "))
        }
        "migrate" if key == "database_url" => format!("{ENOUGH}[migrate]\ncommand = [\"alembic\"]\n{line}"),
        "migrate.override" => format!("{ENOUGH}[migrate.override.x]\n{line}"),
        title => format!("{ENOUGH}[{title}]\n{line}"),
    }
}

/// What the file is read as.
pub(crate) enum Read {
    App(Box<AppConfig>),
    Machine(Edge, HealthConfig),
}

/// Reads such a file.
pub(crate) fn read(shape: &Shape, key: &str, value: Option<&str>) -> Result<Read, Problems> {
    let text = file(shape, key, value);
    if !matches!(shape.title, "the main file" | "edge" | "health") {
        return parse(&text).map(Box::new).map(Read::App);
    }
    let (main, problems) = main_file(&text, Path::new("/etc/ostler/ostler.toml"), true);
    if problems.is_empty() { Ok(Read::Machine(main.edge, main.health)) } else { Err(Problems::new(problems)) }
}

fn problems(shape: &Shape, key: &str, value: &str) -> Vec<String> {
    let read = read(shape, key, Some(value));
    read.err().iter().flat_map(Problems::iter).map(ToString::to_string).collect()
}

/// Every key but those that are sections.
pub(crate) fn keys() -> impl Iterator<Item = (&'static Shape, &'static Key)> {
    let all = SHAPES.iter().flat_map(|shape| shape.keys().map(move |key| (*shape, key)));
    all.filter(|(_, key)| key.change != Change::Within)
}

#[test]
fn the_example_of_each_key_is_accepted() {
    for (shape, key) in keys() {
        let problems = problems(shape, key.name, key.example);
        assert!(problems.is_empty(), "[{}] {}: {problems:#?}", shape.title, key.name);
    }
}

/// The values of a key that its rule says are the least and the most, and those just beyond them.
pub(crate) fn bounds(shape: &Shape, key: &Key) -> Option<([String; 2], [String; 2])> {
    let told = problems(shape, key.name, NOTHINGS).concat();
    let (low, rest) = told.split_once(" from ")?.1.split_once(" to ")?;
    let high = rest.split([',', '\n']).next()?;
    let both = |of: &dyn Fn(&str) -> String| [of(low), of(high)];
    Some(if low.starts_with("0o") {
        (both(&str::to_owned), ["1", "0o1000"].map(str::to_owned))
    } else if let (Ok(least), Ok(most)) = (low.parse::<i64>(), high.parse::<i64>()) {
        (both(&str::to_owned), [least - 1, most + 1].map(|number| number.to_string()))
    } else if let (Some(least), Some(most)) = (parse_size(low), parse_size(high)) {
        (both(&|size| format!("{size:?}")), [least - 1, most + 1].map(|size| size.to_string()))
    } else {
        let millis = |text| parse_duration(text).unwrap().as_millis() as i64;
        let beyond = [millis(low) - 1, millis(high) + 1].map(|time| format!("\"{time}ms\""));
        (both(&|time| format!("{time:?}")), beyond)
    })
}

#[test]
fn each_key_has_its_bounds() {
    let mut ranges = 0;
    for (shape, key) in keys() {
        let Some((within, beyond)) = bounds(shape, key) else { continue };
        ranges += 1;
        for value in &within {
            // A range has its most above its least.
            if (shape.title, key.name, value.as_str()) == ("workers", "max", "1") {
                continue;
            }
            let problems = problems(shape, key.name, value);
            assert!(problems.is_empty(), "[{}] {} = {value}: {problems:#?}", shape.title, key.name);
        }
        beyond.iter().for_each(|value| is_refused(shape, key, value));
    }
    assert!(ranges > 35, "{ranges}");
}

fn is_refused(shape: &Shape, key: &Key, value: &str) {
    let problems = problems(shape, key.name, value);
    let named = problems.iter().any(|problem| problem.contains(&format!("`{}` ", key.name)));
    let with_help = problems.iter().all(|problem| problem.contains(" = help: "));
    assert!(named && with_help, "[{}] {} = {value}: {problems:#?}", shape.title, key.name);
}

/// A date, which no key takes.
const NOTHINGS: &str = "1979-05-27";

/// No key takes each of these; what it does not take is refused by its name.
#[test]
fn each_key_has_a_type() {
    let types = ["true", "-1.5", NOTHINGS, "[[[]]]", "\"\"", "{ \"a b\" = [] }"];
    for (shape, key) in keys() {
        let bad: Vec<&str> =
            types.into_iter().filter(|value| !problems(shape, key.name, value).is_empty()).collect();
        assert!(bad.len() >= types.len() - 1, "[{}] {} takes all but {bad:?}", shape.title, key.name);
        is_refused(shape, key, NOTHINGS);
    }
}
