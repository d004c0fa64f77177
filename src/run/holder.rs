//! Who holds a TCP port, as far as this process may know.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::identity::local;
use super::proc;

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: i32,
    /// Its name, `nginx`. It is its own choice: what would not be printed as it stands is left out.
    pub name: String,
    /// Whose it is, `www-data`, or the number of a user without a name.
    pub user: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}) of {}", self.name, self.pid, self.user)
    }
}

/// The process that listens where `address` would; of several the one with the smallest number. systemd, which keeps
/// sockets for others, is named where nobody else has it.
pub fn holder_of(address: SocketAddr) -> Option<Holder> {
    let sockets = sockets_at(address);
    if sockets.is_empty() {
        return None;
    }
    let mut pids: Vec<i32> = proc::pids().collect();
    pids.sort_unstable_by_key(|&pid| (pid == 1, pid));
    pids.into_iter().find(|&pid| proc::holds_any(pid, &sockets)).and_then(Holder::of)
}

/// Whether this very process listens where `address` would, whoever else has the same socket.
pub(super) fn is_own(address: SocketAddr) -> bool {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    proc::holds_any(own, &sockets_at(address))
}

fn sockets_at(address: SocketAddr) -> BTreeSet<u64> {
    let mut sockets = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(|line| listening_inode(line, address)));
    }
    sockets
}

impl Holder {
    /// This process.
    pub(super) fn of(pid: i32) -> Option<Holder> {
        let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
        let name = String::from_utf8_lossy(&name).chars().filter(|it| !it.is_control()).collect();
        let uid = *proc::users_of(pid)?.get(1)?;
        // Somebody waits, and a directory service may not answer.
        let user = local::name_of(uid).unwrap_or_else(|| format!("the user {uid}"));
        Some(Holder { pid, name, user })
    }
}

/// The socket of a line of `/proc/net/tcp`, where it listens and would be in the way of `wanted`.
pub(super) fn listening_inode(line: &str, wanted: SocketAddr) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != "0A" || u16::from_str_radix(port, 16).ok()? != wanted.port() {
        return None;
    }
    let held = address_of(address)?;
    let in_the_way = held == wanted.ip() || held.is_unspecified() || wanted.ip().is_unspecified();
    fields.get(9)?.parse().ok().filter(|_| in_the_way)
}

/// An address as the kernel prints it: words of 32 bits in hexadecimal, each in the machine's byte order.
fn address_of(text: &str) -> Option<IpAddr> {
    let words = (0..text.len() / 8)
        .map(|i| u32::from_str_radix(text.get(i * 8..i * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<Vec<_>>>()?;
    match words.as_slice() {
        [word] => Some(IpAddr::V4(Ipv4Addr::from(*word))),
        [_, _, _, _] => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = holder_of(listener.local_addr().unwrap()).unwrap();
        assert_eq!(holder.pid, std::process::id() as i32);
        assert!(!holder.name.is_empty());
        let (uid, user) = (nix::unistd::geteuid(), &holder.user);
        let named = nix::unistd::User::from_uid(uid).ok().flatten();
        assert_eq!(*user, named.map_or_else(|| format!("the user {uid}"), |it| it.name));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_is_read() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  33 0 4242 1 0";
        assert_eq!(listening_inode(line, "127.0.0.1:8080".parse().unwrap()), Some(4242));
        assert_eq!(listening_inode(line, "0.0.0.0:8080".parse().unwrap()), Some(4242));
        assert_eq!(listening_inode(line, "127.0.0.2:8080".parse().unwrap()), None);
        assert_eq!(listening_inode(line, "127.0.0.1:8081".parse().unwrap()), None);
        assert_eq!(listening_inode("garbage", "127.0.0.1:8081".parse().unwrap()), None);
        assert_eq!(address_of("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        assert_eq!(address_of("é000000"), None);
    }
}
