//! `[health]` of the main file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::address::address;
use super::check::{Checker, Field};
use super::error::Fault;
use super::key::{KeyKind, Shape, keys};
use super::kinds::{AbsolutePath, List, ParsedText};
use super::types::Address;
use super::values::{self, Read};
use super::visible::shortened;

/// Where health is answered unless the file says otherwise.
pub const HEALTH_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);

/// `[health]` of the main file.
pub(super) static HEALTH: Shape = Shape { title: "health", groups: &[HealthConfig::KEYS] };

keys! {
    /// `[health]`: where load balancers ask, and what they are told.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct HealthConfig {
        /// where checks are answered: addresses as for an app, or `[]` for nowhere
        // Unless the file says so, they are answered there only if that is free.
        listen: Option<Vec<Address>> = HealthListeners, [unset "`[\"127.0.0.1:9180\"]`"], "[\"127.0.0.1:9180\"]", Restart;
        /// where HAProxy's agent-check is answered
        agent: Option<Address> = ParsedText(address), [unset "nowhere"], "\"127.0.0.1:9181\"", Restart;
        /// the file that keepalived tracks
        track_file: Option<PathBuf> = AbsolutePath, [unset "none"], "\"/run/ostler/keepalived\"", Restart;
        /// a file with a token of 16 characters or more, with which others than this machine see details
        token_file: Option<PathBuf> = AbsolutePath, [unset "none"], "\"/etc/ostler/health.token\"", Restart;
        /// `"warn"`, or `"fail"`: an app that has been saturated (all its workers busy) for 10 s is not ready, until it
        /// has not been for 10 s
        saturation: Saturation = ParsedText(saturation), [default Saturation::Warn], "\"warn\"", Restart;
    }
}

/// What it means for readiness that an app has more to do than it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Saturation {
    /// Nothing: it is shown as a warning.
    #[default]
    Warn,
    /// After 10 s of it the app is not ready.
    Fail,
}

impl fmt::Display for Saturation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Saturation::Warn => "warn",
            Saturation::Fail => "fail",
        })
    }
}

/// Addresses of which none has another's sockets.
struct HealthListeners;

impl KeyKind for HealthListeners {
    type Value = Vec<Address>;

    fn check(&self, checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<Address>> {
        let listen = List(ParsedText(address)).check(checker, field)?;
        let twice =
            |(at, address): &(usize, &Address)| listen[..*at].iter().any(|other| other.clashes_with(address));
        if let Some((_, second)) = listen.iter().enumerate().find(twice) {
            let what = format!("has {second} twice, or overlaps with it");
            let rule = "an address belongs to one listener";
            checker.fault(field, field.value, Fault::new(what, rule, "leave one of the two out"));
        }
        Some(listen)
    }

    fn show(&self, addresses: &Self::Value) -> String {
        List(ParsedText(address)).show(addresses)
    }
}

fn saturation(value: &DeValue<'_>) -> Read<Saturation> {
    match values::text(value)? {
        "warn" => Ok(Saturation::Warn),
        "fail" => Ok(Saturation::Fail),
        other => {
            Err(Fault::new(format!("is {:?}", shortened(other, 40)), "must be \"warn\" or \"fail\"", ""))
        }
    }
}
