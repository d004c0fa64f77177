//! Removing a tree that the app's user owns, also where an image has closed folders to their owner.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What an owner needs of a folder to empty it.
const WHOLE: u32 = 0o700;

/// Removes it; that nothing is there is as good. No link is followed.
pub(super) fn tree(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(kind) => kind,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_dir() {
        return fs::remove_file(path);
    }
    open(path)?;
    fs::remove_dir_all(path)
}

fn open(path: &Path) -> io::Result<()> {
    let mut folders: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut permissions = fs::symlink_metadata(&folder)?.permissions();
        if permissions.mode() & WHOLE != WHOLE {
            permissions.set_mode(permissions.mode() | WHOLE);
            fs::set_permissions(&folder, permissions)?;
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}
