//! What is served here, as the configuration of whatever stands in front: pure, from types to text.
//!
//! Read in this order: `wanted` (what the command line says), `site` with `servers` and `times` (what every program needs to
//! know of an app), `trust` and `text` (comments, and names that mean nothing to the program), `program` (what is to be known
//! of one), then one file for each. A new one is such a file, and its row in `ALL`.

mod caddy;
mod cdn;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod haproxy;
mod keepalived;
mod nginx;
mod program;
mod servers;
mod site;
mod text;
mod times;
mod traefik;
mod trust;
mod wanted;

#[cfg(test)]
mod tests;

use clap::Args;
use serde::Serialize;

use crate::plan::Served;

#[cfg(any(test, fuzzing))]
pub(super) use fuzzing::hostile;
use program::{File, Kind};
pub(super) use program::{Program, about_check_every, about_no_tls, examples};
use site::Scene;
pub(super) use wanted::{Cdn, Host, Peer, Tls, Wanted, email, host, peer};

/// Every program, in the order of the help.
static ALL: &[&Program] =
    &[&nginx::PROGRAM, &haproxy::PROGRAM, &traefik::PROGRAM, &caddy::PROGRAM, &keepalived::PROGRAM];

/// Options that one program alone has.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(super) struct Special {
    #[command(flatten)]
    traefik: traefik::Options,
    #[command(flatten)]
    keepalived: keepalived::Options,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Printed {
    /// For which program.
    pub(super) edge: &'static str,
    /// Where it belongs.
    pub(super) file: &'static str,
    /// The file.
    pub(super) configuration: String,
    /// What does not fit, a sentence each; they stand in the file as well.
    pub(super) warnings: Vec<String>,
}

/// The configuration of `program` for what is served, or why there can be none.
pub(super) fn print(program: &'static Program, served: &Served, wanted: &Wanted) -> Result<Printed, String> {
    let File { place, text, warnings } = match &program.kind {
        Kind::Other(print) => print(served, wanted)?,
        Kind::Proxy(proxy) => {
            let scene = Scene::new(program, proxy, served, wanted)?;
            let (place, text) = (proxy.print)(&scene)?;
            File { place, text, warnings: scene.warnings }
        }
    };
    Ok(Printed { edge: program.word, file: place, configuration: text, warnings })
}
