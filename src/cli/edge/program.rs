//! What is to be known of a program that stands in front. Each is a row in its own file, and in the list of `mod.rs`.

use std::fmt;
use std::time::Duration;

use clap::builder::PossibleValue;

use super::ALL;
use super::site::Scene;
use super::wanted::Wanted;
use crate::config::Preset;
use crate::plan::Served;

/// A program.
pub(in crate::cli) struct Program {
    /// What it is called on the command line.
    pub(super) word: &'static str,
    /// As its makers write it.
    pub(super) name: &'static str,
    /// What is printed for it, for the help.
    pub(super) prints: &'static str,
    /// Examples for the help: what stands behind `ostler edge`.
    pub(super) examples: &'static [&'static str],
    /// How often it asks for health, unless it is told otherwise; `None` if it asks nobody.
    pub(super) check_every: Option<Duration>,
    /// How it reads a path.
    pub(super) paths: Paths,
    pub(super) kind: Kind,
}

/// What it does.
pub(super) enum Kind {
    /// It passes requests on.
    Proxy(Proxy),
    /// Anything else: a file, and what does not fit.
    Other(fn(&Served, &Wanted) -> Result<File, String>),
}

/// A file, where it belongs, and what does not fit.
pub(super) struct File {
    pub(super) place: &'static str,
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
}

/// What passes requests on.
pub(super) struct Proxy {
    /// Its name in `[edge]`, with what is known of it there.
    pub(super) preset: Preset,
    /// Whether certbot fetches its certificates: it has no way of its own that could be counted on.
    pub(super) certbot: bool,
    /// What it cannot do with a server that listens on a Unix socket alone: `reach`, `check`; `None` if it can do all.
    pub(super) unix: fn(&Wanted) -> Option<&'static str>,
    /// How long it takes until a server that fails its checks gets nothing more.
    pub(super) notices: fn(Duration) -> Duration,
    /// Whether it can ask for the health of a server at another address than the server's.
    pub(super) asks_elsewhere: bool,
    /// Whether the file has no sites, so that they need no names.
    pub(super) without_sites: fn(&Wanted) -> bool,
    /// The file, and where it belongs.
    pub(super) print: fn(&Scene<'_>) -> Result<(&'static str, String), String>,
}

/// How paths are written, so that they mean nothing but themselves.
pub(super) struct Paths {
    /// What there is no way to write.
    pub(super) never: &'static [&'static str],
    /// Whether even a plain one is quoted.
    pub(super) always_quoted: bool,
    pub(super) quote: fn(&str) -> String,
}

impl Program {
    /// Whether it passes requests on.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_proxy(&self) -> bool {
        matches!(self.kind, Kind::Proxy(_))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

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
    let by_certbot = |program: &&&Program| matches!(&program.kind, Kind::Proxy(proxy) if proxy.certbot);
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
    let group = |(every, names): (Duration, Vec<&str>)| {
        format!("{} for {}", crate::config::words(every), names.join(" and "))
    };
    let groups: Vec<String> = groups.into_iter().map(group).collect();
    format!("How often it asks a server for its health [default: {}]", groups.join(", "))
}
