//! What the command line says, parsed: nothing in here can mean anything to a program that reads configurations.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::special::Special;
use crate::config::AppName;

/// All that is not known from what is served.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Wanted {
    /// Where what is served was learnt, for the first lines.
    pub(in crate::cli) source: String,
    /// Only this app.
    pub(in crate::cli) app: Option<String>,
    /// How the edge reaches this server; `None` where it runs on it.
    pub(in crate::cli) own: Option<Peer>,
    /// The other servers.
    pub(in crate::cli) peers: Vec<Peer>,
    /// Names of sites.
    pub(in crate::cli) hosts: Vec<Host>,
    /// Certificates.
    pub(in crate::cli) tls: Tls,
    /// For the certificates' issuer.
    pub(in crate::cli) email: Option<String>,
    /// What stands in front of the edge.
    pub(in crate::cli) cdn: Option<Cdn>,
    /// The largest body, in bytes.
    pub(in crate::cli) max_body: u64,
    /// The edge's own address; `None` is every one.
    pub(in crate::cli) listen: Option<IpAddr>,
    /// The edge's port for plain HTTP.
    pub(in crate::cli) http_port: u16,
    /// The edge's port for TLS.
    pub(in crate::cli) https_port: u16,
    /// From one check to the next.
    pub(in crate::cli) check_every: Option<Duration>,
    /// What one program alone is told.
    pub(in crate::cli) special: Special,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Tls {
    /// Nowhere: plain HTTP.
    Off,
    /// Files.
    Files {
        /// The certificate with its chain.
        cert: PathBuf,
        /// Its key; `None` where the same file has it.
        key: Option<PathBuf>,
    },
    /// An issuer that speaks ACME.
    Automatic,
}

/// A network of caches in front of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Cdn {
    /// Cloudflare
    Cloudflare,
}

/// Another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Peer {
    /// An address, or a name.
    pub(in crate::cli) host: String,
    /// `None` is the app's own.
    pub(in crate::cli) port: Option<u16>,
}

impl Peer {
    /// Its address, where it is no name.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The name of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Host {
    /// Which app; `None` is the only one.
    pub(in crate::cli) app: Option<AppName>,
    /// `shop.example.com`, `*.example.com`.
    pub(in crate::cli) name: String,
}

/// `10.0.0.2`, `10.0.0.2:8000`, `[fd00::2]:8000`, `app2.internal`.
pub(in crate::cli) fn peer(text: &str) -> Result<Peer, String> {
    const RULE: &str =
        "write HOST or HOST:PORT, for example 10.0.0.2, 10.0.0.2:8000, [fd00::2]:8000 or app2.internal";
    let whole = |host: String| Peer { host, port: None };
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(whole(ip.to_string()));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<IpAddr>().map_err(|_| RULE.to_owned())?.to_string(),
        None if is_name(host) => host.to_ascii_lowercase(),
        None => return Err(RULE.to_owned()),
    };
    match port.map(str::parse::<u16>) {
        None => Ok(whole(host)),
        Some(Ok(port @ 1..)) => Ok(Peer { host, port: Some(port) }),
        Some(_) => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

/// `shop.example.com`, or `shop=shop.example.com`.
pub(in crate::cli) fn host(text: &str) -> Result<Host, String> {
    let (app, name) = match text.split_once('=') {
        Some((app, name)) => (Some(app.parse::<AppName>()?), name),
        None => (None, text),
    };
    match is_host(name) {
        true => Ok(Host { app, name: name.to_ascii_lowercase() }),
        false => Err(
            "write a host name such as shop.example.com, or APP=NAME; others than ASCII letters as punycode"
                .to_owned(),
        ),
    }
}

/// `ops@example.com`.
pub(in crate::cli) fn email(text: &str) -> Result<String, String> {
    let local = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    };
    match text.split_once('@') {
        Some((name, domain)) if local(name) && is_name(domain) => Ok(text.to_owned()),
        _ => Err("write an address such as ops@example.com".to_owned()),
    }
}

/// A host name, or one for all below it: `*.example.com`.
pub(super) fn is_host(text: &str) -> bool {
    is_name(text.strip_prefix("*.").unwrap_or(text))
}

fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !label.starts_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
