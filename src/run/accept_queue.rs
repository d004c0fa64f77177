//! Stopping without losing who waits: no new connection comes in, and the workers take those that are in the queue.
//!
//! A TCP listener cannot be told to stop listening and keep its queue. A socket filter that drops packets which open
//! a connection does it: handshakes under way are finished, a later client's are asked again and meet a closed port.
//! A Unix socket's file is removed. That is for a stop; an app that has failed refuses (`listeners/refusing`).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Weak;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use tokio::time::sleep;

use super::listen_queue;
use super::listeners::bound::SocketName;

/// The queue is looked at so often, and has to be empty at two looks: an answer of a handshake may be on its way.
const LOOK: Duration = Duration::from_millis(15);

/// A listener whose queue is to be emptied; it may be closed meanwhile.
#[derive(Debug)]
pub(super) struct ClosedListener {
    pub(super) fd: Weak<OwnedFd>,
    pub(super) name: SocketName,
}

impl ClosedListener {
    fn waiting(&self) -> u32 {
        let Some(fd) = self.fd.upgrade() else { return 0 };
        listen_queue::queue(fd.as_fd(), &self.name).map_or(0, |(waiting, _)| waiting)
    }
}

/// Waits until nobody waits; where the kernel does not tell, nobody does.
pub(super) async fn emptied(closed: Vec<ClosedListener>) {
    let mut empty = 0;
    while empty < 2 {
        sleep(LOOK).await;
        empty = if closed.iter().all(|listener| listener.waiting() == 0) { empty + 1 } else { 0 };
    }
}

/// Lets a TCP listener take no packet any more that opens a connection.
pub(super) fn shut(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    let [load, mask, equals, done] = [
        libc::BPF_LD | libc::BPF_B | libc::BPF_ABS,
        libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    ]
    .map(|code| code as u16);
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The filter sees the TCP header; its flags are in byte 13, SYN is 0x02 and ACK 0x10 of them.
    let mut steps = [
        step(load, 0, 0, 13),
        step(mask, 0, 0, 0x12),
        step(equals, 0, 1, 0x02),
        step(done, 0, 0, 0),
        step(done, 0, 0, u32::MAX),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    set(listener, libc::SO_ATTACH_FILTER, &program)
}

/// Lets it take them again.
pub(super) fn open(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    set(listener, libc::SO_DETACH_FILTER, &0_i32)
}

fn set<T>(socket: BorrowedFd<'_>, option: libc::c_int, value: &T) -> Result<(), Errno> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` and what it points to outlive the call, which copies them.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, std::ptr::from_ref(value).cast(), size)
    };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_shut_listener_keeps_who_waits_and_takes_nobody_else_until_it_is_open_again() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let early = TcpStream::connect(address).unwrap();
            shut(listener.as_fd()).unwrap();
            assert!(TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_err(), "{address}");
            let (taken, from) = listener.accept().expect("it was in the queue");
            assert_eq!(from, early.local_addr().unwrap());
            // Who is in is not filtered.
            use std::io::{Read, Write};
            (&early).write_all(b"x").unwrap();
            (&taken).read_exact(&mut [0]).unwrap();
            assert!(listener.accept().is_err(), "nobody else is let in");
            open(listener.as_fd()).unwrap();
            TcpStream::connect_timeout(&address, Duration::from_secs(30)).expect("it is open again");
        }
    }
}
