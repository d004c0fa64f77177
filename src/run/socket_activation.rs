//! Sockets that systemd passed at the start (`sd_listen_fds(3)`), by name.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

use super::listeners::bound;
use crate::config::Address;

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
    /// To be called once, before anything is opened and before there is a second thread.
    pub fn take() -> Passed {
        // SAFETY: as the caller promises, no other thread reads the environment.
        let given = unsafe {
            std::env::remove_var("LISTEN_PIDFDID");
            sd_notify::listen_fds_with_names_and_unset_env()
        };
        let given: Vec<(RawFd, String)> = given.map(Iterator::collect).unwrap_or_else(|error| {
            // Nothing of it can be trusted: the variables say something else than what is open.
            tracing::error!("the sockets that LISTEN_FDS names are not used: {error}");
            Vec::new()
        });
        let owned = |(fd, name)| {
            // SAFETY: systemd passed this open descriptor to this very process, and it is taken once.
            (name, Arc::new(unsafe { OwnedFd::from_raw_fd(fd) }))
        };
        let passed = given.into_iter().map(owned).collect();
        Passed { named: passed, own: Vec::new() }
    }

    /// With the sockets that were ours before a re-execution, and the `names` by their numbers of those that systemd had
    /// passed.
    pub(super) fn with_own(mut self, own: Vec<OwnedFd>, names: &[(u64, String)]) -> Passed {
        self.own = own.into_iter().map(Arc::new).collect();
        for (number, name) in names {
            // It may be there more than once.
            let is_it = |fd: &&Arc<OwnedFd>| bound::inode_of(fd.as_fd()) == Some(*number);
            self.named.extend(self.own.iter().find(is_it).map(|fd| (name.clone(), fd.clone())));
        }
        self
    }

    /// With more of our own.
    pub(super) fn with_more(&self, own: Vec<OwnedFd>) -> Passed {
        let mut passed = self.clone();
        passed.own.extend(own.into_iter().map(Arc::new));
        passed
    }

    /// Every name with the number of its socket, for the program after a re-execution.
    pub(super) fn numbers(&self) -> Vec<(u64, &str)> {
        self.named
            .iter()
            .filter_map(|(name, fd)| Some((bound::inode_of(fd.as_fd())?, name.as_str())))
            .collect()
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
        let at = |fd: &&Arc<OwnedFd>| bound::is_at(fd.as_fd(), address);
        let stored = self.named.iter().filter(|(name, _)| name.starts_with(STORED)).map(|(_, fd)| fd);
        self.own.iter().chain(stored).find(at)?.try_clone().ok()
    }

    /// The listening sockets of a name, made non-blocking. Those of systemd's store are had by address alone: by their
    /// names, one app could have another's.
    pub fn named(&self, name: &str) -> Vec<Arc<OwnedFd>> {
        let mut found = Vec::new();
        for (of, fd) in self.named.iter().filter(|(of, _)| !of.starts_with(STORED)) {
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
        let same = |fd: &&Arc<OwnedFd>| bound::inode_of(fd.as_fd()) == Some(inode);
        self.named
            .iter()
            .map(|(_, fd)| fd)
            .chain(&self.own)
            .filter(same)
            .filter_map(|fd| fd.try_clone().ok())
            .collect()
    }

    /// Closes the sockets of the names that nobody takes; returns those names. What was stored stays.
    pub fn close_unwanted(&mut self, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut closed = BTreeSet::new();
        self.named.retain(|(name, _)| {
            let kept = name.starts_with(STORED) || wanted(name);
            if !kept {
                closed.insert(name.clone());
            }
            kept
        });
        closed
    }

    /// The names that an app may have, for messages.
    pub fn names(&self) -> Vec<&str> {
        let names = self.named.iter().map(|(name, _)| name.as_str());
        names.filter(|name| !name.starts_with(STORED)).collect()
    }

    /// Sockets that came another way, with their names.
    pub fn of(sockets: Vec<(String, Arc<OwnedFd>)>) -> Passed {
        Passed { named: sockets, own: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use super::Passed;

    #[test]
    fn names_that_nobody_takes_are_closed_and_what_was_stored_has_no_name() {
        let socket = |name: &str| {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            (name.to_owned(), Arc::new(socket.into()))
        };
        let all = ["shop", "blog", "blog", "ostler-listen-7"];
        let mut passed = Passed::of(all.map(socket).to_vec());
        assert_eq!(passed.names(), ["shop", "blog", "blog"]);
        assert!(passed.named("ostler-listen-7").is_empty(), "one app had another's");
        assert_eq!(passed.close_unwanted(|name| name == "shop").into_iter().collect::<Vec<_>>(), ["blog"]);
        assert_eq!(passed.names(), ["shop"]);
        assert_eq!(passed.stored(), [7]);
    }

    #[test]
    fn names_go_through_a_re_execution_with_their_sockets() {
        let [one, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
        let before = Passed::of(vec![("shop".to_owned(), Arc::new(one.try_clone().unwrap().into()))]);
        let names: Vec<(u64, String)> =
            before.numbers().into_iter().map(|(number, name)| (number, name.to_owned())).collect();
        let twice = one.try_clone().unwrap().into();
        let after = Passed::default().with_own(vec![other.into(), one.into(), twice], &names);
        assert_eq!(after.named("shop").len(), 1);
        assert_eq!(after.names(), ["shop"]);
    }
}
