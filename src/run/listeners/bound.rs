//! One listening socket as ostlerd holds it: where it is in fact, and how the kernel is asked and told.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    Backlog, SockaddrLike, SockaddrStorage, getsockname, getsockopt, listen, setsockopt, sockopt,
};

use crate::config::{Address, Listen, Origin};
use crate::run::holder::holder_of;
use crate::run::listen_error::ListenError;
use crate::run::unix_socket::SocketFile;
use crate::worker::ListenerAddress;

/// A socket that is bound and listens.
#[derive(Debug)]
pub struct Bound {
    /// What was asked for.
    pub listen: Listen,
    /// The socket: non-blocking, close-on-exec.
    pub fd: Arc<OwnedFd>,
    /// Where it is in fact.
    pub name: SocketName,
    pub(super) file: Option<SocketFile>,
    pub(super) entry: Entry,
}

/// Where a socket listens in fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketName {
    /// IPv4: host and port.
    Inet(String, u16),
    /// IPv6: host and port.
    Inet6(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// As `listen` in the configuration takes it.
impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketName::Inet(host, port) => write!(f, "{host}:{port}"),
            SocketName::Inet6(host, port) => write!(f, "[{host}]:{port}"),
            SocketName::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl SocketName {
    /// The same in a worker's orders.
    pub(in crate::run) fn order(&self) -> ListenerAddress {
        match self.clone() {
            SocketName::Inet(host, port) => ListenerAddress::Inet(host, port),
            SocketName::Inet6(host, port) => ListenerAddress::Inet6(host, port),
            SocketName::Unix(path) => ListenerAddress::Unix(path.display().to_string()),
        }
    }
}

/// How new connections fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// They wait for a worker to take them.
    Open,
    /// They do not come in, and those that are in are taken: the app stops.
    Shut,
    /// They are refused: nobody is there.
    Refused,
    /// They are refused for ever: of a Unix socket whose place another one takes, which refuses as well.
    Ended,
}

/// The number of a socket, the same for every descriptor of it.
pub(in crate::run) fn inode_of(fd: BorrowedFd<'_>) -> Option<u64> {
    nix::sys::stat::fstat(fd).ok().map(|meta| meta.st_ino)
}

/// Whether a socket has this address.
pub(in crate::run) fn is_at(fd: BorrowedFd<'_>, address: &Address) -> bool {
    let listen = Listen { address: address.clone(), mode: None, backlog: 0, origin: Origin::File };
    let Ok(name) = name_of(fd, &listen) else { return false };
    match (address, name) {
        (Address::Tcp(wanted), SocketName::Inet(host, port) | SocketName::Inet6(host, port)) => {
            wanted.ip().to_string() == host && wanted.port() == port
        }
        (Address::Unix(wanted), SocketName::Unix(path)) => *wanted == path,
        _ => false,
    }
}

/// Makes a bound socket listen, or sets the length of the queue of one that does.
pub(super) fn start(fd: BorrowedFd<'_>, wanted: &Listen) -> Result<(), ListenError> {
    if let Address::Tcp(_) = wanted.address {
        // One that refuses is without it: connections that are not quite over would be in the way.
        setsockopt(&fd, sockopt::ReuseAddr, &true)
            .map_err(|error| failed(wanted, "set SO_REUSEADDR", error))?;
    }
    let backlog = Backlog::new(backlog_of(wanted) as i32).expect("clamped to what is allowed");
    listen(&fd, backlog).map_err(|error| match (&wanted.address, error) {
        // With SO_REUSEADDR two may bind, and only one may listen.
        (Address::Tcp(address), Errno::EADDRINUSE) => {
            ListenError::InUse { address: *address, holder: holder_of(*address) }
        }
        (_, error) => failed(wanted, "listen", error),
    })
}

fn backlog_of(wanted: &Listen) -> u32 {
    let most = u32::from(u16::try_from(libc::SOMAXCONN).unwrap_or(128));
    wanted.backlog.clamp(1, most)
}

pub(super) fn name_of(fd: BorrowedFd<'_>, wanted: &Listen) -> Result<SocketName, ListenError> {
    let name: SockaddrStorage =
        getsockname(fd.as_raw_fd()).map_err(|error| failed(wanted, "ask for its name", error))?;
    if let Some(v4) = name.as_sockaddr_in() {
        return Ok(SocketName::Inet(v4.ip().to_string(), v4.port()));
    }
    if let Some(v6) = name.as_sockaddr_in6() {
        return Ok(SocketName::Inet6(v6.ip().to_string(), v6.port()));
    }
    match name.as_unix_addr().and_then(|unix| unix.path()) {
        Some(path) => Ok(SocketName::Unix(path.to_owned())),
        None => {
            let family = name.family().map_or_else(|| "unknown".to_owned(), |family| format!("{family:?}"));
            let what = format!("{} (a socket of the family {family})", wanted.address);
            Err(ListenError::Failed { what, step: "serve it", error: Errno::EAFNOSUPPORT })
        }
    }
}

pub(super) fn failed(wanted: &Listen, step: &'static str, error: Errno) -> ListenError {
    ListenError::Failed { what: wanted.address.to_string(), step, error }
}

/// As a socket is found.
pub(super) fn entry_of(fd: BorrowedFd<'_>) -> Entry {
    // Of listening sockets those of the Unix family alone go on as such when they are shut down.
    let is_shut = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut ended = [PollFd::new(fd, is_shut)];
    match getsockopt(&fd, sockopt::AcceptConn) {
        Ok(true) if poll(&mut ended, PollTimeout::ZERO) == Ok(1) => Entry::Ended,
        Ok(true) => Entry::Open,
        _ => Entry::Refused,
    }
}
