//! Workers that an earlier ostlerd left, where what it knew of them is lost or of no use.
//!
//! They are known by what nobody else has: the scoreboard of this runtime directory, at the number that the contract
//! gives it. What they serve is taken from them, so that visitors wait and are not turned away; they finish what they
//! have; and then they end. Only after that is anything started.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use tokio::time::{Instant, timeout_at};

use super::adopt::SCOREBOARD;
use super::listeners::inode_of;
use super::process::{Children, Process};
use crate::supervise::Rung;

/// So long they may take: their own time is not known either, and visitors wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those that live.
#[derive(Debug)]
pub(super) struct Strays(Vec<Process>);

impl Strays {
    /// Finds them.
    pub(super) fn of(children: &Children, runtime_directory: &Path) -> Strays {
        let scoreboards = runtime_directory.join("scoreboards");
        let is_one = |pid: i32| {
            // The file may be gone: then the kernel says so behind its name.
            let held = fs::read_link(format!("/proc/{pid}/fd/{SCOREBOARD}"));
            held.is_ok_and(|path| path.parent() == Some(&scoreboards))
        };
        let numbers = fs::read_dir("/proc").into_iter().flatten();
        let pids = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let process = |pid| children.adopt(pid, || is_one(pid)).ok().flatten();
        Strays(pids.filter(|pid| is_one(*pid)).filter_map(process).collect())
    }

    /// The listening sockets that they hold.
    pub(super) fn sockets(&self) -> Vec<OwnedFd> {
        let mut found = BTreeMap::new();
        for process in &self.0 {
            let folder = fs::read_dir(format!("/proc/{}/fd", process.pid())).into_iter().flatten();
            let numbers = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
            for fd in numbers.filter_map(|number| process.descriptor(number).ok()) {
                if let Some(inode) = inode_of(fd.as_fd())
                    && getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false)
                {
                    found.entry(inode).or_insert(fd);
                }
            }
        }
        found.into_values().collect()
    }

    /// Has them finish what they have, and kills those that do not.
    pub(super) async fn end(self) {
        if self.0.is_empty() {
            return;
        }
        tracing::warn!(
            "{} workers are left of which nothing is known: they have {} s to finish what they have",
            self.0.len(),
            PATIENCE.as_secs()
        );
        let deadline = Instant::now() + PATIENCE;
        for process in &self.0 {
            if let Err(error) = process.signal_rung(Rung::Drain) {
                tracing::error!("process {} cannot be signalled: {error}", process.pid());
            }
        }
        for process in &self.0 {
            let pid = process.pid();
            if timeout_at(deadline, process.ended()).await.is_err() {
                tracing::warn!("process {pid} has not finished in time and is killed");
                if let Err(error) = process.kill_group() {
                    tracing::error!("process {pid} cannot be killed: {error}");
                }
            }
        }
    }
}
