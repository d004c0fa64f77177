//! The link that an app's `directory` leads through, found, and turned in one step.
//!
//! `directory` is `/srv/shop/current`, or a folder below it. The link is replaced by another of the same name, so at any
//! moment it leads to one release or the other. Where ostlerd is root it does so with the rights of whoever owns the folder
//! of the link: a user who can lead the path elsewhere gets nothing turned there but what is his own.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::identity;
use crate::plan::Account;
use crate::supervise::ReleaseLink;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::libc;
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, setfsuid, symlinkat, unlinkat};

pub(super) mod record;

/// Of several links on the way the one of this name is meant.
const USUAL: &str = "current";

/// A link, and what of `directory` lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) path: PathBuf,
    pub(super) below: PathBuf,
}

impl From<ReleaseLink> for Link {
    fn from(ReleaseLink { path, below }: ReleaseLink) -> Link {
        Link { path, below }
    }
}

impl From<Link> for ReleaseLink {
    fn from(Link { path, below }: Link) -> ReleaseLink {
        ReleaseLink { path, below }
    }
}

/// Why a link was not moved.
#[derive(Debug)]
pub(super) enum NotMoved {
    /// It is where somebody else has moved it, or there is none any more.
    Elsewhere,
    Failed(io::Error),
}

impl From<io::Error> for NotMoved {
    fn from(error: io::Error) -> NotMoved {
        NotMoved::Failed(error)
    }
}

/// Why `directory` has no link to be turned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoLink {
    #[error(
        "{} leads through no link, so there is nothing to turn: keep each release in a folder of its own, \
         `ln -s releases/1 current`, and name `current` in `directory`", .0.display()
    )]
    None(PathBuf),
    #[error(
        "{} leads through several links ({}), and none of them is called {USUAL}: call the one that leads to the \
         release so", .directory.display(), listed(.links)
    )]
    Several { directory: PathBuf, links: Vec<PathBuf> },
}

fn listed(links: &[PathBuf]) -> String {
    links.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl Link {
    /// The link of a `directory` as it is written.
    pub(super) fn of(directory: &Path) -> Result<Link, NoLink> {
        let links: Vec<&Path> = directory.ancestors().filter(|it| it.is_symlink()).collect();
        let usual = links.iter().find(|it| it.file_name().is_some_and(|name| name == USUAL));
        let path = match (usual, links.as_slice()) {
            (Some(path), _) => path,
            (None, [path]) => path,
            (None, []) => return Err(NoLink::None(directory.to_owned())),
            (None, _) => {
                let links = links.into_iter().map(Path::to_owned).collect();
                return Err(NoLink::Several { directory: directory.to_owned(), links });
            }
        };
        let below = directory.strip_prefix(path).unwrap_or(Path::new("")).to_owned();
        Ok(Link { path: path.to_path_buf(), below })
    }

    /// The folder that the app is run in, by where the link leads now.
    pub(super) fn leads_to(&self) -> io::Result<PathBuf> {
        fs::canonicalize(joined(&self.path, &self.below))
    }

    /// The same for a release of its own name.
    pub(super) fn directory_in(&self, release: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(joined(release, &self.below))
    }

    /// The release that the app is run in at `directory`.
    pub(super) fn release_of(&self, directory: &Path) -> Option<PathBuf> {
        let mut release = directory;
        for part in self.below.iter().rev() {
            release = (release.file_name()? == part).then(|| release.parent())??;
        }
        Some(release.to_owned())
    }

    /// What the link says.
    pub(super) fn text(&self) -> io::Result<PathBuf> {
        fs::read_link(&self.path)
    }

    /// What the link has to say to lead to `release`: `releases/2`, where it says `releases/1` now.
    pub(super) fn text_for(&self, release: &Path) -> PathBuf {
        let beside = || {
            let text = self.text().ok()?;
            let folder = text.parent()?;
            let is_there = fs::canonicalize(joined(self.folder(), folder)).ok()? == release.parent()?;
            is_there.then(|| release.file_name()).flatten().map(|name| joined(folder, Path::new(name)))
        };
        beside().unwrap_or_else(|| release.to_owned())
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Whether it leads to `directory` where it says `text`.
    pub(super) fn would_lead_to(&self, text: &Path, directory: &Path) -> bool {
        self.directory_in(&joined(self.folder(), text)).is_ok_and(|it| it == directory)
    }

    /// The same, if it leads to the folder `from` now, or nowhere.
    pub(super) fn point_from(&self, from: Option<&Path>, text: &Path) -> Result<(), NotMoved> {
        let is_there = |to: PathBuf| from == Some(&to);
        if !self.path.is_symlink() || !self.leads_to().map_or(true, is_there) {
            return Err(NotMoved::Elsewhere);
        }
        Ok(self.point(text)?)
    }

    /// Has the link say `text`, in one step. What is there has to be a link.
    pub(super) fn point(&self, text: &Path) -> io::Result<()> {
        let path = libc::O_PATH | libc::O_DIRECTORY;
        let folder: OwnedFd =
            fs::OpenOptions::new().read(true).custom_flags(path).open(self.folder())?.into();
        let name = self.path.file_name().ok_or(Errno::EINVAL)?;
        let old = fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if SFlag::from_bits_truncate(old.st_mode) & SFlag::S_IFMT != SFlag::S_IFLNK {
            return Err(io::Error::other("it is no link any more"));
        }
        let mut new = std::ffi::OsString::from(".");
        new.push(name);
        new.push(".ostler");
        // What one that was killed has left.
        match unlinkat(&folder, new.as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        symlinkat(text, &folder, new.as_os_str())?;
        let kept = keep_owner(&folder, &new, old.st_uid, old.st_gid);
        let moved = kept.and_then(|()| Ok(renameat(&folder, new.as_os_str(), &folder, name)?));
        if moved.is_err() {
            // The error says why there is no new link.
            let _ = unlinkat(&folder, new.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
        moved?;
        // A power cut must not bring the old one back. Who may not read the folder cannot ask for that.
        match fs::File::open(self.folder()) {
            Ok(folder) => folder.sync_all(),
            Err(_) => Ok(()),
        }
    }
}

/// Root gives the new link to the owner of the old one. Nobody else can, and root does it in folders of its own alone.
fn keep_owner(folder: impl AsFd, new: &std::ffi::OsStr, uid: u32, gid: u32) -> io::Result<()> {
    let is_root = nix::unistd::geteuid().is_root() && !is_somebody_else();
    if is_root {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        fchownat(folder, new, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Whether this thread has another user's rights on files.
fn is_somebody_else() -> bool {
    // An impossible number changes nothing, and says what is.
    setfsuid(Uid::from_raw(u32::MAX)) != nix::unistd::geteuid()
}

/// `path` itself where nothing is below it.
fn joined(path: &Path, below: &Path) -> PathBuf {
    match (path.as_os_str().is_empty(), below.as_os_str().is_empty()) {
        (true, _) => below.to_owned(),
        (_, true) => path.to_owned(),
        _ => path.join(below),
    }
}

/// Who turns a link: whoever owns its folder, or a folder or link on the way to it. `None` is ostlerd itself: it is not
/// root, or all of the way is root's.
pub(super) fn turner(path: &Path) -> io::Result<Option<Account>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let resolved = fs::canonicalize(folder)?;
    let owner = |path: &Path| fs::symlink_metadata(path).map(|it| it.uid()).ok().filter(|uid| *uid != 0);
    let uid = owner(&resolved).or_else(|| folder.ancestors().find_map(owner));
    let Some(uid) = uid.or_else(|| resolved.ancestors().find_map(owner)) else { return Ok(None) };
    let gid = fs::metadata(&resolved)?.gid();
    Ok(Some(identity::account_of_uid(uid, gid)))
}

#[cfg(test)]
mod tests;
