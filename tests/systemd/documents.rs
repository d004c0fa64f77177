//! What people read of ostler: README, and the pages of the handbook in the order in which README names them.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the pages.
pub const PAGES: &str = "packaging/man";

/// One of them.
pub struct Document {
    /// Relative to the package.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

impl Document {
    /// Its place, for who has to look at it.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The text between a heading of any depth and the next one.
    #[track_caller]
    pub fn below(&self, heading: &str) -> &str {
        let rest = self.text.split(&format!("# {heading}\n")).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("{} has no {heading:?}", self.path.display()));
        rest.split("\n##").next().unwrap_or_default()
    }
}

fn read(path: PathBuf) -> Document {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
    let text = fs::read_to_string(&whole).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Document { path, text }
}

/// README alone.
pub fn readme() -> Document {
    read("README.md".into())
}

/// A page, by the name under which man(1) shows it, such as `ostler-edge.7`.
pub fn page(name: &str) -> Document {
    read(Path::new(PAGES).join(format!("{name}.md")))
}

/// All of them; the guide goes on from one to the next.
pub fn all() -> Vec<Document> {
    let readme = readme();
    let mut names: Vec<String> = Vec::new();
    for rest in readme.text.split(&format!("]({PAGES}/")).skip(1) {
        let name = rest.split_once(".md").map(|(name, _)| name.to_owned()).expect("a page is Markdown");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    assert!(names.len() > 8, "README names the pages: {names:?}");
    let pages: Vec<Document> = names.iter().map(|name| page(name)).collect();
    [readme].into_iter().chain(pages).collect()
}
