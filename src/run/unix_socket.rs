//! Unix listening sockets and their files.
//!
//! All of this may wait for a file system that does not answer, so it runs on a thread of its own (`files`), but
//! for what ostlerd does before it has a loop.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, socket, sockopt,
};

use super::holder::Holder;
use super::listen_error::ListenError;
use crate::plan::Account;

mod folder;
pub(super) mod removal;
mod socket_path;

pub(super) use folder::SocketFileId;
use folder::{FileKind, Folder};
pub(super) use socket_path::SocketPath;

/// The mode of a socket file where the configuration does not say: an edge under another user can connect.
const MODE: u32 = 0o666;

/// The file of a socket that is bound; removed when this is dropped, if it is still the same file.
#[derive(Debug)]
pub(super) struct SocketFile {
    place: SocketPath,
    identity: SocketFileId,
    /// Where it was made; `None` of one that an earlier ostlerd has made.
    folder: Option<Arc<Folder>>,
    /// Whether the file stays when the socket is closed.
    pub(super) kept: bool,
}

impl SocketFile {
    /// The file of a socket that an earlier ostlerd bound. Where it is another one by now, it is not touched.
    pub(super) fn again(place: SocketPath, identity: SocketFileId) -> SocketFile {
        SocketFile { place, identity, folder: None, kept: false }
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> SocketFileId {
        self.identity
    }

    fn remove(&self) -> Result<(), ListenError> {
        match &self.folder {
            Some(folder) => folder.as_before(|folder| folder.remove(self.identity)),
            None => self.place.with(|folder| folder.remove(self.identity)),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.kept {
            let SocketFile { place, identity, folder, .. } = self;
            let file =
                SocketFile { place: place.clone(), identity: *identity, folder: folder.take(), kept: true };
            // What cannot be removed is found stale by whoever comes next.
            removal::begin(place.path(), move || drop(file.remove()));
        }
    }
}

/// Binds a socket at a place; it does not listen yet, so nobody connects before its file has mode and owner.
pub(super) fn bind_file(
    place: &SocketPath,
    mode: Option<u32>,
    owner: Option<&Account>,
) -> Result<(OwnedFd, SocketFile), ListenError> {
    let path = place.path();
    let address = UnixAddr::new(path).map_err(|_| ListenError::TooLong { path: path.to_owned() })?;
    removal::wait_for(path)?;
    let (fd, identity, folder) = place.with(|folder| {
        clear_stale(folder)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)
            .map_err(|error| folder.failed("make a socket", error))?;
        // By its path and not by the folder's descriptor: it is the name that the socket has from then on, for whoever asks
        // the kernel. The rights are those with which the folder was opened.
        bind(fd.as_raw_fd(), &address).map_err(|error| folder.failed("make the socket file", error))?;
        let Some((identity, FileKind::Socket)) = folder.look()? else {
            return Err(
                folder.failed("find the socket file, its directory has been exchanged", Errno::ENOENT)
            );
        };
        folder.set_access(mode.unwrap_or(MODE), owner).inspect_err(|_| drop(folder.remove(identity)))?;
        Ok((fd, identity, folder.clone()))
    })?;
    Ok((fd, SocketFile { place: place.clone(), identity, folder: Some(folder), kept: false }))
}

/// The file of a socket that is bound already, if there is one: one without a file is found by nobody.
pub(super) fn file_of(place: &SocketPath) -> Result<Option<SocketFile>, ListenError> {
    let found =
        place.with(|folder| Ok(folder.look()?.map(|(identity, kind)| (identity, kind, folder.clone()))));
    let file = |(identity, kind, folder)| {
        let file = SocketFile { place: place.clone(), identity, folder: Some(folder), kept: false };
        (kind == FileKind::Socket).then_some(file)
    };
    found.map(|found| found.and_then(file))
}

/// Gives the socket file at a place another mode.
pub(super) fn set_access(
    place: &SocketPath,
    mode: Option<u32>,
    owner: Option<&Account>,
) -> Result<(), ListenError> {
    place.with(|folder| folder.set_access(mode.unwrap_or(MODE), owner))
}

/// Removes a socket file that nobody listens on; refuses where somebody does, or where it is something else.
fn clear_stale(folder: &Folder) -> Result<(), ListenError> {
    let path = folder.path().to_owned();
    let identity = match folder.look()? {
        None => return Ok(()),
        Some((identity, FileKind::Socket)) => identity,
        Some((_, kind)) => return Err(ListenError::InTheWay { path, kind: kind.word() }),
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(|error| folder.failed("make a socket", error))?;
    match connect(probe.as_raw_fd(), &folder.address()?) {
        Err(Errno::ENOENT) => Ok(()),
        Err(Errno::ECONNREFUSED) => folder.remove(identity),
        // EAGAIN is a full queue, EPROTOTYPE a datagram socket: both are somebody's.
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => {
            let listener = getsockopt(&probe, sockopt::PeerCredentials).ok();
            let holder = listener.filter(|it| it.pid() > 0).and_then(|it| Holder::of(it.pid()));
            Err(ListenError::Answered { path, holder })
        }
        Err(error) => Err(folder.failed("find out whether the socket file is stale", error)),
    }
}
