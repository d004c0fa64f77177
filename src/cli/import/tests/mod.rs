//! Laws of the import: what is carried over, what is said of the rest, and that nothing panics.

mod commands;
mod composed;
mod descriptions;
mod dockerfiles;
mod garbage;
mod kinds;
mod releases;

use std::collections::BTreeMap;
use std::path::Path;

use super::{FileAccess, ImportError, Imported, Overrides, SourceFile, import};

/// A machine with these files.
#[derive(Clone, Debug, Default)]
struct Place(BTreeMap<String, String>);

impl Place {
    fn with(mut self, path: &str, text: &str) -> Place {
        self.0.insert(path.to_owned(), text.to_owned());
        self
    }

    fn import(&self, path: &str, text: &str, given: &Overrides) -> Result<Imported, ImportError> {
        self.import_all(&[(path, text)], given)
    }

    fn import_all(&self, files: &[(&str, &str)], given: &Overrides) -> Result<Imported, ImportError> {
        let source = |(path, text): &(&str, &str)| SourceFile { path: path.into(), text: (*text).to_owned() };
        let sources: Vec<SourceFile> = files.iter().map(source).collect();
        let exists = |path: &Path| self.0.contains_key(&path.display().to_string());
        let read = |path: &Path| self.0.get(&path.display().to_string()).cloned();
        import(&sources, given, &FileAccess { exists: &exists, read: &read })
    }
}

/// The user that a Procfile does not know.
fn as_shop() -> Overrides {
    Overrides { user: Some("shop".to_owned()), ..Overrides::default() }
}

/// A line `web: …` in a release with a virtual environment, run as `shop`.
fn line(command: &str) -> Result<Imported, ImportError> {
    let place =
        Place::default().with("/srv/shop/venv/bin/python", "").with("/srv/shop/venv/bin/gunicorn", "");
    place.import("/srv/shop/Procfile", &format!("web: {command}"), &as_shop())
}

#[track_caller]
fn text(imported: Result<Imported, ImportError>) -> String {
    imported.unwrap_or_else(|error| panic!("{error}")).text
}

/// The lines of the file that are no comments.
fn keys(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} should be in\n{text}");
    }
}
