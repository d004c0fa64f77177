//! What comes in: the files, what was said beside them, and what may be asked of the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file, as it was read.
#[derive(Clone, Debug)]
pub(in crate::cli) struct SourceFile {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) text: String,
}

/// What the command line says; it wins over what the files say.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Overrides {
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) app: Option<String>,
    pub(in crate::cli) python: Option<String>,
    pub(in crate::cli) image: Option<String>,
    /// Of several services in one file, the one to import.
    pub(in crate::cli) service: Option<String>,
    pub(in crate::cli) directory: Option<String>,
    pub(in crate::cli) user: Option<String>,
    pub(in crate::cli) listen: Vec<String>,
    /// Values of what only a shell or systemd could know, `PORT` or `%H`.
    pub(in crate::cli) set: BTreeMap<String, String>,
}

/// What may be asked of the machine.
pub(in crate::cli) struct FileAccess<'a> {
    /// Whether there is such a file or folder.
    pub(in crate::cli) exists: &'a dyn Fn(&Path) -> bool,
    /// The text of a file, where it is one and can be read.
    pub(in crate::cli) read: &'a dyn Fn(&Path) -> Option<String>,
}
