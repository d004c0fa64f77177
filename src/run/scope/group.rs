//! A control group and everything in it: who is there, whether anybody is, and the end of all of them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout_at};

/// Where control groups of version 2 are, as systemd mounts them.
pub(in crate::run) const ROOT: &str = "/sys/fs/cgroup";

/// The kernel says at once when a group is empty; this is for what goes past it.
const AGAIN: Duration = Duration::from_millis(100);

/// The control group of a scope. One that is not there is empty: systemd takes it away with its last process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlGroup {
    path: PathBuf,
}

impl ControlGroup {
    /// The group at this path.
    pub fn new(path: PathBuf) -> ControlGroup {
        ControlGroup { path }
    }

    /// Its control group as `/proc/PID/cgroup` names it.
    pub(in crate::run) fn cgroup(&self) -> String {
        let below = self.path.strip_prefix(ROOT).unwrap_or(&self.path);
        Path::new("/").join(below).display().to_string()
    }

    /// The unit's name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether no process is in it, nor in one below.
    pub fn is_empty(&self) -> bool {
        match fs::read_to_string(self.path.join("cgroup.events")) {
            Ok(events) => !is_populated(&events),
            Err(error) => is_gone(&error),
        }
    }

    /// How much of the processor all that is, or was, in it has used.
    pub fn used(&self) -> Duration {
        let text = fs::read_to_string(self.path.join("cpu.stat")).unwrap_or_default();
        let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
        Duration::from_micros(micros.unwrap_or_default())
    }

    /// The numbers of the processes in it and below, zombies among them: to be shown.
    pub fn members(&self) -> Vec<i32> {
        let mut members = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let procs = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            members.extend(procs.lines().filter_map(|line| line.parse::<i32>().ok()));
            let items = fs::read_dir(folder).into_iter().flatten().flatten();
            folders.extend(items.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())).map(|it| it.path()));
        }
        members
    }

    /// Kills everything in it, also what is just being forked. Does not wait.
    pub fn kill(&self) -> io::Result<()> {
        match write(&self.path.join("cgroup.kill"), b"1") {
            Err(error) if is_gone(&error) && self.path.exists() => self.signal(Signal::KILL),
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a signal to each process in it, one by one. What forks meanwhile gets away, until the next time.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        for member in self.members() {
            let Some(pid) = Pid::from_raw(member) else { continue };
            let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // Only now it is sure whom the descriptor holds.
            if self.members().contains(&member) {
                pidfd_send_signal(&pidfd, signal).or_else(|error| match error {
                    rustix::io::Errno::SRCH => Ok(()),
                    error => Err(io::Error::from(error)),
                })?;
            }
        }
        Ok(())
    }

    /// Waits until nobody is in it, and no longer than this; whether nobody is.
    pub async fn wait_empty(&self, deadline: Instant) -> bool {
        timeout_at(deadline, self.emptied()).await.is_ok() || self.is_empty()
    }

    /// Kills everything in it until nothing is left, and no longer than this; whether nothing is.
    pub async fn kill_all(&self, deadline: Instant) -> io::Result<bool> {
        loop {
            self.kill()?;
            let next = Instant::now() + AGAIN * 10;
            if self.wait_empty(next.min(deadline)).await {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    async fn emptied(&self) {
        let Ok(events) = File::open(self.path.join("cgroup.events")) else {
            return self.looked_empty().await;
        };
        // SAFETY: the descriptor is owned by what is registered, and so stays open and the same.
        let registered = unsafe { AsyncFd::register_with_interest(events, Interest::PRIORITY) };
        let Ok(mut events) = registered else { return self.looked_empty().await };
        loop {
            // To have read it is what makes the kernel tell of the next change.
            if !still_populated(events.get_mut()) {
                return;
            }
            tokio::select! {
                changed = events.ready(Interest::PRIORITY) => match changed {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => return self.looked_empty().await,
                },
                () = sleep(AGAIN) => {}
            }
        }
    }

    async fn looked_empty(&self) {
        while !self.is_empty() {
            sleep(AGAIN).await;
        }
    }
}

fn still_populated(events: &mut File) -> bool {
    let mut text = String::new();
    let read = events.rewind().and_then(|()| events.read_to_string(&mut text));
    read.is_ok() && is_populated(&text)
}

fn is_populated(events: &str) -> bool {
    events.lines().any(|line| line == "populated 1")
}

/// The group is gone, or went while its file was open.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}

/// Moves the calling process into the group at `path`; false where there is none.
pub(super) fn join(path: &Path) -> io::Result<bool> {
    match write(&path.join("cgroup.procs"), b"0") {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// To a file that is there: these are the kernel's, and none can be made.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_that_is_not_there_is_empty_and_ended() {
        let group = ControlGroup::new(PathBuf::from("/sys/fs/cgroup/ostler.slice/no-such.scope"));
        assert!(group.is_empty());
        assert_eq!(group.members(), Vec::<i32>::new());
        group.kill().expect("there is nothing to kill");
        let deadline = Instant::now() + Duration::from_secs(5);
        assert!(group.wait_empty(deadline).await);
        assert!(group.kill_all(deadline).await.expect("there is nothing to kill"));
        assert!(!join(Path::new("/sys/fs/cgroup/ostler.slice/no-such.scope")).expect("it is not there"));
    }
}
