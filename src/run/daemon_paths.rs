//! Where ostlerd finds and keeps its things.

use std::path::PathBuf;

/// Where ostlerd finds and keeps its things.
#[derive(Clone, Debug)]
pub struct DaemonPaths {
    /// The main configuration file.
    pub config: PathBuf,
    /// Sockets, scoreboards: gone after a reboot.
    pub runtime: PathBuf,
    /// What outlives a reboot.
    pub state: PathBuf,
}
