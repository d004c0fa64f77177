//! What is served here, as the configuration of whatever stands in front: pure, from types to text.
//!
//! Read in this order: `wanted` (what the command line says), `site` with `servers` and `times` (what every program needs to
//! know of an app), `trust` and `text` (comments, and names that mean nothing to the program), then one file for each program.

mod caddy;
mod cdn;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod haproxy;
mod keepalived;
mod nginx;
mod servers;
mod site;
mod text;
mod times;
mod traefik;
mod trust;
mod wanted;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::plan::Served;

#[cfg(any(test, fuzzing))]
pub(super) use fuzzing::hostile;
use site::Scene;
pub(super) use wanted::{Cdn, Host, Peer, Tls, Vip, Wanted, email, host, interface, peer, vip};

/// A program that stands in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Program {
    /// A file of conf.d
    Nginx,
    /// haproxy.cfg
    Haproxy,
    /// A file of its file provider, or with --main its own
    Traefik,
    /// Caddyfile
    Caddy,
    /// keepalived.conf: an address that moves to a server that is ready
    Keepalived,
}

impl Program {
    /// As its makers write it.
    fn name(self) -> &'static str {
        match self {
            Program::Nginx => "nginx",
            Program::Haproxy => "HAProxy",
            Program::Traefik => "Traefik",
            Program::Caddy => "Caddy",
            Program::Keepalived => "keepalived",
        }
    }
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Printed {
    /// For which program.
    pub(super) edge: Program,
    /// Where it belongs.
    pub(super) file: &'static str,
    /// The file.
    pub(super) configuration: String,
    /// What does not fit, a sentence each; they stand in the file as well.
    pub(super) warnings: Vec<String>,
}

/// The configuration of `program` for what is served, or why there can be none.
pub(super) fn print(program: Program, served: &Served, wanted: &Wanted) -> Result<Printed, String> {
    let (file, text, warnings) = match program {
        Program::Keepalived => {
            let (text, warnings) = keepalived::print(served, wanted)?;
            ("/etc/keepalived/keepalived.conf", text, warnings)
        }
        _ => {
            let scene = Scene::new(program, served, wanted)?;
            let (file, text) = match program {
                Program::Nginx => ("/etc/nginx/conf.d/ostler.conf", nginx::print(&scene)?),
                Program::Haproxy => ("/etc/haproxy/haproxy.cfg", haproxy::print(&scene)?),
                Program::Traefik if wanted.main => ("/etc/traefik/traefik.yml", traefik::main(&scene)?),
                Program::Traefik => ("/etc/traefik/dynamic/ostler.yml", traefik::print(&scene)?),
                Program::Caddy | Program::Keepalived => ("/etc/caddy/Caddyfile", caddy::print(&scene)?),
            };
            (file, text, scene.warnings)
        }
    };
    Ok(Printed { edge: program, file, configuration: text, warnings })
}
