//! Files in folders of ostlerd's own, as they should be there. What is there in fact may have been left by a disk that failed, or
//! put there by a person: nothing is waited for, nothing is followed, and nothing is read without an end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// What stands in it, where it has no more than `most` bytes.
///
/// # Errors
///
/// Also if it is no file that ostlerd's own user alone can write: that is [`io::ErrorKind::InvalidData`].
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    let wrong = |words: String| Err(io::Error::new(io::ErrorKind::InvalidData, words));
    let (own, uid, mode) = (nix::unistd::geteuid().as_raw(), meta.uid(), meta.mode() & 0o777);
    if !meta.is_file() || uid != own || mode & 0o022 != 0 {
        return wrong(format!("it is no file that uid {own} alone can write (uid {uid}, mode {mode:03o})"));
    }
    if meta.len() > most {
        return wrong(format!("it has {} bytes, more than ostlerd ever writes there", meta.len()));
    }
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text)?;
    Ok(text)
}

/// A new file with that mode in place of the one that is there: that is not followed, and not written into.
pub(super) fn create(path: &Path, mode: u32) -> io::Result<File> {
    let open =
        || OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(O_NOFOLLOW).open(path);
    open().or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            open()
        }
        _ => Err(error),
    })
}

/// Removes whatever is there; a folder with all that is in it.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
