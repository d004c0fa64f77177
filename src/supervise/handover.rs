//! How an ostlerd makes room for the next one, and why it has not.

use std::path::PathBuf;

use super::request::RequestId;

/// How the next ostlerd comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandoverBy {
    /// This process becomes it.
    Reexec {
        /// Who asked; it is told that it is done just before.
        id: RequestId,
        /// The binary.
        program: PathBuf,
    },
    /// systemd starts it when this one has ended.
    Restart,
}

/// Why this ostlerd has not made room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stayed {
    /// systemd is about to end it.
    Ending,
    /// What runs cannot be written down: into which file.
    Unwritten(PathBuf),
    /// The binary cannot be executed; whoever asked has heard that it would be.
    NotExecuted,
}
