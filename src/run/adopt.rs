//! Workers and sockets that an earlier ostlerd left: found again, and told from whatever else has their numbers by now.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;

use super::board_file;
use super::children::Children;
use super::files;
use super::listeners::bound::inode_of;
use super::listeners::{ListenerRecord, Listeners};
use super::proc::{Stat, cgroup_of};
use super::process::ProcessHandle;
use super::scoreboard::Scoreboard;
use super::socket_activation::Passed;
use super::state::WorkerRecord;
use crate::plan::Account;
use crate::supervise::ProcessId;

/// The descriptor of a worker at which its scoreboard is.
pub(super) const SCOREBOARD: i32 = 6;

/// A worker that lives.
#[derive(Debug)]
pub(super) struct Living {
    pub(super) process: ProcessHandle,
}

/// Those of the workers that live. One is the worker it was where its pid, its start and its control group are the same,
/// asked once more when its pidfd is open: from then on nothing can be mistaken for it.
pub(super) fn living(children: &Children, workers: &[WorkerRecord]) -> BTreeMap<ProcessId, Living> {
    let mut living = BTreeMap::new();
    for record in workers {
        match children.adopt(record.pid, || is_it(record)) {
            Ok(Some(process)) => {
                living.insert(record.id, Living { process });
            }
            Ok(None) => {}
            Err(error) => {
                let (pid, worker) = (record.pid, record.id);
                let app = record.app.as_str();
                tracing::error!(app, %worker, "process {pid} of worker {worker} cannot be watched: {error}");
            }
        }
    }
    living
}

fn is_it(record: &WorkerRecord) -> bool {
    let Some(stat) = Stat::of(record.pid) else { return false };
    // One that had not entered its group yet is where ostlerd itself is.
    let same_group = record.cgroup.as_ref().is_none_or(|was| {
        let group = cgroup_of(record.pid);
        group.as_ref() == Some(was) || group == cgroup_of(std::process::id() as i32)
    });
    stat.start == record.started && stat.lives && same_group
}

/// Takes back the sockets of an app: those that came with this process, else from a worker that serves them. What
/// cannot be taken back is said.
pub(super) fn take_back<'a>(
    listeners: &mut Listeners,
    records: &[ListenerRecord],
    owner: Option<&Account>,
    passed: &Passed,
    living: impl Iterator<Item = &'a Living> + Clone,
) {
    for record in records {
        let from_here = passed.by_inode(record.inode).into_iter();
        let from_workers = living.clone().filter_map(|it| socket_of(&it.process, record.inode));
        let mut candidates = from_here.chain(from_workers);
        if !candidates.any(|fd| listeners.take_back(record, owner, fd)) {
            tracing::warn!("the socket of {} could not be taken back", record.listen.address);
        }
    }
}

/// A copy of the socket of this number that a process holds.
fn socket_of(process: &ProcessHandle, inode: u64) -> Option<OwnedFd> {
    use std::os::fd::AsFd;
    let wanted = format!("socket:[{inode}]");
    let numbers = fs::read_dir(format!("/proc/{}/fd", process.pid())).ok()?;
    numbers
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            (target.to_str()? == wanted).then(|| entry.file_name().to_str()?.parse::<i32>().ok()).flatten()
        })
        .filter_map(|number| process.descriptor(number).ok())
        .find(|fd| inode_of(fd.as_fd()) == Some(inode))
}

/// The scoreboard as a worker holds it, where its file is gone.
pub(super) fn scoreboard_of(living: &Living) -> Option<Scoreboard> {
    let file = File::from(living.process.descriptor(SCOREBOARD).ok()?);
    if !board_file::is_memory(&file) {
        files::let_go(file.into());
        return None;
    }
    Scoreboard::of_file(file).ok()
}
