//! What is served here, as the configuration of whatever stands in front: pure, from types to text.
//!
//! Read in this order: `wanted` and `special` (what the command line says), `program` (what is to be known of one), `site`
//! with `servers` and `times` (what every program needs to know of an app), `trust` and `text` (comments, and names that mean
//! nothing to the program), then one file for each. A new one is such a file, and its row in `all`.

mod all;
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
mod special;
mod text;
mod times;
mod traefik;
mod trust;
mod wanted;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::plan::Served;

pub(super) use all::{about_check_every, about_no_tls, examples};
#[cfg(any(test, fuzzing))]
pub(super) use fuzzing::hostile;
use program::File;
pub(super) use program::Program;
pub(super) use special::Special;
pub(super) use wanted::{Cdn, Host, Peer, Tls, Wanted, email, host, peer};

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
    let File { place, text, warnings } = (program.print)(served, wanted)?;
    Ok(Printed { edge: program.word, file: place, configuration: text, warnings })
}
