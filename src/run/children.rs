//! Children of ostlerd's own: started through the launcher, and adopted from an earlier ostlerd.
//!
//! Every child of the daemon is started here, so that `Watched` knows it: the reaper takes any other dead
//! child for an orphan that fell to ostlerd, and reaps it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use nix::unistd::Pid;

use super::journal::{Journal, Stream};
use super::launch_spec::{ARGUMENT, Launch, LaunchSpec};
use super::mark::Mark;
use super::process::ProcessHandle;
use super::reaper::{Watched, wait_id};
use super::scope::{ScopeContents, ScopeSpec, Scopes};
use super::{launch_fds, memory_file};
use crate::config::AppName;
use crate::plan::Blueprint;

/// The children that are watched by somebody, and how new ones are started. Clones are the same set, and may
/// be held by any task.
#[derive(Clone, Debug)]
pub struct Children(Arc<ChildSet>);

#[derive(Debug)]
struct ChildSet {
    launcher: PathBuf,
    watched: Watched,
    scopes: OnceLock<Scopes>,
    journal: OnceLock<Journal>,
    runtime_directory: OnceLock<PathBuf>,
}

impl Default for Children {
    fn default() -> Self {
        Children::new()
    }
}

impl Children {
    /// Children that the running program itself launches; it must be `ostlerd`.
    pub fn new() -> Children {
        // The link stays good when a package upgrade has replaced the file.
        Children::launched_by(PathBuf::from("/proc/self/exe"))
    }

    /// Children that another `ostlerd` launches.
    pub fn launched_by(launcher: PathBuf) -> Children {
        let (watched, scopes, journal, runtime_directory) = Default::default();
        Children(Arc::new(ChildSet { launcher, watched, scopes, journal, runtime_directory }))
    }

    /// Starts a program in a session of its own with each of `fds` at the number beside it, and no others.
    ///
    /// An error means that no process was made. That the program itself could not be run is told on
    /// descriptor 5 and by an exit with 126 or 127.
    pub fn spawn(&self, spec: &LaunchSpec, fds: &[(BorrowedFd<'_>, i32)]) -> io::Result<ProcessHandle> {
        let (process, gate) = self.spawn_held(spec, fds)?;
        gate.open();
        Ok(process)
    }

    /// The same, but the program is not run before the gate is opened.
    pub fn spawn_held(
        &self,
        spec: &LaunchSpec,
        fds: &[(BorrowedFd<'_>, i32)],
    ) -> io::Result<(ProcessHandle, Gate)> {
        if fds.len() >= launch_fds::MOST {
            let words = format!("{} descriptors are too many: at most {}", fds.len(), launch_fds::MOST - 1);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let order = Launch { spec: spec.clone(), targets: fds.iter().map(|(_, target)| *target).collect() };
        let order = memory_file::sealed("ostler-launch", &serde_json::to_vec(&order)?)?;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        let mut sent = vec![order.as_fd()];
        sent.extend(fds.iter().map(|(fd, _)| *fd));
        launch_fds::send(ours.as_fd(), &sent)?;
        let child =
            Command::new(&self.0.launcher).arg(ARGUMENT).env_clear().stdin(Stdio::from(theirs)).spawn()?;
        // Unreaped, the number is still this child's when its pidfd is made; std never reaps on drop.
        let pid = child.id() as i32;
        self.0.watched.insert(pid);
        let process = ProcessHandle::of(pid, &self.0.watched).inspect_err(|_| {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = wait_id(libc::P_PID, pid as u32, libc::WEXITED);
            self.0.watched.remove(pid);
        })?;
        Ok((process, Gate(ours)))
    }

    /// Takes over a process that an earlier ostlerd started, if `is_it` still says so once it can no more be
    /// mistaken for another.
    pub(super) fn adopt(&self, pid: i32, is_it: impl Fn() -> bool) -> io::Result<Option<ProcessHandle>> {
        ProcessHandle::adopt(pid, &self.0.watched, is_it)
    }

    /// From now on, the processes of apps are started in scopes.
    pub fn use_scopes(&self, scopes: Scopes) {
        self.0.scopes.get_or_init(|| scopes);
    }

    /// Where the processes of apps are in scopes.
    pub fn scopes(&self) -> Option<&Scopes> {
        self.0.scopes.get()
    }

    /// The scope for a process of an app, where there are scopes: for [`LaunchSpec::scope`].
    pub fn place(&self, app: &AppName, contents: ScopeContents) -> Option<ScopeSpec> {
        Some(self.scopes()?.place(app, contents))
    }

    /// From now on, the processes of apps that are in no scope carry a mark, by which all that comes of them is found.
    pub fn use_marks(&self, runtime_directory: &Path) {
        self.0.runtime_directory.get_or_init(|| runtime_directory.to_owned());
    }

    /// The mark of an app's processes, where they are in no scope.
    pub(super) fn mark(&self, app: &AppName) -> Option<Mark> {
        let directory = self.0.runtime_directory.get().filter(|_| self.scopes().is_none())?;
        Some(Mark::of(directory, app))
    }

    /// What an app's environment has beside its own variables.
    pub(super) fn variables(&self, blueprint: &Blueprint) -> Vec<(String, String)> {
        let stream = self.stream(blueprint).map(|stream| stream.variable());
        let mark = self.mark(&blueprint.app).map(|mark| mark.variable());
        stream.into_iter().chain(mark).collect()
    }

    /// From now on, the processes of apps print into this journal.
    pub fn use_journal(&self, journal: Journal) {
        self.0.journal.get_or_init(|| journal);
    }

    /// The journal that the processes of apps print into.
    pub fn journal(&self) -> Option<&Journal> {
        self.0.journal.get()
    }

    /// What a process of an app prints to, where that is neither its own file nor ostlerd's standard error.
    pub(super) fn stream(&self, blueprint: &Blueprint) -> Option<Arc<Stream>> {
        self.journal()?.stream(blueprint)
    }

    /// How many children are watched.
    pub fn count(&self) -> usize {
        self.0.watched.count()
    }

    /// Whether somebody watches this child.
    pub(super) fn is_watched(&self, pid: i32) -> bool {
        self.0.watched.contains(pid)
    }

    /// Makes this process the parent of its descendants' orphans. From now on every child that was not started here is
    /// reaped at the next [`sweep`](Children::sweep).
    pub fn take_orphans(&self) -> io::Result<()> {
        self.0.watched.take_orphans()
    }

    /// Reaps the dead that nobody watches; to be called at every SIGCHLD. Returns how many there were.
    pub fn sweep(&self) -> usize {
        self.0.watched.sweep()
    }
}

/// Holds a process back just before its program. Dropped unopened, also by the end of ostlerd, it ends the process.
#[derive(Debug)]
pub struct Gate(OwnedFd);

impl Gate {
    /// The gate of a process that waits for a byte on the other end of this socket.
    pub(super) fn on(socket: OwnedFd) -> Gate {
        Gate(socket)
    }

    /// Lets the program run. A process that is gone already is no error: whoever watches it hears of that.
    pub fn open(self) {
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let _ = send(self.0.as_raw_fd(), b"g", flags);
    }
}
