//! The configuration, checked: every value is within its rule, nothing is left to parse.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name of an app: 1 to 64 of `a-z A-Z 0-9 _ . -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for AppName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if first && rest && text.len() <= 64 {
            Ok(AppName(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is no app name: 1 to 64 of a-z A-Z 0-9 _ . -, beginning with a letter or digit"
            ))
        }
    }
}

impl TryFrom<String> for AppName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> String {
        name.0
    }
}

/// Where an app listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// Of a Unix socket: its file's mode, default 0o666 so that an edge under another user can connect.
    pub mode: Option<u32>,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// Who has named it.
    pub origin: Origin,
}

/// Whoever has named it: an address that moves from gunicorn's settings to the app's file is no reason to replace workers.
impl PartialEq for Listen {
    fn eq(&self, other: &Listen) -> bool {
        (&self.address, self.mode, self.backlog) == (&other.address, other.mode, other.backlog)
    }
}

impl Eq for Listen {}

/// Who has named an address: what the app's own code names is done with the rights of the app's user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The app's file, which is root's word.
    #[default]
    File,
    /// gunicorn's settings, which the app's code has a say in.
    Code,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// `127.0.0.1:8000`, `[::1]:8000`.
    Tcp(SocketAddr),
    /// `unix:/run/ostler/shop.sock`.
    Unix(PathBuf),
    /// `systemd:NAME`: every socket that systemd passed under that name.
    Systemd(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}
