//! Where the questions about health come in, and who has connected there.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// What is waited after an error of accept that will not go away at once (no descriptors left).
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where questions come in.
#[derive(Debug)]
pub enum Listener {
    /// From anywhere; only the loopback is told details, where it names this machine.
    Tcp(TcpListener),
    /// From this machine.
    Unix(UnixListener),
}

/// Who has connected.
pub(super) enum Caller {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Caller> {
        match self {
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(stream, peer)| Caller::Tcp(stream, peer.ip()))
            }
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Caller::Unix(stream)),
        }
    }
}

/// Whether it is this machine that asks.
pub(super) fn is_near(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_near() {
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for far in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0", "192.168.1.1"] {
            assert!(!is_near(far.parse().unwrap()), "{far}");
        }
    }
}
