//! Every program, and what the help says of them.

use std::time::Duration;

use clap::builder::PossibleValue;

use super::program::Program;
use super::{caddy, haproxy, keepalived, nginx, traefik};
use crate::config::words;

/// In the order of the help.
pub(super) static ALL: &[&Program] =
    &[&nginx::PROGRAM, &haproxy::PROGRAM, &traefik::PROGRAM, &caddy::PROGRAM, &keepalived::PROGRAM];

impl clap::ValueEnum for &'static Program {
    fn value_variants<'a>() -> &'a [&'static Program] {
        ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.word).help(self.prints))
    }
}

/// Examples for the help.
pub(in crate::cli) fn examples() -> String {
    let lines = ALL.iter().flat_map(|program| program.examples);
    let lines: Vec<String> = lines.map(|line| format!("\n  ostler edge {line}")).collect();
    format!("Examples:{}", lines.concat())
}

/// What the help says of `--no-tls`.
pub(in crate::cli) fn about_no_tls() -> String {
    let by_certbot = |program: &&&Program| program.proxy.is_some_and(|proxy| proxy.certbot);
    let names: Vec<&str> = ALL.iter().filter(by_certbot).map(|program| program.name).collect();
    format!("Plain HTTP [default: certificates by ACME; by certbot for {}]", names.join(" and "))
}

/// What the help says of `--check-every`.
pub(in crate::cli) fn about_check_every() -> String {
    let mut groups: Vec<(Duration, Vec<&str>)> = Vec::new();
    for program in ALL {
        let Some(every) = program.check_every else { continue };
        match groups.iter_mut().find(|group| group.0 == every) {
            Some(group) => group.1.push(program.name),
            None => groups.push((every, vec![program.name])),
        }
    }
    let group =
        |(every, names): (Duration, Vec<&str>)| format!("{} for {}", words(every), names.join(" and "));
    let groups: Vec<String> = groups.into_iter().map(group).collect();
    format!("How often it asks a server for its health [default: {}]", groups.join(", "))
}
