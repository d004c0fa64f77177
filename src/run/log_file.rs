//! What an app's `log_file` may be: a file, or a device that takes characters (`/dev/null`, a terminal).

use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::files::at;
use super::release_files;
use crate::config::AppConfig;
use crate::plan::{Refusal, ReleasePaths};

/// What else may be there, with what came of it.
pub(super) fn unfit(kind: FileType) -> Option<&'static str> {
    if kind.is_dir() {
        Some("is a directory")
    } else if kind.is_fifo() {
        Some(
            "is a named pipe (FIFO): a worker would not start until somebody reads it, and hang with the reader",
        )
    } else if kind.is_socket() {
        Some("is a socket, which nobody can open as a file")
    } else if kind.is_block_device() {
        Some("is a disk, which the log would overwrite")
    } else {
        None
    }
}

/// Whether the workers of an app can be given its log file, as far as its kind says. It is not opened: a reader of a pipe
/// would notice.
pub(super) fn fits(app: &AppConfig, paths: &ReleasePaths) -> Result<(), Refusal> {
    // That of an image is a path in there, which the launcher sees.
    let (Some(written), Some(file), None) = (&app.log_file, &paths.log_file, &paths.image) else {
        return Ok(());
    };
    at(file);
    let what = match fs::metadata(file) {
        // The standard output of somebody who asks, `/dev/stdout`, may be a pipe; it has no name.
        Ok(meta) if fs::canonicalize(file).is_ok() => unfit(meta.file_type()).map(str::to_owned),
        Ok(_) => None,
        Err(_) => no_folder(file),
    };
    let remedy = "let `log_file` name a file, or leave it out: then the output goes to the journal";
    let Some(what) = what else { return Ok(()) };
    let refusal = Refusal::new(format!("the log file {} {what}; {remedy}", file.display()));
    Err(release_files::as_written(refusal, written, file))
}

fn no_folder(file: &Path) -> Option<String> {
    let folder = file.parent()?;
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some(format!("cannot be made: {shown} is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("cannot be made: there is no directory {shown}"))
        }
        // Root may see more.
        Err(_) => None,
    }
}
