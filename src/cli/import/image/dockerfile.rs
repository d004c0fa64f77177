//! A Dockerfile: its last stage, as far as it says what is started.

use std::collections::BTreeMap;

use super::{ImageDraft, lines, stages};
use crate::cli::import::draft::base;
use crate::cli::import::error::ImportError;
use crate::cli::import::input::SourceFile;
use crate::cli::import::reading::ImportContext;

/// How many folders above it the image may have been built from: `compose/production/django/Dockerfile` has three.
const ABOVE: usize = 3;

/// How it is built, where another file says so.
#[derive(Clone, Debug, Default)]
pub(in crate::cli::import) struct Build {
    /// The folder; without one, that of the file or one above it.
    pub(in crate::cli::import) context: Option<String>,
    /// The stage, where it is not the last.
    pub(in crate::cli::import) target: Option<String>,
    pub(in crate::cli::import) args: BTreeMap<String, String>,
}

/// Whether a file is one: by its name, or because it begins with FROM.
pub(in crate::cli::import) fn is_dockerfile(path: &str, text: &str) -> bool {
    let name = base(path).to_ascii_lowercase();
    let named = |word: &str| {
        name == word || name.starts_with(&format!("{word}.")) || name.ends_with(&format!(".{word}"))
    };
    if named("dockerfile") || named("containerfile") {
        return true;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let word = |line: &str| line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    lines.find(|line| word(line) != "ARG").is_some_and(|line| word(line) == "FROM")
}

/// What the image that is built of it says of itself.
pub(in crate::cli::import) fn read(
    reading: &ImportContext<'_>,
    source: &SourceFile,
    build: &Build,
) -> Result<ImageDraft, ImportError> {
    let place = source.path.display().to_string();
    let wrong = |(line, what): lines::DockerFault| {
        ImportError::at(format!("{place}, line {line}"), what, "correct it: Docker would not build it either")
    };
    let read = lines::read(&source.text).map_err(wrong)?;
    if read.instructions.iter().all(|it| it.name != "FROM") {
        return Err(ImportError::at(place, "it has no FROM", "give the Dockerfile of the image"));
    }
    let mut args = build.args.clone();
    args.extend(reading.given.set.clone());
    let mut image = stages::read(&read, &args, build.target.as_deref(), source.text.len()).map_err(wrong)?;
    let folder = source.path.parent().map(|it| it.display().to_string()).filter(|it| it.starts_with('/'));
    image.folder = build.context.clone().or_else(|| folder.clone());
    image.files.contexts = match (&build.context, folder) {
        (Some(context), _) => vec![context.clone()],
        (None, Some(folder)) => std::path::Path::new(&folder)
            .ancestors()
            .take(ABOVE + 1)
            .map(|it| it.display().to_string())
            .collect(),
        (None, None) => Vec::new(),
    };
    Ok(image)
}
