//! A release on its way: in a folder of its own until it is whole, and gone if it does not get there.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::syncfs;

use super::layout::Layout;
use super::record;
use super::remove;

/// How the folders of what is not whole begin.
const MARK: &str = ".pulling-";

/// Of one release. Dropped before it is in its place, it takes everything with it that was only for it.
#[derive(Debug)]
pub(super) struct Staging {
    releases: PathBuf,
    folder: PathBuf,
    release: PathBuf,
    layout: Layout,
    placed: bool,
}

impl Staging {
    /// An empty one.
    pub(super) fn new(releases: &Path, id: &str, layout: &Layout) -> io::Result<Staging> {
        let folder = releases.join(format!("{MARK}{id}"));
        fs::create_dir(&folder)?;
        let (releases, release) = (releases.to_owned(), releases.join(id));
        Ok(Staging { releases, folder, release, layout: layout.clone(), placed: false })
    }

    /// The bundle. A layer that removes what is above its root removes this one folder.
    pub(super) fn bundle(&self) -> PathBuf {
        self.folder.join("bundle")
    }

    /// A free name.
    pub(super) fn spare(&self) -> PathBuf {
        self.folder.join("spare")
    }

    /// Puts it where it belongs, whole also after a power cut; the release's folder.
    pub(super) fn place(mut self) -> io::Result<PathBuf> {
        let bundle = self.bundle();
        fs::set_permissions(&bundle, Permissions::from_mode(0o755))?;
        let releases = File::open(&self.releases)?;
        syncfs(releases.as_fd())?;
        // What is there has no record, so it is no release that anybody could have started.
        remove::tree(&self.release)?;
        fs::rename(bundle, &self.release)?;
        self.placed = true;
        releases.sync_all()?;
        Ok(self.release.clone())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Why the pull failed is more important than what could not be removed, which the next one removes.
        let _ = remove::tree(&self.folder);
        if !self.placed {
            let _ = keep_what_is_needed(&self.releases, &self.layout);
        }
    }
}

/// Removes what a pull that was killed has left.
pub(super) fn clear(releases: &Path, layout: &Layout) -> io::Result<()> {
    for entry in fs::read_dir(releases)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(MARK)) {
            remove::tree(&entry.path())?;
        }
    }
    keep_what_is_needed(releases, layout).map(|_| ())
}

/// Of what was downloaded, only what the releases there are are made of; how many bytes that has freed.
pub(super) fn keep_what_is_needed(releases: &Path, layout: &Layout) -> io::Result<u64> {
    let ids: HashSet<String> = record::all(releases)?.into_iter().map(|it| it.id).collect();
    layout.keep(&ids)
}
