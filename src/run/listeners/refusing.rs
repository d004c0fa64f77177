//! Listeners that refuse: bound, so that nobody else gets the address, and not listening, so that the kernel answers at
//! once that nobody is there. A worker that comes has such a socket listen just before it takes its first client.
//!
//! A TCP listener can be taken out of listening and be put back. A Unix socket cannot: another one takes its place. One
//! that systemd holds stays as it is: systemd would take it for broken when ostlerd ends.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};

use super::Listeners;
use super::bound::{Bound, Entry, SocketName, entry_of, failed, start};
use crate::config::Address;
use crate::run::listen_error::ListenError;

/// What came of refusing.
#[derive(Debug, Default)]
pub(in crate::run) struct RefusingOutcome {
    /// Whether something was open before.
    pub(in crate::run) is_new: bool,
    /// Whether connections wait all the same, at sockets of systemd's.
    pub(in crate::run) waits: bool,
    /// Listeners that could not be had refuse.
    pub(in crate::run) errors: Vec<ListenError>,
}

impl Listeners {
    /// Has connections refused, and resets those that wait. Unix sockets are to be replaced.
    pub(in crate::run) fn refuse(&mut self) -> RefusingOutcome {
        let mut refusal = RefusingOutcome::default();
        for bound in &mut self.bound {
            if let Address::Systemd(_) = bound.listen.address {
                refusal.waits = true;
                continue;
            }
            let listens = entry_of(bound.fd.as_fd()) == Entry::Open;
            let is_done = matches!(bound.entry, Entry::Shut | Entry::Ended);
            if is_done || bound.entry == Entry::Refused && !listens {
                continue;
            }
            refusal.is_new |= bound.entry == Entry::Open;
            let refused = match bound.name {
                SocketName::Unix(_) => end(bound).map(|()| Entry::Ended),
                _ if listens => stop_listening(bound).map(|()| Entry::Refused),
                _ => Ok(Entry::Refused),
            };
            match refused {
                Ok(entry) => bound.entry = entry,
                Err(error) => refusal.errors.push(error),
            }
        }
        refusal
    }

    /// Has those that refuse listen again; whether there were any.
    pub(in crate::run) fn accept(&mut self) -> Result<bool, ListenError> {
        let mut any = false;
        for bound in self.bound.iter_mut().filter(|bound| bound.entry == Entry::Ended) {
            // The one that takes its place is not to refuse.
            (bound.entry, any) = (Entry::Shut, true);
        }
        for bound in self.bound.iter_mut().filter(|bound| bound.entry == Entry::Refused) {
            start(bound.fd.as_fd(), &bound.listen)?;
            (bound.entry, any) = (Entry::Open, true);
        }
        Ok(any)
    }
}

fn stop_listening(bound: &Bound) -> Result<(), ListenError> {
    // With the option another process could bind the port meanwhile.
    setsockopt(&bound.fd, sockopt::ReuseAddr, &false)
        .and_then(|()| shutdown(bound.fd.as_raw_fd(), Shutdown::Read))
        .map_err(|error| failed(&bound.listen, "have connections refused", error))
}

/// Whoever waits at the socket is reset when the last who has it open closes it.
fn end(bound: &mut Bound) -> Result<(), ListenError> {
    match shutdown(bound.fd.as_raw_fd(), Shutdown::Read) {
        Ok(()) | Err(Errno::ENOTCONN) => {}
        Err(error) => return Err(failed(&bound.listen, "have connections refused", error)),
    }
    bound.file = None;
    Ok(())
}
