//! The image releases that there are.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place::Place;
use super::prune::{InUse, names};
use super::record;
use crate::cli::error::VerbError;
use crate::cli::screen::{Colour, Screen, bytes, one_line};
use crate::config::AppName;

/// Those of one app.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Listed {
    pub(in crate::cli) app: AppName,
    releases: PathBuf,
    /// What all of them take on disk, with what was downloaded of them.
    size: u64,
    /// The newest first.
    images: Vec<ListedImage>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ListedImage {
    id: String,
    reference: String,
    digest: String,
    architecture: String,
    pulled: String,
    /// What it takes on disk, with what it shares with others.
    size: u64,
    /// ostlerd names it as the release that serves.
    serves: bool,
    /// The same of the one that ran before.
    before: bool,
    /// The app's link leads to it.
    linked: bool,
}

/// Looks at all of them.
pub(in crate::cli) fn list(app: &AppName, place: &Place, used: &InUse) -> Result<Listed, VerbError> {
    let found = match record::all(&place.releases) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        found => found.map_err(|error| {
            let why = format!("{} cannot be read: {error}", place.releases.display());
            VerbError::said(crate::control::protocol::exit::FAILED, why)
        })?,
    };
    let images = found.into_iter().map(|it| ListedImage {
        size: on_disk(&it.folder),
        serves: names(&used.serves, &it.folder),
        before: names(&used.before, &it.folder),
        linked: place.leads_to.as_ref().is_some_and(|to| to.starts_with(&it.folder)),
        id: it.id,
        reference: it.record.reference,
        digest: it.record.digest,
        architecture: it.record.architecture,
        pulled: it.record.pulled,
    });
    let (app, releases, size) = (app.clone(), place.releases.clone(), on_disk(&place.releases));
    Ok(Listed { app, releases, size, images: images.collect() })
}

/// What a tree takes on disk: a file with several names counts once. What cannot be looked at counts nothing.
pub(super) fn on_disk(root: &Path) -> u64 {
    let (mut seen, mut size, mut folders) = (HashSet::new(), 0, vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.nlink() > 1 && !seen.insert(metadata.ino()) {
                continue;
            }
            size += metadata.blocks() * 512;
        }
    }
    size
}

/// For people.
pub(in crate::cli) fn table(all: &[Listed], screen: Screen) -> String {
    let mut text = String::new();
    for listed in all {
        let head = format!(
            "{}  {}",
            screen.paint(Colour::Bold, listed.app.as_str()),
            one_line(&listed.releases.to_string_lossy())
        );
        let more = match listed.images.len() {
            0 => "no image releases".to_owned(),
            _ => format!("{} on disk in all", bytes(listed.size)),
        };
        text.push_str(&format!("{head}  {more}\n"));
        for image in &listed.images {
            let role = match (image.serves, image.before, image.linked) {
                (true, ..) => "serves",
                (_, true, _) => "before",
                (.., true) => "linked",
                _ => "",
            };
            let line = format!(
                "  {}  {:<6}  {:>9}  {}  {}  {}",
                image.id,
                role,
                bytes(image.size),
                image.pulled,
                image.reference,
                image.digest
            );
            text.push_str(one_line_indented(&line).trim_end());
            text.push('\n');
        }
    }
    text
}

/// What stands in a record may be anything; the columns stay.
fn one_line_indented(line: &str) -> String {
    let visible = crate::cli::screen::plain(line);
    visible.replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_says_anything_keeps_to_its_line() {
        let text = r#"{"app":"shop","releases":"/srv/shop/releases","size":2048,"images":[{"id":"sha256-1","reference":"a\nb\u001b[31m",
            "digest":"d","architecture":"amd64","pulled":"p","size":1024,"serves":true,"before":false,"linked":true}]}"#;
        let listed: Listed = serde_json::from_str(text).unwrap();
        let shown = table(&[listed], Screen { live: false, colour: false });
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.contains("serves") && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn a_file_with_two_names_is_on_disk_once() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("one"), vec![1; 1 << 20]).unwrap();
        let once = on_disk(root.path());
        fs::hard_link(root.path().join("one"), root.path().join("two")).unwrap();
        assert_eq!(on_disk(root.path()), once);
    }
}
