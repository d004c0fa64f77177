//! Sockets that systemd passed at the start (`sd_listen_fds(3)`), by name.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

use super::listeners;
use crate::config::Address;

/// Where the passed descriptors begin.
const FIRST: RawFd = 3;

/// How the names of sockets begin that an ostlerd has given to systemd's store; their number follows.
pub(super) const STORED: &str = "ostler-listen-";

/// The sockets that systemd passed.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    named: Vec<(String, Arc<OwnedFd>)>,
    /// Sockets that were ours before a re-execution.
    own: Vec<Arc<OwnedFd>>,
}

impl Passed {
    /// Takes the descriptors over and removes the variables, so that no child believes they are its own.
    ///
    /// To be called once, first thing in `main`, before there is a second thread.
    pub fn take() -> Passed {
        let variable = |name: &str| std::env::var(name).ok();
        let names = names(
            variable("LISTEN_PID").as_deref(),
            variable("LISTEN_FDS").as_deref(),
            variable("LISTEN_FDNAMES").as_deref(),
            std::process::id(),
        );
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] {
            // SAFETY: as the caller promises, no other thread reads the environment.
            unsafe { std::env::remove_var(name) };
        }
        let mut passed = Vec::new();
        for (fd, name) in (FIRST..).zip(names) {
            if nix::sys::stat::fstat(BorrowedNumber(fd)).is_err() {
                continue;
            }
            // SAFETY: systemd passed this open descriptor to this very process, and it is taken once.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let _ = fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
            passed.push((name, Arc::new(fd)));
        }
        Passed { named: passed, own: Vec::new() }
    }

    /// With the sockets that were ours before a re-execution.
    pub(super) fn with_own(mut self, own: Vec<OwnedFd>) -> Passed {
        self.own = own.into_iter().map(Arc::new).collect();
        self
    }

    /// Without them: whoever needed one has it.
    pub(super) fn without_own(&self) -> Passed {
        let named = self.named.iter().filter(|(name, _)| !name.starts_with(STORED)).cloned().collect();
        Passed { named, own: Vec::new() }
    }

    /// The numbers of the sockets that came from systemd's store.
    pub(super) fn stored(&self) -> Vec<u64> {
        let number = |(name, _): &(String, _)| name.strip_prefix(STORED)?.parse().ok();
        self.named.iter().filter_map(number).collect()
    }

    /// A copy of the socket of our own that listens at this address.
    pub(super) fn own_at(&self, address: &Address) -> Option<OwnedFd> {
        let at = |fd: &&Arc<OwnedFd>| listeners::is_at(fd.as_fd(), address);
        let stored = self.named.iter().filter(|(name, _)| name.starts_with(STORED)).map(|(_, fd)| fd);
        self.own.iter().chain(stored).find(at)?.try_clone().ok()
    }

    /// The listening sockets of a name, made non-blocking.
    pub fn named(&self, name: &str) -> Vec<Arc<OwnedFd>> {
        let mut found = Vec::new();
        for (of, fd) in &self.named {
            if of == name && getsockopt(fd, sockopt::AcceptConn).unwrap_or(false) {
                let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL).unwrap_or(0));
                let _ = fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK));
                found.push(fd.clone());
            }
        }
        found
    }

    /// Copies of the sockets of this number.
    pub(super) fn by_inode(&self, inode: u64) -> Vec<OwnedFd> {
        let same = |fd: &&Arc<OwnedFd>| listeners::inode_of(fd.as_fd()) == Some(inode);
        self.named
            .iter()
            .map(|(_, fd)| fd)
            .chain(&self.own)
            .filter(same)
            .filter_map(|fd| fd.try_clone().ok())
            .collect()
    }

    /// Every name, for messages.
    pub fn names(&self) -> Vec<&str> {
        self.named.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Sockets that came another way, with their names.
    pub fn of(sockets: Vec<(String, Arc<OwnedFd>)>) -> Passed {
        Passed { named: sockets, own: Vec::new() }
    }
}

/// A number that may or may not be open.
struct BorrowedNumber(RawFd);

impl AsFd for BorrowedNumber {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: used for fstat alone, which answers EBADF where nothing is open.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) }
    }
}

/// The names of the descriptors from 3 on; none where they are meant for another process.
fn names(pid: Option<&str>, count: Option<&str>, names: Option<&str>, own: u32) -> Vec<String> {
    if pid.and_then(|pid| pid.parse().ok()) != Some(own) {
        return Vec::new();
    }
    let count: usize = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut given = names.unwrap_or("").split(':').filter(|_| names.is_some());
    (0..count.min(4096)).map(|_| given.next().unwrap_or("unknown").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_go_with_descriptors_in_order() {
        assert_eq!(names(Some("7"), Some("3"), Some("web:web:admin"), 7), ["web", "web", "admin"]);
        assert_eq!(names(Some("7"), Some("2"), None, 7), ["unknown", "unknown"]);
        assert_eq!(names(Some("7"), Some("2"), Some("web"), 7), ["web", "unknown"]);
    }

    #[test]
    fn what_is_meant_for_another_process_is_not_taken() {
        assert!(names(Some("8"), Some("3"), Some("web"), 7).is_empty());
        assert!(names(None, Some("3"), None, 7).is_empty());
        assert!(names(Some("7"), Some("many"), None, 7).is_empty());
    }
}
