//! The history of an app's migrations: lines of JSON in a file that only ostlerd writes.
//!
//! What is appended is on the disk before it counts: a run is written before it starts, so that whoever finds the
//! machine after a power cut knows what was under way. All of this blocks, and runs on threads of its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use crate::config::{AppName, counted};
use crate::run::own_file;
use crate::supervise::{HistoryEntry, Past};

/// A longer file is made shorter.
const LONGEST: u64 = 1024 * 1024;
/// What is kept of it then, by runs and by bytes.
const KEPT_RUNS: usize = 200;
const KEPT_BYTES: usize = 768 * 1024;
/// Of a file that somebody else made so long, no more than its end is read.
const READ_MOST: u64 = 16 * 1024 * 1024;
/// What is kept of one run's output.
const OUTPUT_LINES: usize = 200;
const OUTPUT_BYTES: usize = 32 * 1024;

/// The file of one app.
#[derive(Clone, Debug)]
pub struct History {
    directory: PathBuf,
    file: PathBuf,
}

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The operating system said no.
    #[error("cannot {what} the history of migrations {}: {}; {remedy}", .path.display(), plain(.source))]
    System {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// Somebody else could put his own history there.
    #[error(
        "the folder {} of the history of migrations is not ostlerd's own (uid {uid}, mode {mode:o}); give it to root with \
         mode 750, or remove it",
        .path.display()
    )]
    Foreign {
        /// Which folder.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Its permissions.
        mode: u32,
    },
}

fn plain(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

impl History {
    /// The history of `app` below the state directory.
    pub fn of(state: &Path, app: &AppName) -> History {
        let directory = state.join(app.as_str());
        let file = directory.join("migrations.jsonl");
        History { directory, file }
    }

    /// Every run, oldest first; none where there is no file. Lines that are damaged are left out, and counted in the log.
    pub fn runs(&self) -> Result<Vec<HistoryEntry>, HistoryError> {
        Ok(HistoryEntry::runs(self.lines()?))
    }

    /// Puts a line on the disk; an end that cannot be written leaves the file as it was.
    pub fn append(&self, entry: &HistoryEntry) -> Result<(), HistoryError> {
        self.make_directory()?;
        let mut line = serde_json::to_vec(&trimmed(entry)).expect("entries have string keys only");
        line.push(b'\n');
        let failed = |source: io::Error| {
            let remedy = match source.raw_os_error() {
                Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => {
                    "make room on that disk; nothing is migrated without it"
                }
                _ => "nothing is migrated without it",
            };
            HistoryError::System { what: "write", path: self.file.clone(), source, remedy }
        };
        let fresh = !self.file.exists();
        let mut file = OpenOptions::new()
            .append(true)
            .read(true)
            .create(true)
            .mode(0o640)
            .custom_flags(O_NOFOLLOW | O_NONBLOCK)
            .open(&self.file)
            .map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if ends_within_a_line(&file, length).map_err(failed)? {
            line.insert(0, b'\n');
        }
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_all()) {
            // Half a line would be garbage; where even this fails, it is skipped by whoever reads.
            let _ = file.set_len(length);
            return Err(failed(error));
        }
        if fresh {
            sync_directory(&self.directory).map_err(failed)?;
        }
        if length + line.len() as u64 > LONGEST
            && let Err(error) = self.shorten()
        {
            tracing::warn!(%error, "the history of migrations {} stays long: {error}", self.file.display());
        }
        Ok(())
    }

    fn lines(&self) -> Result<Vec<HistoryEntry>, HistoryError> {
        let failed = |source: io::Error| HistoryError::System {
            what: "read",
            path: self.file.clone(),
            source,
            remedy: "let root read it, or move it away: then nothing is known of earlier runs",
        };
        let flags = O_NOFOLLOW | O_NONBLOCK;
        let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        self.is_ours()?;
        let length = file.metadata().map_err(failed)?.len();
        let from = length.saturating_sub(READ_MOST);
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(READ_MOST).read_to_end(&mut bytes).map_err(failed)?;
        let (entries, damaged) = entries(&bytes, from > 0);
        if damaged > 0 {
            tracing::warn!(
                "{} left out of the history of migrations {}, for nothing can be read there",
                counted(damaged, "line"),
                self.file.display()
            );
        }
        Ok(entries)
    }

    /// Where it is kept which code has run with nothing pending.
    pub(super) fn mark(&self) -> PathBuf {
        self.directory.join("migrated")
    }

    /// Has that on the disk.
    pub(super) fn keep_mark(&self, mark: &str) -> Result<(), HistoryError> {
        self.make_directory()?;
        let path = self.mark();
        replace(&path, format!("{mark}\n").as_bytes()).map_err(|source| HistoryError::System {
            what: "write beside",
            path,
            source,
            remedy: "the next start of the app needs its databases",
        })
    }

    fn make_directory(&self) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::System {
            what: "make the folder of",
            path: self.file.clone(),
            source,
            remedy: "nothing is migrated without it",
        };
        match DirBuilder::new().mode(0o750).create(&self.directory) {
            Ok(()) => self.directory.parent().map_or(Ok(()), sync_directory).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        self.is_ours()
    }

    /// ostlerd is root: it must not follow where an app's user leads.
    pub(super) fn is_ours(&self) -> Result<(), HistoryError> {
        let path = &self.directory;
        let meta = fs::symlink_metadata(path).map_err(|source| HistoryError::System {
            what: "look at the folder of",
            path: self.file.clone(),
            source,
            remedy: "nothing is migrated without it",
        })?;
        let own = nix::unistd::geteuid().as_raw();
        if !meta.is_dir() || meta.uid() != own || meta.mode() & 0o022 != 0 {
            let (path, mode) = (path.clone(), meta.mode() & 0o7777);
            return Err(HistoryError::Foreign { path, uid: meta.uid(), mode });
        }
        Ok(())
    }

    /// Keeps the newest runs, and what the next one has to know.
    fn shorten(&self) -> Result<(), HistoryError> {
        let runs = self.runs()?;
        let lines: Vec<Vec<u8>> =
            runs.iter().map(|run| serde_json::to_vec(run).expect("entries have string keys only")).collect();
        let mut bytes = 0;
        let newest = lines.iter().rev().take(KEPT_RUNS).take_while(|line| {
            bytes += line.len() + 1;
            bytes <= KEPT_BYTES
        });
        let first = runs.len() - newest.count().max(1).min(runs.len());
        let all = Past::of(&runs);
        // What is dirty or unfinished is so until it is said to be resolved, however much came later.
        let matters = |at: usize| {
            let alone = Past::of(&runs[at..=at]);
            (alone.dirty.is_some() && alone.dirty == all.dirty)
                || (alone.unfinished.is_some() && alone.unfinished == all.unfinished)
        };
        let kept = lines.iter().enumerate().filter(|(at, _)| *at >= first || matters(*at));
        let mut text: Vec<u8> = Vec::new();
        for (_, line) in kept {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        replace(&self.file, &text).map_err(|source| HistoryError::System {
            what: "shorten",
            path: self.file.clone(),
            source,
            remedy: "it will be tried again with the next run",
        })
    }
}

/// What can be read of it, and how many lines cannot; the first is none where the text begins within it.
fn entries(bytes: &[u8], within: bool) -> (Vec<HistoryEntry>, usize) {
    let lines = bytes.split(|&byte| byte == b'\n').skip(usize::from(within));
    let (mut entries, mut damaged) = (Vec::new(), 0);
    for line in lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(entry) => entries.push(entry),
            Err(_) => damaged += 1,
        }
    }
    (entries, damaged)
}

/// Law of the file: whatever is damaged in it, what is read is written so that it is read again.
#[cfg(any(test, fuzzing))]
pub(in crate::run) fn law_of_history(bytes: &[u8]) {
    let (read, _) = entries(bytes, false);
    for entry in &read {
        let kept = trimmed(entry);
        assert_eq!(trimmed(&kept), kept);
        let (again, damaged) =
            entries(&serde_json::to_vec(&kept).expect("entries have string keys only"), false);
        assert_eq!((again.len(), damaged), (1, 0), "{entry:?}");
    }
    let runs = HistoryEntry::runs(read.clone());
    assert!(runs.len() <= read.len());
    let past = Past::of(&runs);
    assert_eq!(Past::of(&HistoryEntry::runs(runs)), past);
    let (rest, damaged) = entries(bytes, true);
    assert!(rest.len() + damaged <= bytes.split(|byte| *byte == b'\n').count());
}

fn trimmed(entry: &HistoryEntry) -> HistoryEntry {
    let mut entry = entry.clone();
    let mut bytes = 0;
    let fitting = entry.output.iter().rev().take(OUTPUT_LINES).take_while(|line| {
        bytes += line.len() + 3;
        bytes <= OUTPUT_BYTES
    });
    let left_out = entry.output.len() - fitting.count();
    entry.output.drain(..left_out);
    entry
}

fn ends_within_a_line(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last != [b'\n'])
}

fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = own_file::create(&new, 0o640)
        .and_then(|mut to| to.write_all(text).and_then(|()| to.sync_all()))
        .and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.and_then(|()| file.parent().map_or(Ok(()), sync_directory))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
