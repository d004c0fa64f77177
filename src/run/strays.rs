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
use super::scope::{Group, Scopes};
use crate::config::{agreed, counted};
use crate::supervise::Rung;

/// So long they may take: their own time is not known either, and visitors wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those that live.
#[derive(Debug)]
pub(super) struct Strays(Vec<Process>);

impl Strays {
    /// Finds them.
    pub(super) fn of(children: &Children, runtime_directory: &Path) -> Strays {
        let scopes = children.scopes().map(Scopes::inhabited).unwrap_or_default();
        let in_scopes: Vec<i32> = scopes.iter().flat_map(Group::members).collect();
        let is_one = |pid: i32| {
            let held = fs::read_link(format!("/proc/{pid}/fd/{SCOREBOARD}"));
            held.is_ok_and(|path| is_scoreboard(&path, runtime_directory, in_scopes.contains(&pid)))
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
            "{} {} left of which nothing is known, with {} s to finish what is under way",
            counted(self.0.len(), "worker"),
            agreed(self.0.len(), "is", "are"),
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

/// Whether a file that is open is the scoreboard of an app of this runtime directory, by its name as the kernel gives it.
fn is_scoreboard(path: &Path, runtime_directory: &Path, in_scope: bool) -> bool {
    let folder = path.parent().unwrap_or(Path::new(""));
    // The file may be gone: then the kernel says so behind its name. Where systemd has taken the whole directory away
    // (from 254 on, at a stop of a unit that waits to be started again), its mount went with it, and only what was below
    // is left of the name.
    let below = folder == "/scoreboards" && path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
    folder == runtime_directory.join("scoreboards") || in_scope && below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scoreboard_is_known_by_its_name_also_where_its_directory_is_gone() {
        let is_one =
            |path: &str, in_scope| is_scoreboard(Path::new(path), Path::new("/run/ostler"), in_scope);
        assert!(is_one("/run/ostler/scoreboards/shop", false));
        assert!(is_one("/run/ostler/scoreboards/shop (deleted)", false));
        assert!(is_one("/scoreboards/shop (deleted)", true));
        assert!(!is_one("/scoreboards/shop (deleted)", false), "that of nobody knows whom");
        assert!(!is_one("/scoreboards/shop", true));
        assert!(!is_one("/tmp/other/scoreboards/shop", true), "that of another ostlerd");
        assert!(!is_one("pipe:[5031923]", true));
    }
}
