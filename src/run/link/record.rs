//! `release.json` in an app's folder of the state directory: which release serves, which did before, and whether the link
//! leads to one that is not proven. Written before the link is turned, so that a power cut leaves no release that nobody has
//! proven.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Link;
use crate::run::own_file;

/// A longer file is none of ours: it holds a few paths.
const MOST: u64 = 1024 * 1024;

/// What the file holds; an empty one says nothing. Folders are those that the app is run in, links resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::run) struct Record {
    /// What serves.
    pub(in crate::run) serving: Option<PathBuf>,
    /// What did before.
    pub(in crate::run) before: Option<PathBuf>,
    /// What a rollback has left, where that was the last change.
    pub(in crate::run) left: Option<PathBuf>,
    /// What the link leads to without proof.
    pub(in crate::run) unproven: Option<Unproven>,
}

/// A release that the link leads to and that is not proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct Unproven {
    pub(in crate::run) link: Link,
    pub(in crate::run) to: PathBuf,
    /// Where it led before, and what it said then.
    pub(in crate::run) from: PathBuf,
    pub(in crate::run) text: PathBuf,
    /// Whether it is a rollback.
    pub(in crate::run) back: bool,
}

impl Record {
    /// The file of an app.
    pub(in crate::run) fn path(state: &Path, app: &str) -> PathBuf {
        state.join(app).join("release.json")
    }

    /// What is written; one that is missing or damaged says nothing.
    pub(in crate::run) fn read(path: &Path) -> Record {
        let text = match own_file::read(path, MOST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Record::default(),
            Err(error) => {
                tracing::error!(
                    "{} cannot be read: {error}; no release is known to roll back to",
                    path.display()
                );
                return Record::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::error!("{} is damaged: {error}; no release is known to roll back to", path.display());
            Record::default()
        })
    }

    /// Replaces the file; it is on the disk when this returns.
    pub(in crate::run) fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        let new = path.with_extension("json.new");
        let mut file = own_file::create(&new, 0o640)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    }

    /// `directory` serves, and is proven.
    pub(in crate::run) fn keep(&mut self, directory: &Path) {
        let back = self.unproven.take().is_some_and(|it| it.back && it.to == directory);
        if self.serving.as_deref() == Some(directory) {
            return;
        }
        let earlier = self.serving.replace(directory.to_owned());
        // A rollback is no way to what was rolled back from: who asks twice is not taken there.
        (self.before, self.left) = if back { (None, earlier) } else { (earlier, None) };
    }
}
