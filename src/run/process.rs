//! A process of ostlerd's own: watched and signalled through a pidfd.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::reaper::{Watched, wait_id};
use crate::supervise::{Exit, StopSignal};

/// A child, or a process that an earlier ostlerd started. Dropped before it has ended, it goes on, and is reaped as an orphan later.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: i32,
    pidfd: AsyncFd<OwnedFd>,
    exit: OnceLock<Exit>,
    watched: Watched,
}

impl ProcessHandle {
    /// A child that is not reaped yet, so that its number is its own.
    pub(super) fn of(pid: i32, watched: &Watched) -> io::Result<ProcessHandle> {
        let number = rustix::process::Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
        let pidfd = pidfd_open(number, PidfdFlags::empty())?;
        // SAFETY: the descriptor is owned by what is registered, and so stays open and the same.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
        Ok(ProcessHandle { pid, pidfd, exit: OnceLock::new(), watched: watched.clone() })
    }

    /// A process that an earlier ostlerd started, if `is_it` still says so once it can no more be mistaken for another.
    pub(super) fn adopt(
        pid: i32,
        watched: &Watched,
        is_it: impl Fn() -> bool,
    ) -> io::Result<Option<ProcessHandle>> {
        let process = match ProcessHandle::of(pid, watched) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            process => process?,
        };
        if !is_it() {
            return Ok(None);
        }
        watched.insert(pid);
        Ok(Some(process))
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
        self.watched.remove(self.pid);
        self.watched.sweep();
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
        ProcessHandle::adopt(pid, &self.watched, is_it)
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
            self.watched.remove(self.pid);
        }
    }
}

/// The signal of this name, if there is one: what is done in a database or on a control socket is none for a process.
pub(super) fn named(signal: StopSignal) -> Option<Signal> {
    match signal {
        StopSignal::Interrupt => Some(Signal::SIGINT),
        StopSignal::Terminate => Some(Signal::SIGTERM),
        StopSignal::Quit => Some(Signal::SIGQUIT),
        StopSignal::Abort => Some(Signal::SIGABRT),
        StopSignal::Kill => Some(Signal::SIGKILL),
        StopSignal::EndInput | StopSignal::Cancel | StopSignal::Stacks | StopSignal::EndBackends => None,
    }
}
