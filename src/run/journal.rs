//! Where the output of an app's processes goes where there is a journal: a stream for each app, under its name.
//!
//! ```text
//! ostlerd ── opens it and names it ──► journald's socket ──► the journal
//!    └── copies at 1 and 2 of a worker ─────┘                   ostlerd is no part of this any more
//! ```
//!
//! So what a worker prints waits for no ostlerd, and is found by `journalctl -t APP`. journald hands its own end to
//! systemd's store, so that a stream outlives a journald that is restarted or dies. One that was broken all the same
//! is found to be so when the next process is given it, and is replaced; those who have it connect anew themselves
//! (`output.py`).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, connect, send, setsockopt, shutdown,
    socket, sockopt,
};

use crate::config::AppName;
use crate::plan::Blueprint;

/// Where journald takes streams in.
const SOCKET: &str = "/run/systemd/journal/stdout";

/// So much is wanted to wait in a stream while journald is being restarted; the kernel's limit may be lower.
const WAITING: usize = 8 << 20;

/// The journal, with the stream of every app that has printed there.
#[derive(Debug)]
pub struct Journal {
    socket: PathBuf,
    streams: Mutex<BTreeMap<AppName, Arc<Stream>>>,
}

/// A stream into the journal. Everybody who has a copy of it keeps it open.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
    name: String,
}

impl Journal {
    /// The journal of this machine; `None` where what ostlerd itself says does not go there either.
    pub fn detect() -> Option<Journal> {
        crate::observe::stderr_is_the_journal().then(|| Journal::at(Path::new(SOCKET)))
    }

    /// A journal that takes streams in here.
    pub fn at(socket: &Path) -> Journal {
        Journal { socket: socket.to_owned(), streams: Mutex::default() }
    }

    /// The stream for an app's processes; `None` where they write to a file of their own. An error is said in the log:
    /// the processes write where ostlerd does, then.
    pub fn stream(&self, blueprint: &Blueprint) -> Option<Arc<Stream>> {
        if blueprint.log_file.is_some() {
            return None;
        }
        let app = &blueprint.app;
        let stream = self.open(app);
        let told = |error: &io::Error| {
            tracing::warn!(
                app = app.as_str(),
                "the output of the app's processes goes to the journal under ostlerd's name: {}: {error}",
                self.socket.display()
            );
        };
        stream.inspect_err(told).ok()
    }

    /// The stream that is open under the app's name, or a new one.
    pub fn open(&self, app: &AppName) -> io::Result<Arc<Stream>> {
        let mut streams = self.streams();
        if let Some(stream) = streams.get(app).filter(|stream| stream.is_whole()) {
            return Ok(stream.clone());
        }
        let stream = Arc::new(Stream::connect(&self.socket, app)?);
        streams.insert(app.clone(), stream.clone());
        Ok(stream)
    }

    /// No more processes of the app are started; those that live have copies of their own.
    pub fn close(&self, app: &AppName) {
        self.streams().remove(app);
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<AppName, Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn connect(path: &Path, app: &AppName) -> io::Result<Stream> {
        // A journald that stands still must not hold ostlerd up: a full queue is an error at once.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        shutdown(fd.as_raw_fd(), Shutdown::Read)?;
        // Neither is sure: the first is cut to the kernel's limit, which only the network's administrator may exceed.
        let _ = setsockopt(&fd, sockopt::SndBuf, &WAITING);
        let _ = setsockopt(&fd, sockopt::SndBufForce, &WAITING);
        // The identifier; no unit of its own, so that each line has that of its writer; the level info; a level at
        // the head of a line is understood; nothing is forwarded to syslog, the kernel or a console.
        let header = format!("{app}\n\n6\n1\n0\n0\n0\n");
        let sent = send(fd.as_raw_fd(), header.as_bytes(), MsgFlags::MSG_NOSIGNAL)?;
        if sent < header.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // Programs do not expect their output to be anything but blocking.
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty()))?;
        let is = nix::sys::stat::fstat(&fd)?;
        Ok(Stream { fd, name: format!("{}:{}", is.st_dev, is.st_ino) })
    }

    fn is_whole(&self) -> bool {
        let mut look = [PollFd::new(self.fd.as_fd(), PollFlags::empty())];
        let broken = PollFlags::POLLHUP | PollFlags::POLLERR;
        let seen = poll(&mut look, PollTimeout::ZERO);
        seen.is_ok() && !look[0].revents().unwrap_or(broken).intersects(broken)
    }

    /// Standard output and error of a process.
    pub fn outputs(&self) -> [(BorrowedFd<'_>, i32); 2] {
        [(self.fd.as_fd(), 1), (self.fd.as_fd(), 2)]
    }

    /// The variable by which a process knows that its output is the journal.
    pub fn variable(&self) -> (String, String) {
        ("JOURNAL_STREAM".to_owned(), self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::{UnixListener, UnixStream};

    use nix::fcntl::FdFlag;
    use nix::sys::socket::{Backlog, listen};

    use super::*;

    const HEADER: &str = "shop\n\n6\n1\n0\n0\n0\n";

    fn shop() -> AppName {
        "shop".parse().expect("a name")
    }

    /// A socket that streams are taken in on.
    fn journald() -> (tempfile::TempDir, UnixListener, Journal) {
        let folder = tempfile::tempdir().expect("/tmp is writable");
        let path = folder.path().join("stdout");
        let listener = UnixListener::bind(&path).expect("the folder is ours");
        (folder, listener, Journal::at(&path))
    }

    fn taken_in(listener: &UnixListener) -> UnixStream {
        let (mut end, _) = listener.accept().expect("somebody has connected");
        let mut header = vec![0; HEADER.len()];
        end.read_exact(&mut header).expect("the header is there");
        assert_eq!(String::from_utf8_lossy(&header), HEADER);
        end
    }

    fn print(stream: &Stream, text: &str) {
        let [(out, 1), (_, 2)] = stream.outputs() else { panic!("standard output and error") };
        assert_eq!(nix::unistd::write(out, text.as_bytes()), Ok(text.len()));
    }

    #[test]
    fn a_stream_says_whose_it_is_and_then_what_is_printed() {
        let (_folder, listener, journal) = journald();
        let stream = journal.open(&shop()).expect("the socket is there");
        let mut end = taken_in(&listener);
        print(&stream, "hello\n");
        journal.close(&shop());
        drop(stream);
        let mut said = String::new();
        end.read_to_string(&mut said).expect("it ends: nobody else has it");
        assert_eq!(said, "hello\n");
    }

    #[test]
    fn an_app_has_one_stream_which_blocks_and_is_not_inherited() {
        let (_folder, listener, journal) = journald();
        let stream = journal.open(&shop()).expect("the socket is there");
        assert!(Arc::ptr_eq(&stream, &journal.open(&shop()).expect("it is open")));
        let other = journal.open(&"forum".parse().expect("a name")).expect("the socket is there");
        assert_ne!(other.variable(), stream.variable());
        let flags = fcntl(&stream.fd, FcntlArg::F_GETFL).expect("it is open");
        assert!(!OFlag::from_bits_truncate(flags).contains(OFlag::O_NONBLOCK));
        let flags = fcntl(&stream.fd, FcntlArg::F_GETFD).expect("it is open");
        assert!(FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC));
        drop(listener);
    }

    #[test]
    fn a_stream_that_was_broken_is_replaced() {
        let (_folder, listener, journal) = journald();
        let broken = journal.open(&shop()).expect("the socket is there");
        drop(taken_in(&listener));
        let whole = journal.open(&shop()).expect("the socket is there");
        assert!(!Arc::ptr_eq(&broken, &whole));
        let _end = taken_in(&listener);
        print(&whole, "hello\n");
    }

    #[test]
    fn a_journal_that_nobody_reads_holds_nobody_up() {
        let (folder, listener, journal) = journald();
        listen(&listener, Backlog::new(1).expect("it is a number")).expect("it listens already");
        let app = |number: u32| format!("app-{number}").parse::<AppName>().expect("a name");
        let refused = (0..100).find_map(|number| journal.open(&app(number)).err());
        assert_eq!(refused.expect("its queue is full").kind(), io::ErrorKind::WouldBlock);
        drop(listener);
        assert_eq!(journal.open(&shop()).expect_err("it is dead").kind(), io::ErrorKind::ConnectionRefused);
        drop(folder);
        assert_eq!(journal.open(&shop()).expect_err("it is gone").kind(), io::ErrorKind::NotFound);
    }
}
