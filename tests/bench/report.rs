//! Writes down what was found: results.md, results.svg, and the part of README between its two marks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::found::{Found, Table};
use crate::plot;
use crate::surroundings::Surroundings;

const MARKS: (&str, &str) = ("<!-- bench -->", "<!-- /bench -->");

/// What people write into the results, which the next run keeps.
const NOTES: (&str, &str) = ("<!-- notes -->", "<!-- /notes -->");

/// Writes the checkout's own files after a run of everything, and copies below target/ after any other.
pub fn write(found: &Found, surroundings: &Surroundings, complete: bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, readme) = match complete {
        true => (root.join("tests/bench"), root.join("README.md")),
        false => (root.join("target/bench"), root.join("target/bench/README.md")),
    };
    fs::create_dir_all(&folder).expect("the checkout is writable");
    let old = fs::read_to_string(root.join("tests/bench/results.md")).unwrap_or_default();
    let note = format!(
        "{} processors, load average {}; medians of the rounds, on a scale of powers of ten.",
        surroundings.cpus(),
        surroundings.loads().join(" before and after ")
    );
    put(&folder.join("results.md"), &results(found, surroundings, &old));
    put(&folder.join("results.svg"), &plot::svg(&found.bars, &note));
    let page = fs::read_to_string(root.join("README.md")).expect("README is there");
    put(&readme, &between(&page, MARKS, &part(found, surroundings)));
    println!("\nwritten: {}, results.svg, {}", folder.join("results.md").display(), readme.display());
}

fn put(path: &PathBuf, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// `page` with `text` between the marks; the page is to have them.
fn between(page: &str, marks: (&str, &str), text: &str) -> String {
    let begin = page.find(marks.0).map(|at| at + marks.0.len());
    let end = page.find(marks.1);
    let (Some(begin), Some(end)) = (begin, end) else { panic!("README has no {} and {}", marks.0, marks.1) };
    format!("{}\n{}\n{}", &page[..begin], text.trim_end(), &page[end..])
}

fn results(found: &Found, surroundings: &Surroundings, old: &str) -> String {
    let mut aims = Table::new("", "", &["what", "aim", "figure", ""]);
    for aim in &found.aims {
        aims.row(&[&aim.what, &aim.aim, &aim.figure, if aim.met { "met" } else { "**missed**" }]);
    }
    let kept =
        old.split_once(NOTES.0).and_then(|(_, rest)| rest.split_once(NOTES.1)).map_or("\n", |(kept, _)| kept);
    let mut text = format!(
        "# Results of `make bench`\n\n{surroundings}.\n\n\
         Written by `make bench`; only what stands between the two marks of notes is kept. \
         Everybody serves the same app (circus its ASGI side) with the same interpreter, on this machine, by turns; each round begins with another one. {}\n\n\
         ![Worst latency and lost requests in a reload](results.svg)\n\n## Aims\n\n{}\n{}{kept}{}\n",
        found.notes.join(" "),
        aims.markdown(),
        NOTES.0,
        NOTES.1
    );
    for table in &found.tables {
        text += &format!("\n## {}\n\n{}\n\n{}", table.title, table.how, table.markdown());
    }
    text
}

/// README's part: the picture and the table of the contestants.
fn part(found: &Found, surroundings: &Surroundings) -> String {
    let mut columns = vec![""];
    for cell in &found.cells {
        if !columns.contains(&cell.column) {
            columns.push(cell.column);
        }
    }
    let mut contestants: Vec<&str> = Vec::new();
    for cell in &found.cells {
        if !contestants.contains(&cell.contestant) {
            contestants.push(cell.contestant);
        }
    }
    let mut table = Table::new("", "", &columns);
    for contestant in contestants {
        let of = |column: &&str| {
            let cell = found.cells.iter().find(|it| it.contestant == contestant && it.column == *column);
            cell.map_or("–", |cell| cell.text.as_str())
        };
        let cells: Vec<&str> = [contestant].into_iter().chain(columns[1..].iter().map(of)).collect();
        table.row(&cells);
    }
    format!(
        "![Worst latency and lost requests in a reload](tests/bench/results.svg)\n\n{}\n{surroundings}. \
         More figures, the aims, and how each is measured: [tests/bench/results.md](tests/bench/results.md).",
        table.markdown()
    )
}
