//! One pull at a time in a folder of releases.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::cli::error::VerbError;
use crate::control::protocol::exit;

const FILE: &str = ".images.lock";

/// Held until it is dropped, or the process has ended.
#[derive(Debug)]
pub(super) struct Lock {
    _held: Flock<File>,
}

/// Takes it, or says why not.
pub(super) fn take(releases: &Path) -> Result<Lock, VerbError> {
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(releases.join(FILE));
    let file = open.map_err(|error| denied(releases, &error))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Lock { _held: held }),
        Err((_, Errno::EWOULDBLOCK)) => {
            Err(VerbError::said(exit::TRY_AGAIN, "another pull is under way; try again when it has ended"))
        }
        Err((_, error)) => {
            Err(VerbError::said(exit::FAILED, format!("{} cannot be locked: {error}", releases.display())))
        }
    }
}

/// Why the app's user cannot write there, and what to do.
pub(super) fn denied(folder: &Path, error: &io::Error) -> VerbError {
    let status = match error.kind() {
        io::ErrorKind::PermissionDenied => exit::NOT_ALLOWED,
        _ => exit::FAILED,
    };
    let uid = nix::unistd::geteuid();
    let name =
        nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let folder = folder.display();
    VerbError::said(
        status,
        format!(
            "{folder} cannot be written by {name}, the app's user: {error}; `install -d -o {name} {folder}` gives it to it"
        ),
    )
}
