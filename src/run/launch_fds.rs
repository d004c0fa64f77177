//! Descriptors of a launch: sent in one message, received, and put at their numbers with all else closed.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The kernel's own limit of descriptors in one message.
pub(super) const MOST: usize = 253;

/// Sends `fds` in one message. The socket's buffer holds it: nobody needs to be reading yet.
pub(super) fn send(to: BorrowedFd<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(b"f")], &rights, flags, None)?;
    Ok(())
}

/// Receives the descriptors of one message.
pub(super) fn receive(from: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let message = recvmsg::<()>(from.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just made these descriptors for us, and nobody else knows them.
            fds.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(fds)
}

/// Waits for the byte that opens the gate; false where ostlerd has ended without it.
pub(super) fn gate_opens(from: BorrowedFd<'_>) -> bool {
    loop {
        match nix::unistd::read(from, &mut [0]) {
            Err(Errno::EINTR) => {}
            read => return read == Ok(1),
        }
    }
}

/// Puts each of `fds` at its target, `/dev/null` at 0 and stderr at 1 where no target says otherwise, and
/// closes everything else.
pub(super) fn arrange(fds: Vec<OwnedFd>, targets: &[i32]) -> io::Result<()> {
    let above = targets.iter().copied().max().unwrap_or(0).max(2) + 1;
    let mut moved = Vec::with_capacity(fds.len());
    for fd in &fds {
        // SAFETY: F_DUPFD_CLOEXEC has just made this descriptor.
        moved.push(unsafe { OwnedFd::from_raw_fd(fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(above))?) });
    }
    // From here on the numbers below `above` are ours to overwrite; what they named is in `moved`.
    fds.into_iter().for_each(std::mem::forget);
    if !targets.contains(&0) {
        put(std::fs::File::open("/dev/null")?.as_raw_fd(), 0)?;
    }
    for (fd, &target) in moved.iter().zip(targets) {
        put(fd.as_raw_fd(), target)?;
    }
    if !targets.contains(&1) {
        put(2, 1)?;
    }
    moved.into_iter().for_each(std::mem::forget);
    close_all_but(targets)
}

/// Makes `log` standard output and error, unless a target is there already.
pub(super) fn set_output(log: BorrowedFd<'_>, targets: &[i32]) -> Result<(), Errno> {
    for number in [1, 2] {
        if !targets.contains(&number) {
            put(log.as_raw_fd(), number)?;
        }
    }
    Ok(())
}

fn put(fd: RawFd, target: RawFd) -> Result<(), Errno> {
    // SAFETY: in the launcher nobody owns the numbers up to the highest target.
    Errno::result(unsafe { libc::dup2(fd, target) }).map(drop)
}

fn close_all_but(targets: &[i32]) -> io::Result<()> {
    let mut kept: Vec<u32> = targets.iter().filter_map(|&target| u32::try_from(target).ok()).collect();
    kept.extend([0, 1, 2]);
    kept.sort_unstable();
    kept.dedup();
    let ends = kept[1..].iter().map(|next| next - 1).chain([u32::MAX]);
    for (first, last) in kept.iter().map(|fd| fd + 1).zip(ends) {
        if first <= last && close_range(first, last).is_err() {
            return close_one_by_one(&kept);
        }
    }
    Ok(())
}

fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: everything that the launcher still needs is outside the range, and nothing it owns is inside.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// For kernels before 5.9.
fn close_one_by_one(kept: &[u32]) -> io::Result<()> {
    let open: Vec<u32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| !kept.contains(fd))
        .collect();
    for fd in open {
        // SAFETY: as above; the directory's own descriptor is closed already, which is refused harmlessly.
        unsafe { libc::close(fd as RawFd) };
    }
    Ok(())
}
