//! How far a start of ostlerd is.

use std::collections::BTreeSet;

use crate::config::AppName;

/// How far a start of ostlerd is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deploy {
    /// The apps that are rolled out when the configuration has been read.
    pub(crate) owed: Vec<AppName>,
    /// Those that are being rolled out.
    pub(crate) unproven: BTreeSet<AppName>,
    /// Whether systemd knows that ostlerd is ready.
    pub(crate) told: bool,
}

impl Deploy {
    pub(crate) fn owes(apps: Vec<AppName>) -> Deploy {
        Deploy { owed: apps, ..Deploy::default() }
    }
}
