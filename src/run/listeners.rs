//! The listening sockets of an app. ostlerd holds them, workers share them: the kernel's queue of connections
//! survives every worker.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;

use serde::{Deserialize, Serialize};

use super::accept_queue::{self, ClosedListener};
pub use super::listen_error::ListenError;
use super::socket_activation::Passed;
use super::tcp_socket;
use super::unix_socket::{SocketFile, SocketPath};
use crate::config::{Address, Listen};
use crate::plan::{Account, Blueprint};
use crate::worker::ListenerAddress;

pub(super) mod bound;
mod files;
mod refusing;

pub use bound::{Bound, SocketName};
use bound::{Entry, entry_of, failed, inode_of, name_of, start};
pub use files::Done;
pub(super) use files::{FileOrder, carry_out};

/// A connection that sends nothing is handed to a worker after this many seconds all the same.
const DEFER_ACCEPT_SECONDS: libc::c_int = 30;

/// Where this is, in the orders of a process that gets no sockets; only systemd knows where one of its own is.
fn order_of(listen: &Listen) -> Option<ListenerAddress> {
    match &listen.address {
        Address::Tcp(it) if it.is_ipv4() => Some(ListenerAddress::Inet(it.ip().to_string(), it.port())),
        Address::Tcp(it) => Some(ListenerAddress::Inet6(it.ip().to_string(), it.port())),
        Address::Unix(path) => Some(ListenerAddress::Unix(path.display().to_string())),
        Address::Systemd(_) => None,
    }
}

/// Where an app listens, for a process that gets no sockets.
pub(super) fn orders_of(blueprint: &Blueprint) -> Vec<ListenerAddress> {
    blueprint.listen.iter().filter_map(order_of).collect()
}

/// What the next ostlerd has to know of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListenerRecord {
    /// What was asked for.
    pub(super) listen: Listen,
    /// The socket, as the kernel numbers it.
    pub(super) inode: u64,
    /// Of a Unix socket: device and inode of its file, where that is ours to remove.
    pub(super) file: Option<(u64, u64)>,
}

/// The sockets of one app.
#[derive(Debug)]
pub struct Listeners {
    runtime_directory: PathBuf,
    bound: Vec<Bound>,
    /// How often they were shut: what was ordered before that comes too late.
    shuts: u64,
}

impl Listeners {
    /// None yet. Missing folders of socket files are made below `runtime_directory` only.
    pub fn new(runtime_directory: &Path) -> Listeners {
        Listeners { runtime_directory: runtime_directory.to_owned(), bound: Vec::new(), shuts: 0 }
    }

    /// Binds what is wanted and not bound yet: all of it, or nothing. Sockets that are bound already stay, with
    /// the backlog and mode that are wanted now. `owner` gets the files of Unix sockets where ostlerd is root. It may wait for
    /// their file system: not for the loop.
    pub fn bind_missing(
        &mut self,
        wanted: &[Listen],
        owner: Option<&Account>,
        passed: &Passed,
    ) -> Result<(), ListenError> {
        let done = self.orders(wanted, owner, passed).into_iter().map(FileOrder::carry_out).collect();
        self.bind_with(wanted, passed, done)
    }

    /// The same with what was `done` about Unix sockets, as [`Listeners::orders`] has it: nothing is waited for.
    pub(super) fn bind_with(
        &mut self,
        wanted: &[Listen],
        passed: &Passed,
        mut done: Vec<Done>,
    ) -> Result<(), ListenError> {
        let mut new = Vec::new();
        for listen in wanted {
            let same = |bound: &Bound| bound.listen.address == listen.address;
            if !self.bound.iter().chain(&new).any(same) {
                tcp_socket::has_room(listen, &self.bound)?;
                let ipv6_alone = tcp_socket::leaves_ipv4(listen, wanted);
                new.extend(self.bind_one(listen, passed, ipv6_alone, &mut done)?);
            }
        }
        tcp_socket::warn_of_ipv6_alone(&self.bound, wanted);
        for bound in &mut self.bound {
            if let Some(listen) = wanted.iter().find(|wanted| wanted.address == bound.listen.address) {
                bound.adjust(listen, &mut done)?;
            }
        }
        self.bound.extend(new);
        Ok(())
    }

    /// Takes back a socket that an earlier ostlerd bound for `record`, for an app of `owner`. False where it is not that one.
    pub(super) fn take_back(
        &mut self,
        record: &ListenerRecord,
        owner: Option<&Account>,
        fd: OwnedFd,
    ) -> bool {
        let Ok(name) = name_of(fd.as_fd(), &record.listen) else { return false };
        if inode_of(fd.as_fd()) != Some(record.inode) {
            return false;
        }
        let file = match (&name, record.file) {
            (SocketName::Unix(path), Some(file)) => {
                let place = SocketPath::new(path, &record.listen, owner, &self.runtime_directory);
                Some(SocketFile::again(place, file))
            }
            _ => None,
        };
        // A stop under way may have shut it; a filter that is not there is no error that matters.
        let _ = accept_queue::open(fd.as_fd());
        let entry = entry_of(fd.as_fd());
        self.bound.push(Bound { listen: record.listen.clone(), fd: Arc::new(fd), name, file, entry });
        true
    }

    /// Whether something of `wanted` is not bound.
    pub(super) fn lacks(&self, wanted: &[Listen]) -> bool {
        !wanted.iter().all(|listen| self.bound.iter().any(|bound| bound.listen.address == listen.address))
    }

    /// Every socket, as the next ostlerd finds it again.
    pub(super) fn records(&self) -> Vec<ListenerRecord> {
        let record = |bound: &Bound| {
            let inode = inode_of(bound.fd.as_fd())?;
            let file = bound.file.as_ref().map(SocketFile::identity);
            Some(ListenerRecord { listen: bound.listen.clone(), inode, file })
        };
        self.bound.iter().filter_map(record).collect()
    }

    /// Closes the sockets whose addresses are not wanted; files of Unix sockets go with them.
    pub fn drop_unwanted(&mut self, wanted: &[Listen]) {
        self.bound.retain(|bound| wanted.iter().any(|listen| listen.address == bound.listen.address));
    }

    /// The sockets for `wanted`, in that order; the ones that are not bound are left out.
    pub fn of<'a>(&'a self, wanted: &'a [Listen]) -> Vec<&'a Bound> {
        wanted
            .iter()
            .flat_map(|listen| self.bound.iter().filter(move |bound| bound.listen.address == listen.address))
            .collect()
    }

    /// What was asked for of those that are bound.
    pub fn wanted(&self) -> Vec<Listen> {
        self.bound.iter().map(|bound| bound.listen.clone()).collect()
    }

    /// Every socket.
    pub fn all(&self) -> &[Bound] {
        &self.bound
    }

    /// Whether workers are given TCP connections only when there is something to read: right for the ones that
    /// serve one connection at a time, which a silent client would block.
    pub fn defer_accept(&self, defer: bool) {
        let seconds = if defer { DEFER_ACCEPT_SECONDS } else { 0 };
        for bound in self.bound.iter().filter(|bound| !matches!(bound.name, SocketName::Unix(_))) {
            set_defer_accept(bound.fd.as_fd(), seconds);
        }
    }

    /// Lets no new connection in; gives what those that wait are found by. Sockets of systemd's stay open: it keeps
    /// them, and with them who waits.
    pub(super) fn shut(&mut self) -> Vec<ClosedListener> {
        self.shuts += 1;
        for bound in
            self.bound.iter_mut().filter(|bound| !matches!(bound.listen.address, Address::Systemd(_)))
        {
            bound.entry = Entry::Shut;
            match bound.name {
                SocketName::Unix(_) => drop(bound.file.take()),
                // Without it everything else is as it should be.
                _ => drop(accept_queue::shut(bound.fd.as_fd())),
            }
        }
        let listener =
            |bound: &Bound| ClosedListener { fd: Arc::downgrade(&bound.fd), name: bound.name.clone() };
        self.bound.iter().map(listener).collect()
    }

    /// Lets connections in again where they were not let in, but at Unix sockets, which are made anew
    /// ([`Listeners::replace`]).
    pub(super) fn open_again(&mut self) -> Result<(), ListenError> {
        for bound in self.bound.iter_mut().filter(|bound| bound.entry == Entry::Shut) {
            if !matches!(bound.listen.address, Address::Unix(_)) {
                bound.entry = Entry::Open;
                accept_queue::open(bound.fd.as_fd())
                    .map_err(|error| failed(&bound.listen, "let connections in again", error))?;
            }
        }
        Ok(())
    }

    /// Leaves the files of Unix sockets where they are when the sockets are closed: somebody else serves them.
    pub fn keep_files(&mut self) {
        for file in self.bound.iter_mut().filter_map(|bound| bound.file.as_mut()) {
            file.kept = true;
        }
    }

    fn bind_one(
        &self,
        wanted: &Listen,
        passed: &Passed,
        ipv6_alone: bool,
        done: &mut Vec<Done>,
    ) -> Result<Vec<Bound>, ListenError> {
        let sockets = match &wanted.address {
            Address::Tcp(address) => {
                let fd = passed
                    .own_at(&wanted.address)
                    .map_or_else(|| tcp_socket::bind_to(*address, ipv6_alone), Ok)?;
                vec![(Arc::new(fd), None)]
            }
            Address::Unix(_) => match self.done_at(wanted, done) {
                Some(made) => return Ok(vec![Bound::made(wanted, made?)?]),
                None => return Err(failed(wanted, "have its file made in time", Errno::EAGAIN)),
            },
            Address::Systemd(name) => {
                let sockets = passed.named(name);
                if sockets.is_empty() {
                    let passed = passed.names().into_iter().map(str::to_owned).collect();
                    return Err(ListenError::NotPassed { name: name.clone(), passed });
                }
                sockets.into_iter().map(|fd| (fd, None)).collect()
            }
        };
        let ours = !matches!(wanted.address, Address::Systemd(_));
        let bind = |(fd, file): (Arc<OwnedFd>, _)| {
            if ours {
                start(fd.as_fd(), wanted)?;
            }
            let name = name_of(fd.as_fd(), wanted)?;
            Ok(Bound { listen: wanted.clone(), fd, name, file, entry: Entry::Open })
        };
        sockets.into_iter().map(bind).collect()
    }
}

impl Bound {
    fn adjust(&mut self, wanted: &Listen, done: &mut Vec<Done>) -> Result<(), ListenError> {
        let ours = !matches!(wanted.address, Address::Systemd(_));
        if wanted.backlog != self.listen.backlog && ours && self.entry != Entry::Refused {
            start(self.fd.as_fd(), wanted)?;
        }
        if let Some(at) = done.iter().position(|it| it.gives_access_to(wanted)) {
            done.swap_remove(at).done?;
        }
        self.listen = wanted.clone();
        Ok(())
    }
}

fn set_defer_accept(fd: BorrowedFd<'_>, seconds: libc::c_int) {
    // SAFETY: the option takes one int, which lives as long as the call. A kernel without it changes nothing.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}
