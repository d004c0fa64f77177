//! The reaper: what the workers leave behind falls to ostlerd, and is reaped here, but for the children that somebody watches.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::libc;

use crate::supervise::Exit;

/// The children that somebody watches. Clones are the same set.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched(Arc<WatchedSet>);

#[derive(Debug, Default)]
struct WatchedSet {
    pids: Mutex<BTreeSet<i32>>,
    takes_orphans: AtomicBool,
}

impl Watched {
    /// From now on somebody watches it.
    pub(super) fn insert(&self, pid: i32) {
        self.pids().insert(pid);
    }

    /// From now on nobody does.
    pub(super) fn remove(&self, pid: i32) {
        self.pids().remove(&pid);
    }

    /// Whether somebody does.
    pub(super) fn contains(&self, pid: i32) -> bool {
        self.pids().contains(&pid)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.pids().len()
    }

    /// Makes this process the parent of its descendants' orphans, which are reaped from now on.
    pub(super) fn take_orphans(&self) -> io::Result<()> {
        nix::sys::prctl::set_child_subreaper(true)?;
        self.0.takes_orphans.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Reaps the dead that nobody watches, if orphans are taken. Returns how many there were.
    ///
    /// The kernel shows the dead one at a time. A watched one ends the sweep: its watcher reaps it and sweeps again.
    pub(super) fn sweep(&self) -> usize {
        if !self.0.takes_orphans.load(Ordering::Relaxed) {
            return 0;
        }
        let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let mut reaped = 0;
        while let Ok(Some((pid, _))) = wait_id(libc::P_ALL, 0, look) {
            if self.contains(pid) {
                break;
            }
            let _ = wait_id(libc::P_PID, pid as u32, libc::WEXITED | libc::WNOHANG);
            reaped += 1;
        }
        reaped
    }

    fn pids(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `waitid`, with the statuses that nix does not take: an end by a real-time signal. `None` where nothing has
/// ended and `WNOHANG` was given.
pub(super) fn wait_id(
    kind: libc::idtype_t,
    id: u32,
    flags: libc::c_int,
) -> Result<Option<(i32, Exit)>, Errno> {
    loop {
        // SAFETY: siginfo_t is plain data for which all zeros are a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is ours and large enough; the call keeps no pointer.
        match Errno::result(unsafe { libc::waitid(kind, id, &mut info, flags) }) {
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        // SAFETY: a successful waitid has filled in the fields of SIGCHLD, or left them zero.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        return Ok((pid != 0).then_some(match info.si_code {
            libc::CLD_EXITED => (pid, Exit::Code(status)),
            libc::CLD_KILLED | libc::CLD_DUMPED => (pid, Exit::Signal(status)),
            _ => (pid, Exit::Unknown),
        }));
    }
}
