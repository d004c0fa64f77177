//! The folder of a socket file, opened once: whatever is done to the file is done here, wherever the path leads by then.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::socket::UnixAddr;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};

use crate::plan::Account;
use crate::run::files;
use crate::run::listen_error::ListenError;
use crate::run::rights::as_whom;

/// Device and inode of a file.
pub(in crate::run) type SocketFileId = (u64, u64);

/// A folder, and the name of a socket file in it.
#[derive(Debug)]
pub(in crate::run) struct Folder {
    fd: OwnedFd,
    name: OsString,
    path: PathBuf,
    /// With whose rights it was opened, and what is done in it is done; `None` is ostlerd's own.
    whom: Option<Account>,
}

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Socket,
    Directory,
    Link,
    File,
}

impl FileKind {
    fn of(stat: &FileStat) -> FileKind {
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFSOCK => FileKind::Socket,
            SFlag::S_IFDIR => FileKind::Directory,
            SFlag::S_IFLNK => FileKind::Link,
            _ => FileKind::File,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            FileKind::Socket => "socket",
            FileKind::Directory => "directory",
            FileKind::Link => "link",
            FileKind::File => "file",
        }
    }
}

impl Folder {
    /// That of the socket file `path`.
    pub(super) fn new(fd: OwnedFd, path: &Path, whom: Option<&Account>) -> Folder {
        let name = path.file_name().unwrap_or(OsStr::new("")).to_owned();
        Folder { fd, name, path: path.to_owned(), whom: whom.cloned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, step: &'static str, error: Errno) -> ListenError {
        ListenError::at_socket(&self.path, step, error)
    }

    /// With the rights that it was opened with.
    pub(super) fn as_before<T: Send>(
        &self,
        what: impl FnOnce(&Folder) -> Result<T, ListenError> + Send,
    ) -> Result<T, ListenError> {
        let done = as_whom(self.whom.as_ref(), || what(self));
        done.unwrap_or_else(|error| Err(self.failed("become its user", errno(&error))))
    }

    /// What the name is now.
    pub(super) fn look(&self) -> Result<Option<(SocketFileId, FileKind)>, ListenError> {
        files::at(&self.path);
        match fstatat(&self.fd, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(((stat.st_dev, stat.st_ino), FileKind::of(&stat)))),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(self.failed("look at the path", error)),
        }
    }

    /// Removes the file, if it is still this one.
    pub(super) fn remove(&self, identity: SocketFileId) -> Result<(), ListenError> {
        if self.look()?.is_none_or(|(found, _)| found != identity) {
            return Ok(());
        }
        match unlinkat(&self.fd, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(self.failed("remove the socket file", error)),
        }
    }

    /// Sets mode and owner of the socket file, and of nothing else: a link in its place is not followed.
    pub(super) fn set_access(&self, mode: u32, owner: Option<&Account>) -> Result<(), ListenError> {
        self.give(mode, owner).map_err(|error| self.failed("set the socket file's mode and owner", error))
    }

    fn give(&self, mode: u32, owner: Option<&Account>) -> Result<(), Errno> {
        files::at(&self.path);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.fd, self.name.as_os_str(), flags, Mode::empty())?;
        let stat = fstat(&file)?;
        if FileKind::of(&stat) != FileKind::Socket {
            return Err(Errno::ENOTSOCK);
        }
        if let Some(owner) = owner.filter(|_| nix::unistd::geteuid().is_root())
            && (owner.uid, owner.gid) != (stat.st_uid, stat.st_gid)
        {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            fchownat(&file, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
        }
        let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mode = Mode::from_bits_truncate(mode & 0o7777);
        fchmodat(nix::fcntl::AT_FDCWD, opened.as_str(), mode, FchmodatFlags::FollowSymlink)
    }

    /// Where to connect to what is there: below the descriptor, where that is short enough for the kernel.
    pub(super) fn address(&self) -> Result<UnixAddr, ListenError> {
        let mut below = format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).into_bytes();
        below.extend_from_slice(self.name.as_bytes());
        UnixAddr::new(Path::new(OsStr::from_bytes(&below)))
            .or_else(|_| UnixAddr::new(&self.path))
            .map_err(|_| ListenError::TooLong { path: self.path.clone() })
    }
}

pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}
