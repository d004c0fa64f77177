//! How many connections wait for a worker, as the kernel counts them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, getsockopt, recv, send, socket, sockopt,
};

use super::listeners::bound::{Bound, SocketName};
use crate::observe::QueueStatus;

/// Connections that wait and how many may, of each of these sockets that the kernel tells of.
pub(super) fn of(bound: &[Bound]) -> Vec<QueueStatus> {
    let status = |bound: &Bound| {
        let (waiting, limit) = queue(bound.fd.as_fd(), &bound.name)?;
        Some(QueueStatus { listener: bound.name.to_string(), waiting, limit })
    };
    bound.iter().filter_map(status).collect()
}

/// Connections that wait at one listener, and how many may.
pub(super) fn queue(listener: BorrowedFd<'_>, name: &SocketName) -> Option<(u32, u32)> {
    // Else the same numbers mean something else.
    if !getsockopt(&listener, sockopt::AcceptConn).unwrap_or(false) {
        return None;
    }
    match name {
        SocketName::Unix(_) => unix_queue(listener),
        SocketName::Inet(..) | SocketName::Inet6(..) => tcp_queue(listener),
    }
}

/// Of a socket that listens the kernel gives the length of the queue and its limit in two fields that mean
/// something else for a connection.
fn tcp_queue(socket: BorrowedFd<'_>) -> Option<(u32, u32)> {
    // SAFETY: the structure is plain numbers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: both pointers are to locals that outlive the call, and `size` says how much there is to write.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut size,
        )
    };
    (result == 0).then_some((info.tcpi_unacked, info.tcpi_sacked))
}

/// Of a Unix socket only the kernel's socket diagnostics tell, which are asked by its inode number.
fn unix_queue(listener: BorrowedFd<'_>) -> Option<(u32, u32)> {
    let inode = u32::try_from(nix::sys::stat::fstat(listener).ok()?.st_ino).ok()?;
    let diagnostics = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkSockDiag,
    )
    .ok()?;
    // The kernel answers within the call that asks.
    send(diagnostics.as_raw_fd(), &diag::question(inode), MsgFlags::MSG_NOSIGNAL).ok()?;
    let mut answer = [0; 512];
    let length = recv(diagnostics.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).ok()?;
    diag::answer(&answer[..length])
}

/// What sock_diag(7) is asked for one Unix socket, and what it answers, in bytes.
pub(super) mod diag {
    use nix::libc;

    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const SHOW_QUEUE: u32 = 0x10;
    const QUEUE: u16 = 4;
    /// `struct nlmsghdr`.
    const HEADER: usize = 16;
    /// `struct unix_diag_req` after its header.
    const QUESTION: usize = 24;
    /// `struct unix_diag_msg`, which the attributes follow.
    const MESSAGE: usize = 16;

    pub(super) fn question(inode: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + QUESTION);
        bytes.extend(((HEADER + QUESTION) as u32).to_ne_bytes());
        bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([libc::AF_UNIX as u8, 0, 0, 0]);
        // Of every state, this inode, and whatever its cookie.
        for number in [u32::MAX, inode, SHOW_QUEUE, u32::MAX, u32::MAX] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes
    }

    pub(in crate::run) fn answer(bytes: &[u8]) -> Option<(u32, u32)> {
        let short = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        // Else it is an error: no such socket, or a kernel that does not tell.
        if short(4)? != SOCK_DIAG_BY_FAMILY {
            return None;
        }
        let mut at = HEADER + MESSAGE;
        loop {
            let (length, kind) = (short(at)?, short(at + 2)?);
            if kind == QUEUE {
                return Some((long(at + 4)?, long(at + 8)?));
            }
            at += usize::from(length.max(4)).next_multiple_of(4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn connections_that_nobody_takes_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (waiting, most) = tcp_queue(listener.as_fd()).unwrap();
        assert_eq!(waiting, 0);
        assert!(most >= 16, "{most}");
        let address = listener.local_addr().unwrap();
        let connections: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(tcp_queue(listener.as_fd()), Some((3, most)));
        drop(listener.accept().unwrap());
        assert_eq!(tcp_queue(listener.as_fd()), Some((2, most)));
        drop(connections);
    }

    #[test]
    fn connections_that_nobody_takes_are_counted_of_unix_sockets_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (waiting, most) = unix_queue(listener.as_fd()).unwrap();
        assert_eq!(waiting, 0);
        assert!(most >= 16, "{most}");
        let connections: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        assert_eq!(unix_queue(listener.as_fd()), Some((3, most)));
        drop(listener.accept().unwrap());
        assert_eq!(unix_queue(listener.as_fd()), Some((2, most)));
        drop(connections);
    }

    #[test]
    fn an_answer_that_is_none_is_no_queue() {
        assert_eq!(unix_queue(std::fs::File::open("/dev/null").unwrap().as_fd()), None);
        for bytes in [&[][..], &[0xff; 7], &[20; 40], &[0; 64]] {
            assert_eq!(diag::answer(bytes), None);
        }
    }

    #[test]
    fn what_is_no_tcp_socket_has_no_such_queue() {
        assert_eq!(tcp_queue(std::fs::File::open("/dev/null").unwrap().as_fd()), None);
    }
}
