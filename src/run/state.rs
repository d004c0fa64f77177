//! `state.json` in the runtime directory: what the next ostlerd needs to adopt the workers of this one.
//!
//! It is written to a temporary name and renamed, so that it is always whole. It holds the apps' environments, so it is
//! open to ostlerd's own user alone; one that anybody else could have written is not believed. The temporary name has its place
//! on the disk from before.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use serde::{Deserialize, Serialize};

use super::inspected::InspectionRecord;
use super::listeners::ListenerRecord;
use super::own_file;
use crate::config::{AppName, Config};
use crate::observe::CountersRecord;
use crate::supervise::{GenerationId, ProcessId, Snapshot};
use crate::worker::CONTRACT;

/// The version of the file's format. It differs where an older ostlerd could misunderstand it, or a newer one this.
pub(super) const VERSION: u32 = 8;

/// A longer file is none of ours.
const MOST: u64 = 64 * 1024 * 1024;

/// So much room is kept for the next one at least.
const LEAST_ROOM: u64 = 64 * 1024;

/// What the file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) header: Header,
    pub(super) kept: SavedState,
    /// As of the last change of the rest.
    pub(super) counters: CountersRecord,
}

/// What has to be right before the rest can be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    /// The version of the worker contract.
    pub(super) contract: u64,
    /// Which boot of the machine: pids and monotonic times mean nothing in another.
    pub(super) boot: String,
    /// The version of ostlerd that wrote it, for people.
    pub(super) ostlerd: String,
}

/// What is written anew when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedState {
    /// The origin of every moment, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) origin: u64,
    pub(super) snapshot: Snapshot,
    pub(super) workers: Vec<WorkerRecord>,
    pub(super) listeners: BTreeMap<AppName, Vec<ListenerRecord>>,
    /// The configuration that is in force.
    pub(super) config: Arc<Config>,
    /// How what runs was found.
    pub(super) known: Vec<Arc<InspectionRecord>>,
}

/// A worker's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkerRecord {
    pub(super) id: ProcessId,
    pub(super) app: AppName,
    pub(super) generation: GenerationId,
    pub(super) pid: i32,
    /// When the kernel started it, in its ticks since boot: with the pid, this names a process for ever.
    pub(super) started: u64,
    /// Its control group, where it was put into one of its own.
    pub(super) cgroup: Option<String>,
    /// Its slot of the scoreboard.
    pub(super) slot: Option<u32>,
}

/// Why a file that is there is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error(
        "it is not a file that ostlerd's own user (uid {own}) alone can write: uid {uid}, mode {mode:03o}"
    )]
    Foreign { own: u32, uid: u32, mode: u32 },
    #[error("it has {0} bytes, more than any state of ostlerd's")]
    TooLong(u64),
    #[error("it is cut off or damaged: {0}")]
    Damaged(serde_json::Error),
    #[error("it has the format {found} of ostlerd {by}, and this ostlerd knows the format {VERSION} alone")]
    OtherVersion { found: u32, by: String },
    #[error("its workers speak the contract {found}, and this ostlerd the contract {CONTRACT} alone")]
    OtherContract { found: u64 },
    #[error("it was written before the machine was booted")]
    OtherBoot,
}

impl Header {
    /// Of what is written here and now.
    pub(super) fn own() -> Header {
        let ostlerd = env!("CARGO_PKG_VERSION").to_owned();
        Header { version: VERSION, contract: CONTRACT, boot: boot_id(), ostlerd }
    }

    fn check(&self) -> Result<(), Unusable> {
        if self.version != VERSION {
            return Err(Unusable::OtherVersion { found: self.version, by: self.ostlerd.clone() });
        }
        if self.contract != CONTRACT {
            return Err(Unusable::OtherContract { found: self.contract });
        }
        if self.boot != boot_id() {
            return Err(Unusable::OtherBoot);
        }
        Ok(())
    }
}

/// Where the file is.
pub(super) fn path(runtime_directory: &Path) -> PathBuf {
    runtime_directory.join("state.json")
}

/// What an earlier ostlerd has left; `None` where it has left nothing.
pub(super) fn read(path: &Path) -> Result<Option<State>, Unusable> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Unusable::Unreadable)?,
    };
    let meta = file.metadata().map_err(Unusable::Unreadable)?;
    let (own, uid, mode) = (nix::unistd::geteuid().as_raw(), meta.uid(), meta.mode() & 0o777);
    if !meta.is_file() || uid != own || mode & 0o022 != 0 {
        return Err(Unusable::Foreign { own, uid, mode });
    }
    if meta.len() > MOST {
        return Err(Unusable::TooLong(meta.len()));
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).map_err(Unusable::Unreadable)?;
    parse(&text).map(Some)
}

/// Understands the text of the file.
pub(super) fn parse(text: &[u8]) -> Result<State, Unusable> {
    #[derive(Deserialize)]
    struct StateHead {
        header: Header,
    }
    let head: StateHead = serde_json::from_slice(text).map_err(Unusable::Damaged)?;
    head.header.check()?;
    serde_json::from_slice(text).map_err(Unusable::Damaged)
}

/// Replaces the file, and has room for the next one: where the disk is full, an ostlerd that cannot say what it leaves would
/// have to stop every worker before it is restarted.
pub(super) fn write(path: &Path, state: &State) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let text = serde_json::to_vec(state)?;
    let mut file = match reserved(&new) {
        Some(file) => file,
        None => own_file::create(&new, 0o600)?,
    };
    file.write_all(&text)?;
    std::fs::rename(&new, path)?;
    // Without room the next one is as likely to fail as any file.
    let _ = reserve(&new, text.len() as u64);
    Ok(())
}

/// An empty file that has its place on the disk.
fn reserved(new: &Path) -> Option<File> {
    let file =
        OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(new).ok()?;
    let meta = file.metadata().ok()?;
    let own = meta.is_file() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o777 == 0o600;
    (own && meta.len() == 0 && meta.nlink() == 1).then_some(file)
}

fn reserve(new: &Path, last: u64) -> io::Result<()> {
    let room = (2 * last).clamp(LEAST_ROOM, MOST).cast_signed();
    let file = own_file::create(new, 0o600)?;
    fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, room)?;
    Ok(())
}

/// Removes the file: nothing is left to adopt.
pub(super) fn remove(path: &Path) {
    for path in [path, &path.with_extension("json.new")] {
        // What cannot be removed names dead processes, and is seen through.
        let _ = std::fs::remove_file(path);
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
