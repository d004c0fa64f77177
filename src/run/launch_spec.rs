//! What a program is to find when it starts, as ostlerd says it and the launcher (`launch`) reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::scope::ScopeSpec;
use crate::plan::{Account, ImageRoot, ProcessLimits, Volume};

/// The first argument by which `ostlerd` becomes a launcher.
pub const ARGUMENT: &str = "__launch";

/// The program's descriptor on which a failed launch is reported, as the worker contract has it.
pub const CONTROL: i32 = 5;

/// A program and everything that it finds when it starts; what is not here it does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// The program's path. A mere name is looked for in the folders of the PATH of `env`, as whom it runs as.
    pub program: PathBuf,
    /// Its arguments, the zeroth (its name) among them.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Its file mode mask.
    pub umask: u32,
    /// What the kernel limits of it; what is `None` is as ostlerd has it.
    pub limits: ProcessLimits,
    /// Whom it runs as; `None` keeps ostlerd's own.
    pub account: Option<Account>,
    /// Standard output and error, appended to, made with mode 0640 by the account; `None` is ostlerd's stderr.
    pub log_file: Option<PathBuf>,
    /// Whether set-user-id programs stay without effect.
    pub no_new_privs: bool,
    /// The image that it runs in: `program`, `directory` and `log_file` are paths in there.
    pub image: Option<ImageRoot>,
    /// The scope of systemd's that it runs in, where there are any; `None` is ostlerd's own control group.
    pub scope: Option<ScopeSpec>,
}

impl LaunchSpec {
    /// The same, with a file of the machine at its path there also in an image. One that is not there is left out.
    pub(super) fn with_file(mut self, file: &Path) -> LaunchSpec {
        if let Some(image) = self.image.as_mut().filter(|_| file.is_file()) {
            image.volumes.insert(file.to_owned(), Volume { host: file.to_owned(), read_only: false });
        }
        self
    }
}

/// What the memfd holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    /// What to run.
    pub(super) spec: LaunchSpec,
    /// Which descriptor each of those that follow the memfd becomes.
    pub(super) targets: Vec<i32>,
}
