//! What an image release says of itself, `ostler-image.json`, and the releases of a folder that have one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::libc;
use serde::{Deserialize, Serialize};

/// Its name in the release's folder. It is written last: a folder that has it is whole.
pub(super) const FILE: &str = "ostler-image.json";

/// A longer one is none of ours.
const LONGEST: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Record {
    /// As it was asked for last.
    pub(in crate::cli) reference: String,
    /// Of the manifest for this machine's platform.
    pub(in crate::cli) digest: String,
    pub(in crate::cli) architecture: String,
    /// When it was asked for last.
    pub(in crate::cli) pulled: String,
}

/// A release with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) id: String,
    pub(super) folder: PathBuf,
    pub(super) record: Record,
    /// What is asked for in the same second has an order too.
    written: SystemTime,
}

impl Recorded {
    /// One of the tests.
    #[cfg(test)]
    pub(super) fn sample(id: &str, folder: PathBuf) -> Recorded {
        let [reference, digest, architecture, pulled] = Default::default();
        let record = Record { reference, digest, architecture, pulled };
        Recorded { id: id.to_owned(), folder, record, written: SystemTime::UNIX_EPOCH }
    }
}

/// Reads that of one release; `None` where there is none that can be read.
pub(super) fn read(release: &Path) -> Option<Record> {
    let mut open = fs::OpenOptions::new();
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = open.read(true).custom_flags(flags).open(release.join(FILE)).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    serde_json::from_reader(io::Read::take(file, LONGEST)).ok()
}

/// Writes it whole or not at all.
pub(super) fn write(release: &Path, record: &Record) -> io::Result<()> {
    let draft = release.join(format!(".{FILE}"));
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(record).expect("a record is text"))?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&draft, release.join(FILE))?;
    File::open(release)?.sync_all()
}

/// Every image release of `releases`, the newest first.
pub(super) fn all(releases: &Path) -> io::Result<Vec<Recorded>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(releases)? {
        let entry = entry?;
        let Ok(id) = entry.file_name().into_string() else { continue };
        if id.starts_with('.') || !entry.file_type()?.is_dir() {
            continue;
        }
        if let Some(record) = read(&entry.path()) {
            let written = fs::metadata(entry.path().join(FILE))?.modified()?;
            found.push(Recorded { id, folder: entry.path(), record, written });
        }
    }
    found.sort_by(|one, other| (&other.record.pulled, other.written).cmp(&(&one.record.pulled, one.written)));
    Ok(found)
}
