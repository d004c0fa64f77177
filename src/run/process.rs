//! Processes of ostlerd's own: started through the launcher, watched and signalled through a pidfd.
//!
//! Every child of the daemon is started here, so that [`Children`] knows it: the reaper takes any other dead
//! child for an orphan that fell to ostlerd, and reaps it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::journal::{Journal, Stream};
use super::launch::{self, Launch, LaunchSpec};
use super::mark::Mark;
use super::scope::{ScopeContents, ScopeSpec, Scopes};
use super::{launch_fds, memory_file};
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::supervise::{Exit, StopSignal};

/// The children that are watched by somebody, and how new ones are started. Clones are the same set, and may
/// be held by any task.
#[derive(Clone, Debug)]
pub struct Children(Arc<ChildSet>);

#[derive(Debug)]
struct ChildSet {
    launcher: PathBuf,
    watched: Mutex<BTreeSet<i32>>,
    takes_orphans: OnceLock<()>,
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
        let (watched, takes_orphans, scopes, journal, runtime_directory) = Default::default();
        Children(Arc::new(ChildSet { launcher, watched, takes_orphans, scopes, journal, runtime_directory }))
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
        let child = Command::new(&self.0.launcher)
            .arg(launch::ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .spawn()?;
        // Unreaped, the number is still this child's when its pidfd is made; std never reaps on drop.
        let pid = child.id() as i32;
        self.watched().insert(pid);
        let process = ProcessHandle::of(pid, self.clone()).inspect_err(|_| {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = wait_id(libc::P_PID, pid as u32, libc::WEXITED);
            self.watched().remove(&pid);
        })?;
        Ok((process, Gate(ours)))
    }

    /// Takes over a process that an earlier ostlerd started, if `is_it` still says so once it can no more be
    /// mistaken for another.
    pub(super) fn adopt(&self, pid: i32, is_it: impl Fn() -> bool) -> io::Result<Option<ProcessHandle>> {
        let process = match ProcessHandle::of(pid, self.clone()) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            process => process?,
        };
        if !is_it() {
            return Ok(None);
        }
        self.watched().insert(pid);
        Ok(Some(process))
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
    pub fn place(&self, app: &AppName, inhabitants: ScopeContents) -> Option<ScopeSpec> {
        Some(self.scopes()?.place(app, inhabitants))
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
        self.watched().len()
    }

    /// From now on, dead children that nobody watches are reaped.
    pub(super) fn take_orphans(&self) {
        self.0.takes_orphans.get_or_init(|| ());
    }

    pub(super) fn takes_orphans(&self) -> bool {
        self.0.takes_orphans.get().is_some()
    }

    pub(super) fn is_watched(&self, pid: i32) -> bool {
        self.watched().contains(&pid)
    }

    fn watched(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.watched.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        let _ = nix::sys::socket::send(self.0.as_raw_fd(), b"g", nix::sys::socket::MsgFlags::MSG_NOSIGNAL);
    }
}

/// A child, or a process that an earlier ostlerd started. Dropped before it has ended, it goes on, and is reaped as an orphan later.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: i32,
    pidfd: AsyncFd<OwnedFd>,
    exit: OnceLock<Exit>,
    children: Children,
}

impl ProcessHandle {
    fn of(pid: i32, children: Children) -> io::Result<ProcessHandle> {
        let number = rustix::process::Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
        let pidfd = pidfd_open(number, PidfdFlags::empty())?;
        // SAFETY: the descriptor is owned by what is registered, and so stays open and the same.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
        Ok(ProcessHandle { pid, pidfd, exit: OnceLock::new(), children })
    }

    /// The process's number, to be shown and looked up; never to be signalled by.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for the end of the process without reaping it: its number and its group stay its own.
    pub async fn ended(&self) {
        if self.exit.get().is_none() {
            // An error is the end of the runtime; `wait` then finds what there is to find.
            let _ = self.pidfd.readable().await.map(|mut guard| guard.retain_ready());
        }
    }

    /// Waits for the end of the process, reaps it, and says how it ended; again and again the same.
    pub async fn wait(&self) -> Exit {
        self.ended().await;
        *self.exit.get_or_init(|| self.reap())
    }

    /// Once: afterwards the number may be another child's.
    fn reap(&self) -> Exit {
        let fd = self.pidfd.as_raw_fd() as u32;
        let exit = match wait_id(libc::P_PIDFD, fd, libc::WEXITED | libc::WNOHANG) {
            Ok(Some((_, exit))) => exit,
            Ok(None) | Err(_) => Exit::Unknown,
        };
        self.children.watched().remove(&self.pid);
        super::reaper::sweep(&self.children);
        exit
    }

    /// Sends a signal. One to a process that has ended already does nothing, and is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let named = rustix::process::Signal::from_named_raw(signal as i32).ok_or(Errno::EINVAL)?;
        self.send(named)
    }

    /// Sends one of the signals by which processes are ended.
    pub fn stop(&self, signal: StopSignal) -> io::Result<()> {
        match signal {
            StopSignal::Kill => self.kill_group(),
            StopSignal::Stacks => self.signal_real_time(libc::SIGRTMIN() + 5),
            other => named(other).map_or(Ok(()), |signal| self.signal(signal)),
        }
    }

    /// Sends a signal that has a number alone.
    pub(super) fn signal_real_time(&self, number: i32) -> io::Result<()> {
        // SAFETY: the callers' numbers, from SIGRTMIN on, are none that the C library keeps to itself.
        self.send(unsafe { rustix::process::Signal::from_raw_unchecked(number) })
    }

    /// Kills the process and all of its group, unless it has been reaped: then its number may be another's.
    pub fn kill_group(&self) -> io::Result<()> {
        if self.exit.get().is_some() {
            return Ok(());
        }
        // Before the process itself, whose number may be another's as soon as somebody else has reaped it.
        if !self.kill_group_by_pidfd()? && self.is_unreaped() {
            match killpg(Pid::from_raw(self.pid), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // By the pidfd too: a launcher that has not begun its session yet is in our own group.
        self.send(rustix::process::Signal::KILL)
    }

    /// Whether its number is still its own. Asked by a signal that does nothing to what is about to be killed.
    fn is_unreaped(&self) -> bool {
        pidfd_send_signal(self.pidfd.get_ref(), rustix::process::Signal::CONT).is_ok()
    }

    /// Kills the group by the pidfd, where the kernel can (Linux 6.9).
    fn kill_group_by_pidfd(&self) -> io::Result<bool> {
        const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;
        let (fd, nothing) = (self.pidfd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open, and without a siginfo the kernel reads no memory of ours.
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, nothing, PIDFD_SIGNAL_PROCESS_GROUP)
        };
        match Errno::result(sent) {
            Ok(_) | Err(Errno::ESRCH) => Ok(true),
            Err(Errno::EINVAL) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Another process, if `is_it` says so once it can no more be mistaken for a third.
    pub(super) fn adopt_beside(
        &self,
        pid: i32,
        is_it: impl Fn() -> bool,
    ) -> io::Result<Option<ProcessHandle>> {
        self.children.adopt(pid, is_it)
    }

    /// A copy of one of the process's descriptors.
    pub(super) fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        // SAFETY: the pidfd is open; the kernel answers with a new descriptor, or an error.
        let fd = Errno::result(unsafe {
            libc::syscall(libc::SYS_pidfd_getfd, self.pidfd.as_raw_fd(), number, 0)
        })?;
        // SAFETY: it has just been made for us, and is close-on-exec.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }

    /// Sends a signal to all of its group, unless it has been reaped: then its number may be another's.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        if self.exit.get().is_some() {
            return Ok(());
        }
        match killpg(Pid::from_raw(self.pid), signal) {
            Ok(()) => Ok(()),
            // A launcher that has not begun its session yet.
            Err(Errno::ESRCH) => self.signal(signal),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&self, signal: rustix::process::Signal) -> io::Result<()> {
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for ProcessHandle {
    fn drop(&mut self) {
        if self.exit.get().is_none() {
            self.children.watched().remove(&self.pid);
        }
    }
}

/// The signal of this name, if there is one: what is done in a database is none for a process.
pub(super) fn named(signal: StopSignal) -> Option<Signal> {
    match signal {
        StopSignal::Interrupt => Some(Signal::SIGINT),
        StopSignal::Terminate => Some(Signal::SIGTERM),
        StopSignal::Quit => Some(Signal::SIGQUIT),
        StopSignal::Abort => Some(Signal::SIGABRT),
        StopSignal::Kill => Some(Signal::SIGKILL),
        StopSignal::Cancel | StopSignal::Stacks | StopSignal::EndBackends => None,
    }
}

/// `waitid`, with the statuses that nix does not take: an end by a real-time signal. `None` where nothing has
/// ended and `WNOHANG` was given.
pub(super) fn wait_id(
    kind: libc::idtype_t,
    id: u32,
    flags: libc::c_int,
) -> Result<Option<(i32, Exit)>, Errno> {
    loop {
        // SAFETY: siginfo_t is plain data for which all zeros are a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is ours and large enough; the call keeps no pointer.
        match Errno::result(unsafe { libc::waitid(kind, id, &mut info, flags) }) {
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        // SAFETY: a successful waitid has filled in the fields of SIGCHLD, or left them zero.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        return Ok((pid != 0).then_some(match info.si_code {
            libc::CLD_EXITED => (pid, Exit::Code(status)),
            libc::CLD_KILLED | libc::CLD_DUMPED => (pid, Exit::Signal(status)),
            _ => (pid, Exit::Unknown),
        }));
    }
}
