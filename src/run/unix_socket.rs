//! Unix listening sockets and their files.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, socket, sockopt,
};
use nix::unistd::{Gid, Uid, fchownat};

use super::holder::Holder;
use super::listen_error::ListenError;
use crate::plan::Account;

/// The mode of a socket file where the configuration does not say: an edge under another user can connect.
const MODE: u32 = 0o666;

/// The file of a socket that is bound; removed when this is dropped, if it is still the same file.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// Whether the file stays when the socket is closed.
    pub(super) kept: bool,
}

impl SocketFile {
    /// The file of a socket that an earlier ostlerd bound; `None` where it is another file by now, or gone.
    pub(super) fn again(path: &Path, was: (u64, u64)) -> Option<SocketFile> {
        let same = identity(path).is_ok_and(|found| found == was);
        same.then(|| SocketFile { path: path.to_owned(), identity: was, kept: false })
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.kept && identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket at `path`; it does not listen yet, so nobody connects before its file has mode and owner.
pub(super) fn bind_file(
    path: &Path,
    mode: Option<u32>,
    owner: Option<&Account>,
    ours: &Path,
) -> Result<(OwnedFd, SocketFile), ListenError> {
    let what = || format!("unix:{}", path.display());
    let failed = |step, error| ListenError::Failed { what: what(), step, error };
    let address = UnixAddr::new(path).map_err(|_| ListenError::TooLong { path: path.to_owned() })?;
    ensure_parent(path, ours)?;
    clear_stale(path, &address)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(|error| failed("make a socket", error))?;
    bind(fd.as_raw_fd(), &address).map_err(|error| failed("make the socket file", error))?;
    let identity = identity(path).map_err(|error| failed("look at the socket file", errno(&error)))?;
    let file = SocketFile { path: path.to_owned(), identity, kept: false };
    set_access(path, mode.unwrap_or(MODE), owner)
        .map_err(|error| failed("set the socket file's mode and owner", errno(&error)))?;
    Ok((fd, file))
}

/// Sets mode and owner of the socket file at `path`, and of nothing else: its folder may belong to the app's
/// user, who must not be able to have another file's mode changed by putting a link in its place.
pub(super) fn set_access(path: &Path, mode: u32, owner: Option<&Account>) -> io::Result<()> {
    let flags = (OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.file_type().is_socket() {
        return Err(io::Error::from_raw_os_error(Errno::ENOTSOCK as i32));
    }
    if let Some(owner) = owner.filter(|_| nix::unistd::geteuid().is_root()) {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        fchownat(&file, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    }
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::set_permissions(opened, std::os::unix::fs::PermissionsExt::from_mode(mode & 0o7777))
}

/// The mode that `wanted` comes to.
pub(super) fn mode_or_default(wanted: Option<u32>) -> u32 {
    wanted.unwrap_or(MODE)
}

pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

fn ensure_parent(path: &Path, ours: &Path) -> Result<(), ListenError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent.is_dir() {
        return Ok(());
    }
    let plain = !parent.components().any(|part| part == std::path::Component::ParentDir);
    if !(plain && parent.starts_with(ours)) {
        let (path, parent, ours) = (path.to_owned(), parent.to_owned(), ours.to_owned());
        return Err(ListenError::NoDirectory { path, parent, ours });
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(|error| {
        ListenError::Failed {
            what: format!("unix:{}", path.display()),
            step: "make its directory",
            error: errno(&error),
        }
    })
}

/// Removes a socket file that nobody listens on; refuses where somebody does, or where it is something else.
fn clear_stale(path: &Path, address: &UnixAddr) -> Result<(), ListenError> {
    let failed = |step, error| ListenError::Failed { what: format!("unix:{}", path.display()), step, error };
    let kind = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at the path", errno(&error))),
        Ok(meta) => meta.file_type(),
    };
    if !kind.is_socket() {
        let kind = if kind.is_dir() {
            "directory"
        } else if kind.is_symlink() {
            "link"
        } else {
            "file"
        };
        return Err(ListenError::InTheWay { path: path.to_owned(), kind });
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(|error| failed("make a socket", error))?;
    match connect(probe.as_raw_fd(), address) {
        Err(Errno::ENOENT) => Ok(()),
        Err(Errno::ECONNREFUSED) => {
            std::fs::remove_file(path).map_err(|error| failed("remove the stale socket file", errno(&error)))
        }
        // EAGAIN is a full queue, EPROTOTYPE a datagram socket: both are somebody's.
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => {
            let listener = getsockopt(&probe, sockopt::PeerCredentials).ok();
            let holder = listener.filter(|it| it.pid() > 0).and_then(|it| Holder::of(it.pid()));
            Err(ListenError::Answered { path: path.to_owned(), holder })
        }
        Err(error) => Err(failed("find out whether the socket file is stale", error)),
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}
