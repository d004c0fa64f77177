//! `ostler check [FILE]`: what `ostlerd --check` finds, as far as the caller may see; needs no running ostlerd.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::error::VerbError;
use crate::control::protocol::exit;

/// Where a package puts it, if it is not beside the command.
const ELSEWHERE: [&str; 2] = ["/usr/bin/ostlerd", "/usr/sbin/ostlerd"];

/// Says whether what the files say can be run; 78 where it cannot.
pub(super) fn run(file: &Path, json: bool) -> Result<u8, VerbError> {
    let program = ostlerd().ok_or_else(|| {
        let message =
            "there is no ostlerd beside this command, which makes the checks; install both of one version";
        VerbError::said(exit::FAILED, message)
    })?;
    let mut command = Command::new(&program);
    command.args(["--check", "--for-caller", "--config"]).arg(file).stdin(Stdio::null());
    if json {
        command.arg("--json");
    }
    let ended = command.status().map_err(|error| {
        VerbError::said(exit::FAILED, format!("cannot run {}: {error}", program.display()))
    })?;
    // One that a signal ended has said nothing about the files.
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

fn ostlerd() -> Option<PathBuf> {
    let beside = std::env::current_exe().unwrap_or_default().with_file_name("ostlerd");
    std::iter::once(beside).chain(ELSEWHERE.map(PathBuf::from)).find(|path| path.is_file())
}
