//! What the shell found out about an app before anything is decided.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::worker::Settings;

use super::types::{Account, Fingerprint, ImageName};

/// Facts about one app and the machine that it should run on.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What the app's gunicorn says of itself; untrusted.
    pub settings: Settings,
    /// The app's paths with the release's link resolved.
    pub paths: ReleasePaths,
    /// Whom the workers become; `None` where ostlerd is not root and they stay what it is.
    pub account: Option<Account>,
    /// Whom ostlerd itself runs as.
    pub own: Account,
    /// CPUs that ostlerd may use.
    pub cpus: u32,
    /// The files of `env_files`, read, in their order.
    pub env_files: Vec<EnvFile>,
    /// The release's files as they are now.
    pub release: Fingerprint,
    /// The first port that every user may bind.
    pub unprivileged_port: u16,
    /// Whether the directory holds a `manage.py`: what Django's own projects have.
    pub manage_py: bool,
}

/// The paths of an app as one release has them: the part through its link resolved, the rest as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasePaths {
    /// The release.
    pub directory: PathBuf,
    /// The interpreter, itself not followed: a virtual environment's is a link that must stay one.
    pub python: PathBuf,
    /// In the order of the configuration.
    pub env_files: Vec<PathBuf>,
    /// Where the output goes.
    pub log_file: Option<PathBuf>,
    /// What the release says of itself, if it is an image; `python` and `log_file` are paths in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ReleaseImage>,
}

impl ReleasePaths {
    /// The folder that processes run in, as they see it.
    pub fn code(&self) -> &Path {
        self.image.as_ref().map_or(&self.directory, |image| &image.directory)
    }
}

/// What an image says of its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseImage {
    /// Which image it is, where that was written down.
    pub name: Option<ImageName>,
    /// Its environment, in its order.
    pub env: Vec<(String, String)>,
    /// The folder that its processes run in.
    pub directory: PathBuf,
}

/// A file with environment, and the variables in it.
pub type EnvFile = (PathBuf, Vec<(String, String)>);
