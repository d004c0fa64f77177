//! `release.json` in an app's folder of the state directory: what the core knows of its releases (`supervise::release`).

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::run::own_file;
use crate::supervise::ReleaseRecord;

/// A longer file is none of ours: it holds a few paths.
const MOST: u64 = 1024 * 1024;

/// The file of an app.
pub(in crate::run) fn path(state: &Path, app: &str) -> PathBuf {
    state.join(app).join("release.json")
}

/// What is written; one that is missing or damaged says nothing.
pub(in crate::run) fn read(path: &Path) -> ReleaseRecord {
    let text = match own_file::read(path, MOST) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return ReleaseRecord::default(),
        Err(error) => {
            tracing::error!(
                "{} cannot be read: {error}; no release is known to roll back to",
                path.display()
            );
            return ReleaseRecord::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::error!("{} is damaged: {error}; no release is known to roll back to", path.display());
        ReleaseRecord::default()
    })
}

/// Replaces the file; it is on the disk when this returns.
pub(in crate::run) fn write(record: &ReleaseRecord, path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    let new = path.with_extension("json.new");
    let mut file = own_file::create(&new, 0o640)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
