//! Listeners that refuse: bound, so that nobody else gets the address, and not listening, so that the kernel answers at
//! once that nobody is there. A worker that comes has such a socket listen just before it takes its first client.
//!
//! A TCP listener can be taken out of listening and be put back. A Unix socket cannot: another one takes its place. One
//! that systemd holds stays as it is: systemd would take it for broken when ostlerd ends.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, getsockopt, setsockopt, shutdown, sockopt};

use super::{Bound, ListenError, Listeners, SocketName, failed, start};
use crate::config::Address;
use crate::plan::Account;
use crate::run::unix_socket;

/// How new connections fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// They wait for a worker to take them.
    Open,
    /// They do not come in, and those that are in are taken: the app stops.
    Shut,
    /// They are refused: nobody is there.
    Refused,
}

/// What came of refusing.
#[derive(Debug, Default)]
pub(in crate::run) struct Refusal {
    /// Whether something was open before.
    pub(in crate::run) is_new: bool,
    /// Whether connections wait all the same, at sockets of systemd's.
    pub(in crate::run) waits: bool,
    /// Listeners that could not be had refuse.
    pub(in crate::run) errors: Vec<ListenError>,
}

impl Listeners {
    /// Has connections refused, and resets those that wait. `owner` gets the files of Unix sockets where ostlerd is root.
    pub(in crate::run) fn refuse(&mut self, owner: Option<&Account>) -> Refusal {
        let mut refusal = Refusal::default();
        for bound in &mut self.bound {
            if let Address::Systemd(_) = bound.listen.address {
                refusal.waits = true;
                continue;
            }
            let listens = entry_of(bound.fd.as_fd()) == Entry::Open;
            if bound.entry == Entry::Shut || bound.entry == Entry::Refused && !listens {
                continue;
            }
            refusal.is_new |= bound.entry == Entry::Open;
            let refused = match bound.name {
                SocketName::Unix(_) => replace(bound, owner, &self.runtime_directory),
                _ if listens => stop_listening(bound),
                _ => Ok(()),
            };
            match refused {
                Ok(()) => bound.entry = Entry::Refused,
                Err(error) => refusal.errors.push(error),
            }
        }
        refusal
    }

    /// Has those that refuse listen again; whether there were any.
    pub(in crate::run) fn accept(&mut self) -> Result<bool, ListenError> {
        let mut any = false;
        for bound in self.bound.iter_mut().filter(|bound| bound.entry == Entry::Refused) {
            start(bound.fd.as_fd(), &bound.listen)?;
            (bound.entry, any) = (Entry::Open, true);
        }
        Ok(any)
    }
}

/// As a socket is found.
pub(super) fn entry_of(fd: BorrowedFd<'_>) -> Entry {
    if getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false) { Entry::Open } else { Entry::Refused }
}

fn stop_listening(bound: &Bound) -> Result<(), ListenError> {
    // With the option another process could bind the port meanwhile.
    setsockopt(&bound.fd, sockopt::ReuseAddr, &false)
        .and_then(|()| shutdown(bound.fd.as_raw_fd(), Shutdown::Read))
        .map_err(|error| failed(&bound.listen, "have connections refused", error))
}

/// Whoever waits at the old socket is reset when the last who has it open closes it.
fn replace(
    bound: &mut Bound,
    owner: Option<&Account>,
    runtime_directory: &std::path::Path,
) -> Result<(), ListenError> {
    let Address::Unix(path) = &bound.listen.address else { return Ok(()) };
    match shutdown(bound.fd.as_raw_fd(), Shutdown::Read) {
        Ok(()) | Err(Errno::ENOTCONN) => {}
        Err(error) => return Err(failed(&bound.listen, "have connections refused", error)),
    }
    // Should there be no other, there is no file, and the next worker's start makes both.
    (bound.file, bound.entry) = (None, Entry::Shut);
    let (fd, file) = unix_socket::bind_file(path, bound.listen.mode, owner, runtime_directory)?;
    (bound.fd, bound.file) = (Arc::new(fd), Some(file));
    Ok(())
}
