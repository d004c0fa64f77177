//! The line to an interpreter: what it says on its control socket, who says it, and what it leaves in memory.
//!
//! What runs there is the app's, and so is what it says. Who says something is believed of the kernel alone: an
//! interpreter that is another process than the one that was started would outlive its end, and keep the port.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, getpeername, getsockopt, send,
    setsockopt, shutdown, socketpair, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::boot_report::BootReport;
use super::credentials::receive;
use super::files;
use super::launch_spec::CONTROL;
use super::listeners::bound::inode_of;
use super::messages::Messages;
use super::process::ProcessHandle;
use crate::worker::{FailedMessage, FailureStage, Message};

/// The number at which a process that the next ostlerd goes on speaking to holds our end of its control socket.
pub(super) const OUR_END: i32 = 7;

/// So much is read at once.
const READ_MOST: usize = 8192;

/// Our end of a control socket.
#[derive(Debug)]
pub struct Wire {
    pub(super) control: Arc<UnixStream>,
    /// What the process can write down, whatever has become of its descriptors.
    pub(super) report: Arc<BootReport>,
    /// The other end, as the kernel numbers it.
    other_end: u64,
    /// The interpreter, as it is configured.
    python: PathBuf,
    messages: Messages,
    /// Whether the process itself has been heard: from then on nobody else is.
    known: bool,
    failed: bool,
}

/// What could be read at once.
pub(super) struct Received {
    pub(super) messages: Vec<Message>,
    /// Nothing more will come, or be listened to.
    pub(super) closed: bool,
}

/// A new control socket: our end, and theirs, by which the kernel adds who speaks.
pub(super) fn sockets() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    // Before anything can be said on it.
    setsockopt(&ours, sockopt::PassCred, &true)?;
    let stream = std::os::unix::net::UnixStream::from(ours);
    stream.set_nonblocking(true)?;
    Ok((UnixStream::from_std(stream)?, theirs))
}

/// Our end of the control socket of a process of an earlier ostlerd, by a copy of what that one has left with it.
pub(super) fn our_end_of(process: &ProcessHandle) -> Option<OwnedFd> {
    let fd = process.descriptor(OUR_END).ok()?;
    let is_stream = getsockopt(&fd, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    if is_stream && getpeername::<UnixAddr>(fd.as_raw_fd()).is_ok() {
        return Some(fd);
    }
    files::let_go(fd);
    None
}

/// Says to a process of an earlier ostlerd that nothing more comes, if it is one that is spoken to: while it runs hooks, it
/// takes no notice of SIGTERM.
pub(super) fn end_input_of(process: &ProcessHandle) {
    if let Some(fd) = our_end_of(process) {
        let _ = shutdown(fd.as_raw_fd(), Shutdown::Write);
    }
}

impl Wire {
    pub(super) fn new(control: UnixStream, other_end: u64, report: BootReport, python: PathBuf) -> Wire {
        let (messages, known, failed) = Default::default();
        let (control, report) = (Arc::new(control), Arc::new(report));
        Wire { control, report, other_end, python, messages, known, failed }
    }

    /// Our end of one that an earlier ostlerd made, whose process has said that it is there. What that may have written down
    /// before is not asked for again.
    pub(super) fn again(our_end: OwnedFd, python: PathBuf) -> io::Result<Wire> {
        let control = UnixStream::from_std(our_end.into())?;
        let wire = Wire::new(control, 0, BootReport::with(b"")?, python);
        Ok(Wire { known: true, failed: true, ..wire })
    }

    /// How many lines were no message of the contract.
    pub(super) fn strange(&self) -> usize {
        self.messages.strange
    }

    /// Lets the process say as much again: it was asked something new.
    pub(super) fn renew(&mut self) {
        self.messages.renew();
    }

    /// Says something. Where the process is gone, that is found by hearing of it. It may hold our end too, and have it wait.
    pub(super) async fn tell(&self, mut line: &[u8]) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let write = |line: &[u8]| Ok(send(self.control.as_raw_fd(), line, flags)?);
        while !line.is_empty() && self.control.writable().await.is_ok() {
            match self.control.try_io(Interest::WRITABLE, || write(line)) {
                Ok(count) => line = &line[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Says nothing more: the end of file for the process.
    pub(super) fn end(&self) {
        let _ = shutdown(self.control.as_raw_fd(), Shutdown::Write);
    }

    /// Reads what is there and does not wait: a descendant of the worker may hold the socket open for ever.
    /// The last time, the kernel is asked and not the event loop, which may not have heard of the last bytes yet.
    pub(super) fn read(&mut self, process: &ProcessHandle, last: bool) -> Received {
        let mut received = Received { messages: Vec::new(), closed: false };
        while !received.closed {
            let read = if last {
                receive(self.control.as_fd(), READ_MOST)
            } else {
                self.control.try_io(Interest::READABLE, || receive(self.control.as_fd(), READ_MOST))
            };
            match read {
                Ok((bytes, _)) if bytes.is_empty() => received.closed = true,
                Ok((_, Some(pid))) if pid > 0 && pid != process.pid() => {
                    // Children of an app that has been heard may hold the socket too, and are not listened to.
                    if !self.known {
                        self.send_away(process, pid);
                        received =
                            Received { messages: vec![self.refusal(process.pid(), pid)], closed: true };
                    }
                }
                Ok((bytes, _)) => {
                    self.known = true;
                    received.messages.extend(self.messages.push(&bytes));
                    received.closed = self.messages.is_full();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => received.closed = true,
            }
        }
        self.failed |= received.messages.iter().any(|it| matches!(it, Message::Failed(_)));
        if received.closed {
            // A held worker takes it for its end, and one that babbles for a closed listener.
            let _ = shutdown(self.control.as_raw_fd(), Shutdown::Both);
        }
        if received.closed || last {
            received.messages.extend(self.left_behind());
        }
        received
    }

    /// Why the process has failed, where it could not say so: it has closed its control socket itself.
    fn left_behind(&mut self) -> Option<Message> {
        let reason = if self.failed { None } else { self.report.reason() };
        self.failed |= reason.is_some();
        reason
    }

    /// Ends what speaks for the process that was started, as far as it is certain who that is.
    fn send_away(&self, process: &ProcessHandle, sender: i32) {
        let is_it = || holds(sender, self.other_end);
        if let Ok(Some(sender)) = process.adopt_beside(sender, is_it) {
            let _ = sender.kill_group();
        }
        let _ = process.kill_group();
    }

    fn refusal(&self, started: i32, sender: i32) -> Message {
        let python = self.python.display();
        let message = format!(
            "python = {python} starts Python as another process ({sender}) instead of becoming it ({started}), and \
             would leave it running: if it is a script, write `exec` before its last command, as in \
             `exec /path/to/python \"$@\"`; else name the interpreter itself"
        );
        Message::Failed(FailedMessage { stage: FailureStage::Boot, message, traceback: String::new() })
    }
}

/// Whether a process has this socket where a worker has its control socket.
pub(super) fn holds(pid: i32, socket: u64) -> bool {
    let held = std::fs::read_link(format!("/proc/{pid}/fd/{CONTROL}"));
    held.is_ok_and(|it| it.to_str() == Some(&format!("socket:[{socket}]")))
}

/// The other end of a control socket, as the kernel numbers it.
pub(super) fn number_of(theirs: BorrowedFd<'_>) -> io::Result<u64> {
    inode_of(theirs).ok_or_else(io::Error::last_os_error)
}
