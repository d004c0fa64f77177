//! Orphans: what the workers leave behind falls to ostlerd, and is reaped here.

use std::io;

use nix::libc;

use super::process::{Children, wait_id};

/// Makes this process the parent of its descendants' orphans. From now on every child that was not started
/// through `children` is reaped at the next [`sweep`].
pub fn take_orphans(children: &Children) -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    children.take_orphans();
    Ok(())
}

/// Reaps the dead that nobody watches; to be called at every SIGCHLD. Returns how many there were.
///
/// The kernel shows the dead one at a time. A watched one ends the sweep: its watcher reaps it and sweeps again.
pub fn sweep(children: &Children) -> usize {
    if !children.takes_orphans() {
        return 0;
    }
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let mut reaped = 0;
    while let Ok(Some((pid, _))) = wait_id(libc::P_ALL, 0, look) {
        if children.is_watched(pid) {
            break;
        }
        let _ = wait_id(libc::P_PID, pid as u32, libc::WEXITED | libc::WNOHANG);
        reaped += 1;
    }
    reaped
}
