//! Workers that an earlier ostlerd left, where what it knew of them is lost or of no use.
//!
//! They are known by what no other user can forge ([`OwnershipProof`]); whoever only looks like one is let alone, and the port that
//! he holds is in use. What they serve of their own app's addresses is taken from them, so that clients wait and are not
//! turned away; they finish what they have; and then they end. Only after that is anything started.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use tokio::time::{Instant, timeout_at};

use super::children::Children;
use super::listeners;
use super::proc;
use super::process::ProcessHandle;
use super::wire;
use crate::config::{AppName, Config, Listen, agreed, counted};
use crate::supervise::StopSignal;

mod proof;

use proof::OwnershipProof;

/// So long they may take: their own time is not known either, and clients wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those that live.
#[derive(Debug)]
pub(super) struct Orphans(Vec<Orphan>);

#[derive(Debug)]
struct Orphan {
    app: AppName,
    process: ProcessHandle,
    /// Copies of what it listens on.
    sockets: Vec<OwnedFd>,
}

impl Orphans {
    /// Finds them.
    pub(super) fn of(children: &Children, runtime_directory: &Path, config: &Config) -> Orphans {
        let Some(proof) = OwnershipProof::new(children, runtime_directory, config) else {
            return Orphans(Vec::new());
        };
        let orphan = |pid| {
            let proven = proof.of(pid)?;
            // Asked once more with the pidfd open: from then on nothing can be mistaken for it.
            let process = children.adopt(pid, || proof.of(pid).as_ref() == Some(&proven)).ok().flatten()?;
            let sockets = listening(&process);
            Some(Orphan { app: proven.app, process, sockets })
        };
        Orphans(proc::pids().filter_map(orphan).collect())
    }

    /// What they serve of an app's own addresses: a worker that holds another port has no say in who gets that.
    pub(super) fn sockets_of(&mut self, app: &AppName, wanted: &[Listen]) -> Vec<OwnedFd> {
        let own = self.0.iter_mut().filter(|orphan| orphan.app == *app);
        let sockets = own.flat_map(|orphan| std::mem::take(&mut orphan.sockets));
        let is_wanted =
            |fd: &OwnedFd| wanted.iter().any(|it| listeners::bound::is_at(fd.as_fd(), &it.address));
        sockets.filter(is_wanted).collect()
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
        for Orphan { process, .. } in &self.0 {
            wire::end_input_of(process);
            if let Err(error) = process.stop(StopSignal::Terminate) {
                tracing::error!("process {} cannot be signalled: {error}", process.pid());
            }
        }
        for Orphan { process, .. } in &self.0 {
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

/// The sockets that a process listens on. Only what is a socket is taken: to look at a file may take for ever.
fn listening(process: &ProcessHandle) -> Vec<OwnedFd> {
    let folder = fs::read_dir(format!("/proc/{}/fd", process.pid())).into_iter().flatten();
    let number = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        let is_socket = target.to_str()?.starts_with("socket:[");
        is_socket.then(|| entry.file_name().to_str()?.parse::<i32>().ok()).flatten()
    };
    let numbers = folder.filter_map(|entry| number(entry.ok()?));
    let sockets = numbers.filter_map(|number| process.descriptor(number).ok());
    sockets.filter(|fd| getsockopt(fd, sockopt::AcceptConn).unwrap_or(false)).collect()
}
