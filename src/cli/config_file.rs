//! The one place where the command reads configuration files.

use std::path::Path;

use crate::config::Config;

/// The main file, where nothing else is said.
pub(super) const MAIN: &str = "/etc/ostler/ostler.toml";

/// Reads the main file and `apps.d` beside it; every problem of every file, in words, as the error.
pub(super) fn load(file: &Path) -> Result<Config, String> {
    crate::config::load(file, nix::unistd::geteuid().is_root()).map_err(|problems| problems.to_string())
}
