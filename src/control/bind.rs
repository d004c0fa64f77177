//! The control socket's file: one ostlerd per runtime directory, whatever an earlier one left behind.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt};

/// The control socket, bound. Dropped, it removes its file and lets go of the runtime directory.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    // Held for life: two ostlerds that start at once must not both find the other's socket stale.
    _lock: Flock<File>,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Before the lock is let go, so that it is never a successor's file that is removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another ostlerd lives in this runtime directory.
    #[error("another ostlerd ({}) holds {path}: stop it, or give this one another --runtime-dir", pid_words(*.pid))]
    Held {
        /// The socket.
        path: PathBuf,
        /// The process that listens, where the kernel says so.
        pid: Option<i32>,
    },
    /// Something that is no socket is in the way.
    #[error("{path} is in the way: it is not a socket; move it away")]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error("failed to {what} {path}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Of which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn pid_words(pid: Option<i32>) -> String {
    pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"))
}

/// Binds the control socket at `path`, makes its directory (0755) where it is missing, and locks
/// `ostlerd.lock` beside it. A socket that nobody listens on is replaced.
///
/// # Errors
///
/// [`BindError::Held`] where another ostlerd lives there; the others name the file that is in the way.
pub fn bind(path: &Path) -> Result<ControlSocket, BindError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    make_directory(directory)?;
    let lock = lock(&directory.join("ostlerd.lock"), path)?;
    clear_the_way(path)?;
    let listener = UnixListener::bind(path).map_err(failed_to("bind", path))?;
    listener.set_nonblocking(true).map_err(failed_to("set up", path))?;
    // Open to all, because an app's own user need not be in any group of ours: who may do what is decided by the
    // credentials that the kernel gives for each connection, not by the file's mode.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed_to("chmod", path))?;
    Ok(ControlSocket { listener, path: path.to_owned(), _lock: lock })
}

/// The control socket at `path` as this very process held it before it was re-executed: nobody who connects meanwhile is
/// refused.
///
/// # Errors
///
/// The descriptors are not what they should be.
pub fn take_over(path: &Path, listener: OwnedFd, lock: OwnedFd) -> Result<ControlSocket, BindError> {
    let listener = UnixListener::from(listener);
    listener.set_nonblocking(true).map_err(failed_to("set up", path))?;
    // It is locked already, by this very descriptor; saying so again changes nothing.
    let lock = Flock::lock(File::from(lock), FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| failed_to("lock the directory of", path)(errno.into()))?;
    Ok(ControlSocket { listener, path: path.to_owned(), _lock: lock })
}

/// Whether an ostlerd lives in the runtime directory of this control socket.
pub fn is_held(path: &Path) -> bool {
    let directory = path.parent().unwrap_or(Path::new("."));
    matches!(lock(&directory.join("ostlerd.lock"), path), Err(BindError::Held { .. }))
}

fn failed_to(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    move |source| BindError::System { what, path, source }
}

fn make_directory(directory: &Path) -> Result<(), BindError> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(failed_to("make the directory", directory))
}

fn lock(lock_path: &Path, socket_path: &Path) -> Result<Flock<File>, BindError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(lock_path)
        .map_err(failed_to("open", lock_path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => {
            let pid = match listening(socket_path) {
                Ok(Listening::Yes { pid }) => pid,
                _ => None,
            };
            BindError::Held { path: socket_path.to_owned(), pid }
        }
        errno => failed_to("lock", lock_path)(errno.into()),
    })
}

/// Removes a socket that an ostlerd which is no more left behind.
fn clear_the_way(path: &Path) -> Result<(), BindError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed_to("look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match listening(path).map_err(|errno| failed_to("connect to", path)(errno.into()))? {
        Listening::Yes { pid } => Err(BindError::Held { path: path.to_owned(), pid }),
        Listening::No => std::fs::remove_file(path).map_err(failed_to("remove the stale", path)),
    }
}

enum Listening {
    Yes { pid: Option<i32> },
    No,
}

/// Whether a process listens at `path`. Does not block, not even on one that hangs with a full queue.
fn listening(path: &Path) -> Result<Listening, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let probe: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) => {
            let pid = getsockopt(&probe, sockopt::PeerCredentials).ok().map(|peer| peer.pid());
            Ok(Listening::Yes { pid: pid.filter(|pid| *pid > 0) })
        }
        Err(Errno::EAGAIN) => Ok(Listening::Yes { pid: None }),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(Listening::No),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_runtime_directory_is_made_and_the_socket_is_open_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");
        let bound = bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o666);
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        bind(&path).unwrap();
    }

    #[test]
    fn a_second_ostlerd_is_refused_with_the_pid_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let first = bind(&path).unwrap();
        let refusal = bind(&path).unwrap_err().to_string();
        assert!(refusal.contains(&format!("another ostlerd (pid {})", std::process::id())), "{refusal}");
        drop(first);
        bind(&path).unwrap();
    }

    #[test]
    fn a_listener_without_the_lock_is_respected_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(BindError::Held { pid: Some(_), .. })));
        assert!(path.exists());
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(bind(&path).unwrap_err().to_string().contains("is not a socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_path_that_cannot_be_a_socket_is_an_error_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(120));
        assert!(bind(&path).unwrap_err().to_string().starts_with("failed to "));
    }
}
