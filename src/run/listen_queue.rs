//! How many connections wait for a worker, as the kernel counts them.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::listeners::{Bound, SocketName};

/// Connections that wait and how many may, of all TCP sockets among these; `None` where there is none. A Unix
/// socket's queue is not told by the socket itself and is left out.
pub(super) fn of(bound: &[Bound]) -> Option<(u32, u32)> {
    let tcp = bound.iter().filter(|bound| !matches!(bound.name, SocketName::Unix(_)));
    let add = |(a, b): (u32, u32), (c, d)| (a.saturating_add(c), b.saturating_add(d));
    tcp.filter_map(|bound| queue(std::os::fd::AsFd::as_fd(&*bound.fd))).reduce(add)
}

/// Of a socket that listens the kernel gives the length of the queue and its limit in two fields that mean
/// something else for a connection.
fn queue(socket: BorrowedFd<'_>) -> Option<(u32, u32)> {
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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn connections_that_nobody_takes_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (waiting, most) = queue(listener.as_fd()).unwrap();
        assert_eq!(waiting, 0);
        assert!(most >= 16, "{most}");
        let address = listener.local_addr().unwrap();
        let connections: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(queue(listener.as_fd()), Some((3, most)));
        drop(listener.accept().unwrap());
        assert_eq!(queue(listener.as_fd()), Some((2, most)));
        drop(connections);
    }

    #[test]
    fn what_is_no_tcp_socket_has_no_such_queue() {
        assert_eq!(queue(std::fs::File::open("/dev/null").unwrap().as_fd()), None);
    }
}
