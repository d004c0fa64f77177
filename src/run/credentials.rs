//! What is said on a socket, and who says it: the kernel adds that where the socket asks for it (`SO_PASSCRED`).
//!
//! A message may bring descriptors. Nobody is to send any, but a zygote holds our end of its socket as well, for the next
//! ostlerd, and so can change what the kernel adds. The kernel opens them in this process before anybody is asked: each
//! that came is closed, or one app could use up what ostlerd needs for all of them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

/// The kernel's number of a message that brings a descriptor of its sender's process.
const SCM_PIDFD: libc::c_int = 4;

/// Room for who speaks, and for no more; in units by which the kernel's headers are aligned.
const ROOM: usize = 4;

/// What there is of one sender, up to `most` bytes, and the number of that process. Does not wait.
pub(super) fn receive(control: BorrowedFd<'_>, most: usize) -> io::Result<(Vec<u8>, Option<i32>)> {
    let mut text = vec![0_u8; most];
    let mut room = [0_u64; ROOM];
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    // SAFETY: a msghdr is plain data for which all zeros are a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_control, message.msg_controllen) = (room.as_mut_ptr().cast(), size_of_val(&room) as _);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message names buffers of ours, with their sizes, that outlive the call.
    let count = unsafe { libc::recvmsg(control.as_raw_fd(), &raw mut message, flags) };
    text.truncate(Errno::result(count)?.cast_unsigned());
    // SAFETY: the kernel has just filled it in.
    Ok((text, unsafe { added(&message) }))
}

/// Who speaks; every descriptor is closed.
///
/// # Safety
///
/// The message is as the kernel has filled it in, its buffer is still there, and this is asked once.
unsafe fn added(message: &libc::msghdr) -> Option<i32> {
    let mut sender = None;
    // SAFETY: as the caller promises; each header lies within the buffer, and so does what its length says.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let (data, own) = (libc::CMSG_DATA(header), libc::CMSG_LEN(0) as usize);
            let length = ((*header).cmsg_len as usize).saturating_sub(own);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                    sender = Some(data.cast::<libc::ucred>().read_unaligned().pid);
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS | SCM_PIDFD) => {
                    let all = data.cast::<RawFd>();
                    for at in 0..length / size_of::<RawFd>() {
                        let fd = all.add(at).read_unaligned();
                        // In place of a descriptor an error may stand.
                        if fd >= 0 {
                            drop(OwnedFd::from_raw_fd(fd));
                        }
                    }
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    sender
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg, setsockopt, sockopt};

    use super::*;

    /// How often this process has that file open.
    fn open(file: &File) -> usize {
        let is = |path: std::path::PathBuf| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
        let own = file.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
        let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        all.filter(|it| is(it.path()) == own).count()
    }

    #[test]
    fn descriptors_that_come_are_closed_whoever_is_named() {
        let file = tempfile::tempfile().unwrap();
        for named in [true, false] {
            for sent in [1, 3, 4, 5, 200] {
                let (ours, theirs) = UnixStream::pair().unwrap();
                setsockopt(&ours, sockopt::PassCred, &named).unwrap();
                let rights = vec![file.as_raw_fd(); sent];
                let rights = [ControlMessage::ScmRights(&rights)];
                let said = [IoSlice::new(b"hello")];
                sendmsg::<()>(theirs.as_raw_fd(), &said, &rights, MsgFlags::empty(), None).unwrap();
                let (text, sender) = receive(ours.as_fd(), 100).unwrap();
                assert_eq!(text, b"hello");
                assert_eq!(sender, named.then_some(std::process::id() as i32));
                assert_eq!(open(&file), 1, "{sent} descriptors, the sender named: {named}");
            }
        }
    }

    #[test]
    fn a_descriptor_of_the_sender_is_closed() {
        const SO_PASSPIDFD: libc::c_int = 76;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let on: libc::c_int = 1;
        // SAFETY: the value outlives the call, which copies it.
        let set = unsafe {
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            libc::setsockopt(ours.as_raw_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, (&raw const on).cast(), size)
        };
        if set != 0 {
            eprintln!("skipped: this kernel (before 6.5) sends none");
            return;
        }
        // Others of this process come and go meanwhile; none of these stays.
        let pidfds = || {
            let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            let named =
                |path| std::fs::read_link(path).is_ok_and(|it| it.to_string_lossy().contains("pidfd"));
            all.filter(|it| named(it.path())).count()
        };
        let before = pidfds();
        for _ in 0..200 {
            nix::unistd::write(&theirs, b"x").unwrap();
            receive(ours.as_fd(), 100).unwrap();
        }
        assert!(pidfds() < before + 100, "{before} before, {} now", pidfds());
    }
}
