//! TCP sockets, and how IPv6 shares a port with IPv4.
//!
//! `[::]:PORT` takes IPv4 too where the kernel's default says so (`net.ipv6.bindv6only`), as under gunicorn. Where an
//! IPv4 listener for the port stands beside it, that one gets IPv4. Which of both it is stays as it was bound.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockopt, setsockopt, socket, sockopt,
};

use super::holder::{holder_of, is_own};
use super::listen_error::ListenError;
use super::listeners::bound::Bound;
use crate::config::{Address, Listen};

/// Makes a socket and binds it. `ipv6_alone` is whether IPv4 is left to another listener; else the kernel's default
/// decides, but for what this process has bound already.
pub(super) fn bind_to(address: SocketAddr, ipv6_alone: bool) -> Result<OwnedFd, ListenError> {
    match try_bind(address, ipv6_alone) {
        Err(ListenError::InUse { .. }) if !ipv6_alone && is_wildcard(&address) && is_shared(&address) => {
            try_bind(address, true)
        }
        bound => bound,
    }
}

fn try_bind(address: SocketAddr, ipv6_alone: bool) -> Result<OwnedFd, ListenError> {
    let failed = |step, error| ListenError::Failed { what: address.to_string(), step, error };
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, None).map_err(|error| match error {
        Errno::EAFNOSUPPORT => ListenError::NotAvailable { address },
        error => failed("make a socket", error),
    })?;
    setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(|error| failed("set SO_REUSEADDR", error))?;
    if ipv6_alone {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true).map_err(|error| failed("set IPV6_V6ONLY", error))?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).map_err(|error| match error {
        Errno::EADDRINUSE => ListenError::InUse { address, holder: holder_of(address) },
        Errno::EACCES | Errno::EPERM => ListenError::NotPermitted { address },
        Errno::EADDRNOTAVAIL => ListenError::NotAvailable { address },
        error => failed("bind", error),
    })?;
    Ok(fd)
}

fn is_wildcard(address: &SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Whether this very process listens on the port with IPv4: another app, or health.
fn is_shared(address: &SocketAddr) -> bool {
    let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    is_own(ipv4)
}

/// Whether `listen` is IPv6's wildcard, and one of `all` takes its port for IPv4.
pub(super) fn leaves_ipv4(listen: &Listen, all: &[Listen]) -> bool {
    all.iter().any(|other| takes_ipv4_of(&other.address, &listen.address))
}

fn takes_ipv4_of(ipv4: &Address, wildcard: &Address) -> bool {
    match (ipv4, wildcard) {
        (Address::Tcp(ipv4), Address::Tcp(wildcard)) => {
            is_wildcard(wildcard) && ipv4.is_ipv4() && ipv4.port() == wildcard.port()
        }
        _ => false,
    }
}

fn is_alone(bound: &Bound) -> bool {
    getsockopt(&bound.fd, sockopt::Ipv6V6Only).unwrap_or(false)
}

/// An IPv4 address cannot be added beside a wildcard that has taken IPv4 too: what is bound stays as it is.
pub(super) fn has_room(wanted: &Listen, bound: &[Bound]) -> Result<(), ListenError> {
    let taken = |other: &&Bound| takes_ipv4_of(&wanted.address, &other.listen.address) && !is_alone(other);
    match (&wanted.address, bound.iter().find(taken)) {
        (Address::Tcp(address), Some(other)) => {
            Err(ListenError::TakenToo { address: *address, by: other.name.to_string() })
        }
        _ => Ok(()),
    }
}

/// Says so where a wildcard's IPv4 listener goes, and the wildcard cannot take its place.
pub(super) fn warn_of_ipv6_alone(bound: &[Bound], wanted: &[Listen]) {
    for alone in bound.iter().filter(|bound| is_alone(bound)) {
        let goes = |other: &&Bound| {
            takes_ipv4_of(&other.listen.address, &alone.listen.address)
                && !wanted.iter().any(|listen| listen.address == other.listen.address)
        };
        let stays = wanted.contains(&alone.listen) && !leaves_ipv4(&alone.listen, wanted);
        if let Some(gone) = bound.iter().find(goes).filter(|_| stays) {
            tracing::warn!(
                "{} takes IPv6 alone, as it did beside {}, until its app is stopped and started again",
                alone.name,
                gone.name
            );
        }
    }
}
