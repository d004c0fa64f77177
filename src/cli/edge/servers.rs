//! The servers of an app as an edge reaches them, and where each is asked for its health.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::program::{Program, Proxy};
use super::wanted::Wanted;
use crate::config::Address;
use crate::plan::{Served, ServedApp};

/// One of its servers.
pub(super) struct Server {
    pub(super) at: At,
    /// Where its health is answered, if that is elsewhere than its app.
    pub(super) health: Option<IpAddr>,
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum At {
    Unix(PathBuf),
    Tcp(String, u16),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Unix(path) => write!(f, "unix:{}", path.display()),
            At::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            At::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// This one first.
pub(super) fn servers(
    program: &Program,
    proxy: &Proxy,
    served: &Served,
    wanted: &Wanted,
    app: &ServedApp,
) -> Result<Vec<Server>, String> {
    let name = &app.name;
    let tcp: Vec<SocketAddr> = app.listen.iter().filter_map(tcp_of).collect();
    let port = |port: Option<u16>| {
        port.or(tcp.first().map(SocketAddr::port)).ok_or_else(|| {
            format!("{name} listens on no TCP port, which other machines could reach: add one to its `listen`, or write HOST:PORT")
        })
    };
    let unix = app.listen.iter().find_map(|address| match address {
        Address::Unix(path) => Some((path.clone(), (proxy.unix)(wanted))),
        _ => None,
    });
    let health: Vec<IpAddr> = served.health.iter().filter_map(tcp_of).map(|it| it.ip()).collect();
    let asked_at = |ip: IpAddr| {
        health.iter().any(|it| *it == ip || (it.is_unspecified() && it.is_ipv4() == ip.is_ipv4()))
    };
    let named = health.iter().copied().find(|ip| !ip.is_unspecified());
    let own = match (&wanted.own, unix, near(&tcp, &health)) {
        (Some(peer), _, _) => Server { at: At::Tcp(peer.host.clone(), port(peer.port)?), health: None },
        (None, Some((path, None)), _) => {
            let health = Some(named.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            Server { at: At::Unix(path), health }
        }
        (None, _, Some(address)) => Server {
            at: At::Tcp(address.ip().to_string(), address.port()),
            health: named.filter(|_| !asked_at(address.ip())),
        },
        (None, Some((_, Some(cannot))), None) => {
            return Err(format!(
                "{name} listens on Unix sockets alone, which {} cannot {cannot}: add an address such as \"127.0.0.1:8000\" to its \
                 `listen`",
                program.name
            ));
        }
        (None, None, None) if app.listen.iter().any(|it| matches!(it, Address::Systemd(_))) => {
            return Err(format!(
                "{name} listens where systemd says, which a running ostlerd alone knows: leave --config out"
            ));
        }
        (None, None, None) => {
            return Err(format!("{name} has no listener that is known: add `listen` to its file"));
        }
    };
    let mut servers = vec![own];
    for peer in &wanted.peers {
        let at = At::Tcp(peer.host.clone(), port(peer.port)?);
        let own = tcp.iter().any(|it| at == At::Tcp(it.ip().to_string(), it.port()));
        if own || servers.iter().any(|server| server.at == at) {
            return Err(format!(
                "{at} is this server, or named twice: --peer is for the other ones, --self for this one"
            ));
        }
        servers.push(Server { at, health: None });
    }
    Ok(servers)
}

fn tcp_of(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) | Address::Systemd(_) => None,
    }
}

/// The address at which this machine itself finds the app: that of its health, where both are the same.
fn near(listen: &[SocketAddr], health: &[IpAddr]) -> Option<SocketAddr> {
    let same = listen.iter().find(|address| health.contains(&address.ip()));
    let mut address = *same.or(listen.first())?;
    if address.ip().is_unspecified() {
        let mut known =
            health.iter().copied().filter(|ip| !ip.is_unspecified() && ip.is_ipv4() == address.is_ipv4());
        address.set_ip(known.next().unwrap_or(match address.is_ipv4() {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }));
    }
    Some(address)
}

/// The port at which every server is asked. Servers are taken to be configured alike.
pub(super) fn check_port(
    proxy: &Proxy,
    served: &Served,
    wanted: &Wanted,
    servers: &[Server],
    warnings: &mut Vec<String>,
) -> Option<u16> {
    let asked: Vec<SocketAddr> = served.health.iter().filter_map(tcp_of).collect();
    let Some(first) = asked.iter().find(|it| !it.ip().is_loopback()).or(asked.first()) else {
        let warning = "no server is checked, for health is answered on no TCP port: set listen = [\"0.0.0.0:9180\"], or \
                       better the server's own address, in [health] of the main file, on every server, restart ostlerd \
                       there, and print this again";
        push_once(warnings, warning.to_owned());
        return None;
    };
    let mut others = wanted.peers.iter().chain(&wanted.own);
    if asked.iter().all(|it| it.ip().is_loopback())
        && others.any(|peer| peer.ip().is_none_or(|ip| !ip.is_loopback()))
    {
        push_once(
            warnings,
            format!(
                "health is answered on {first} alone, where no other machine can ask, so these checks fail for the other servers: \
             set listen = [\"ADDRESS:{}\", \"{first}\"] with the server's own address in [health] of the main file, on \
             every server, and `systemctl restart ostler` there",
                first.port()
            ),
        );
    }
    if let Some(server) = servers.iter().find(|server| server.health.is_some())
        && !proxy.asks_elsewhere
    {
        push_once(
            warnings,
            format!(
                "{} is asked for its health at its own address, where health does not listen: add {}:{} to listen of [health] in \
             the main file",
                server.at,
                match &server.at {
                    At::Tcp(host, _) => host,
                    At::Unix(_) => "127.0.0.1",
                },
                first.port()
            ),
        );
    }
    Some(first.port())
}

fn push_once(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}
