//! Addresses to listen on: the four shapes, and what to write instead of what people write.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use toml::de::DeValue;

use super::error::Fault;
use super::types::Address;
use super::values::{self, Read};
use super::visible::shortened;

const RULE: &str = "an IP address with a port, unix:/absolute/path or systemd:NAME";

/// The kernel's `sun_path` has 108 bytes, the last one for the NUL.
const UNIX_PATH_MOST: usize = 107;

/// An address as a file has it, or a port alone, which is refused with what would be one.
pub(super) fn address(value: &DeValue<'_>) -> Read<Address> {
    match value {
        DeValue::Integer(port) => port.to_string().parse(),
        other => values::text(other)?.parse(),
    }
}

impl FromStr for Address {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Address, Fault> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(text, path);
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return systemd(text, name);
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => {
                Err(fault(text, "port 0 is another port at every start", "name the port, 1 to 65535"))
            }
            Ok(address) => Ok(Address::Tcp(address)),
            Err(_) => Err(fault(text, RULE, suggestion(text))),
        }
    }
}

impl Address {
    /// Whether one machine cannot have both: the same, or a port on one address and on all of them.
    pub fn clashes_with(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Tcp(a), Address::Tcp(b)) => {
                let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
                a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && overlap
            }
            // Paths compare by components: `/run//shop.sock` is `/run/shop.sock`.
            (a, b) => a == b,
        }
    }
}

fn fault(text: &str, rule: &str, help: impl Into<String>) -> Fault {
    Fault::new(format!("is {:?}", shortened(text, 120)), rule, help)
}

fn unix(text: &str, path: &str) -> Result<Address, Fault> {
    if path.starts_with('@') {
        return Err(fault(
            text,
            "abstract sockets have no permissions and are not supported",
            "write unix:/run/ostler/NAME.sock",
        ));
    }
    if !path.starts_with('/') {
        let help = format!("write unix:/run/ostler/{}", path.trim_start_matches("./"));
        return Err(fault(
            text,
            "the path must be absolute: a daemon has no working directory",
            shortened(&help, 120),
        ));
    }
    // gunicorn also writes `unix:///run/shop.sock`.
    let path = format!("/{}", path.trim_start_matches('/'));
    if path.len() > UNIX_PATH_MOST {
        let rule =
            format!("a Unix socket's path has at most {UNIX_PATH_MOST} bytes, this one has {}", path.len());
        return Err(fault(text, &rule, "choose a shorter one, such as unix:/run/ostler/NAME.sock"));
    }
    if path.contains(char::is_control) {
        let rule = "the path has control characters, which would end a line wherever it is shown";
        return Err(fault(text, rule, "write for example unix:/run/ostler/NAME.sock"));
    }
    if path.len() == 1 || path.ends_with('/') {
        return Err(fault(text, "the path must name a file", "write for example unix:/run/ostler/NAME.sock"));
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

fn systemd(text: &str, name: &str) -> Result<Address, Fault> {
    let known = |c: char| c.is_ascii_graphic() && c != ':';
    if (1..=255).contains(&name.len()) && name.chars().all(known) {
        return Ok(Address::Systemd(name.to_owned()));
    }
    Err(fault(
        text,
        "a name is 1 to 255 printable ASCII characters without a colon",
        "write the FileDescriptorName= of the socket unit, for example systemd:shop",
    ))
}

/// What the writer may have meant.
fn suggestion(text: &str) -> String {
    if text.starts_with("fd://") {
        return "sockets passed by systemd are taken by name: write systemd:NAME".to_owned();
    }
    if let Some((_, rest)) = text.split_once("://") {
        return format!("leave out the scheme: {}", shortened(rest.trim_end_matches('/'), 60));
    }
    if text.starts_with('/') {
        return format!("did you mean unix:{}?", shortened(text, 120));
    }
    if let Ok(port @ 1..) = text.parse::<u16>() {
        return choice(port);
    }
    let parts = text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
    if let Some((host, Ok(port))) = &parts
        && host.parse::<Ipv6Addr>().is_ok()
    {
        return format!("an IPv6 address stands in brackets: [{host}]:{port}");
    }
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => return format!("add the port: {ip}:8000"),
        Ok(IpAddr::V6(ip)) => return format!("add the port: [{ip}]:8000"),
        Err(_) => {}
    }
    match parts {
        Some(("" | "*", Ok(port))) => choice(port),
        Some(("localhost", Ok(port))) => format!("write 127.0.0.1:{port} (names are not looked up)"),
        Some((_, Ok(port))) => {
            format!("names are not looked up: write the IP address, for example 127.0.0.1:{port}")
        }
        Some((host, Err(_))) if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => {
            "a port is a number from 1 to 65535".to_owned()
        }
        _ => "write for example 127.0.0.1:8000, [::1]:8000 or unix:/run/ostler/NAME.sock".to_owned(),
    }
}

fn choice(port: u16) -> String {
    format!("write 127.0.0.1:{port} for this machine alone, 0.0.0.0:{port} for every IPv4 address of it")
}
