//! Looking at every file of a tree, so that whoever interrupts the command is heard meanwhile.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// So many files in a row.
const ROW: u32 = 128;

/// Shows each thing below `root` with its path below it, a folder before what is in it. No link is followed.
pub(super) async fn walk(
    root: &Path,
    mut visit: impl FnMut(&Path, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    let mut folders: Vec<PathBuf> = vec![PathBuf::new()];
    let mut seen = 0_u32;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let (path, metadata) = (folder.join(entry.file_name()), entry.metadata()?);
            visit(&path, &metadata)?;
            if metadata.is_dir() {
                folders.push(path);
            }
            seen += 1;
            if seen.is_multiple_of(ROW) {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}
