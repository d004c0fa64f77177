//! What is to be known of a program that stands in front. Each is a row in its own file, and in the list of `all`.

use std::fmt;
use std::time::Duration;

use super::wanted::Wanted;
use crate::config::Preset;
use crate::plan::Served;

/// A program.
pub(in crate::cli) struct Program {
    /// What it is called on the command line.
    pub(super) word: &'static str,
    /// As its makers write it.
    pub(super) name: &'static str,
    /// What its file is, for the help.
    pub(super) prints: &'static str,
    /// Examples for the help: what stands behind `ostler edge`.
    pub(super) examples: &'static [&'static str],
    /// How often it asks for health, unless it is told otherwise; `None` if it asks nobody.
    pub(super) check_every: Option<Duration>,
    /// How it reads a path.
    pub(super) paths: Paths,
    /// What is known of it if it passes requests on.
    pub(super) proxy: Option<&'static Proxy>,
    /// What is printed for it, or why there can be nothing.
    pub(super) print: fn(&Served, &Wanted) -> Result<File, String>,
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
}

/// How paths are written, so that they mean nothing but themselves.
pub(super) struct Paths {
    /// What there is no way to write.
    pub(super) never: &'static [&'static str],
    /// Whether even a plain one is quoted.
    pub(super) always_quoted: bool,
    pub(super) quote: fn(&str) -> String,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}
