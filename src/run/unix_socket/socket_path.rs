//! Where a socket file is wanted, and whose rights lead there.
//!
//! Where ostlerd is root, an app's user does it himself, with his own rights. Where these do not suffice and the address stands
//! in the app's file, root does it for him, if nobody but root can lead the path elsewhere: `/run/ostler` is root's. What the
//! app's own code asks for is done with the user's rights, or not at all.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::folder::{Folder, errno};
use crate::config::{Listen, Origin};
use crate::plan::Account;
use crate::run::files;
use crate::run::listen_error::ListenError;
use crate::run::rights::{NotRoots, as_whom, roots_own};

/// A path, and whose rights lead there.
#[derive(Clone, Debug)]
pub(in crate::run) struct SocketPath {
    path: PathBuf,
    rights: Rights,
    /// Below it, missing folders are made.
    ours: PathBuf,
}

#[derive(Clone, Debug)]
enum Rights {
    /// ostlerd's own: it is not root, or what it makes is its own or root's.
    Own,
    /// The user's alone.
    Users(Account),
    /// His, else root's.
    UsersOrRoots(Account),
}

impl SocketPath {
    /// Of the socket `path` that `listen` asks for. `owner` is whom the app runs as; missing folders are made below `ours`.
    pub(in crate::run) fn new(
        path: &Path,
        listen: &Listen,
        owner: Option<&Account>,
        ours: &Path,
    ) -> SocketPath {
        let somebody_else = owner.filter(|it| nix::unistd::geteuid().is_root() && it.uid != 0);
        let rights = match (somebody_else, listen.origin) {
            (None, _) => Rights::Own,
            (Some(user), Origin::Code) => Rights::Users(user.clone()),
            (Some(user), Origin::File) => Rights::UsersOrRoots(user.clone()),
        };
        SocketPath { path: path.to_owned(), rights, ours: ours.to_owned() }
    }

    pub(in crate::run) fn path(&self) -> &Path {
        &self.path
    }

    /// Does something in the folder, with the rights that lead there.
    pub(super) fn with<T: Send>(
        &self,
        what: impl Fn(&Arc<Folder>) -> Result<T, ListenError> + Sync,
    ) -> Result<T, ListenError> {
        let (Rights::Users(user) | Rights::UsersOrRoots(user)) = &self.rights else {
            return what(&self.opened(None)?);
        };
        let tried = as_whom(Some(user), || self.opened(Some(user)).and_then(|folder| what(&folder)));
        match tried.map_err(|error| ListenError::at_socket(&self.path, "become its user", errno(&error)))? {
            Err(ListenError::Failed { error: Errno::EACCES | Errno::EPERM, .. }) => {}
            Err(ListenError::NoDirectory { .. }) if self.is_ours() => {}
            done => return done,
        }
        what(&self.opened_by_root(user)?)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn is_ours(&self) -> bool {
        let folder = self.folder();
        let is_plain = !folder.components().any(|part| part == Component::ParentDir);
        is_plain && folder.starts_with(&self.ours)
    }

    fn opened(&self, whom: Option<&Account>) -> Result<Arc<Folder>, ListenError> {
        let opened = match self.open() {
            Err(Errno::ENOENT) if whom.is_none() && self.is_ours() => self.make().and_then(|()| self.open()),
            opened => opened,
        };
        let fd = opened.map_err(|error| self.unopened(error))?;
        Ok(Arc::new(Folder::new(fd, &self.path, whom)))
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        files::at(self.folder());
        open(self.folder(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
    }

    fn make(&self) -> Result<(), Errno> {
        use std::os::unix::fs::DirBuilderExt;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(self.folder());
        made.map_err(|error| errno(&error))
    }

    fn opened_by_root(&self, user: &Account) -> Result<Arc<Folder>, ListenError> {
        let (path, user) = (self.path.clone(), user.name.clone());
        if let Rights::Users(_) = self.rights {
            return Err(ListenError::OfCode { folder: self.folder().to_owned(), path, user });
        }
        match roots_own(self.folder(), self.is_ours()) {
            Ok(fd) => Ok(Arc::new(Folder::new(fd, &path, None))),
            Err(NotRoots::Changeable { part, by }) => {
                Err(ListenError::NotRoots { path, user, part, by, ours: self.ours.clone() })
            }
            Err(NotRoots::Failed(error)) => Err(self.unopened(error)),
        }
    }

    fn unopened(&self, error: Errno) -> ListenError {
        let (path, parent, ours) = (self.path.clone(), self.folder().to_owned(), self.ours.clone());
        match error {
            Errno::ENOENT | Errno::ENOTDIR => ListenError::NoDirectory { path, parent, ours },
            error => ListenError::at_socket(&path, "open its directory", error),
        }
    }
}
