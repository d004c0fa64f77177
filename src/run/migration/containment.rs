//! All the processes of one command, its children's children and those that slipped away among them.
//!
//! Without systemd nothing holds them together but these marks: the process group, the session, the parents, and a
//! variable in the environment that children inherit. A process that takes off all of them at once, before anybody has
//! looked, gets away; with a scope of systemd's none can.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};

use super::scan::{self, ScannedProcess};
use crate::run::process::ProcessHandle;
use crate::run::scope;

/// More than these are killed without being named.
const MOST_NAMED: usize = 20;

/// What holds the processes of a command together.
#[derive(Debug)]
pub enum Containment {
    /// The first process's group, and whoever else is found by the marks.
    Group(ProcessGroup),
    /// A scope of systemd's, which the first process enters before its program runs.
    Scope(Scoped),
}

/// See [`Containment::Scope`].
#[derive(Debug)]
pub struct Scoped {
    first: Arc<ProcessHandle>,
    scope: scope::ControlGroup,
}

/// See [`Containment::Group`].
#[derive(Debug)]
pub struct ProcessGroup {
    first: Arc<ProcessHandle>,
    user: u32,
    mark: String,
    /// Found before, by number and start: they stay members when their parents die.
    known: BTreeMap<i32, u64>,
    /// Of the processor, by those who are there and the children that they have seen end.
    used: Duration,
}

impl Containment {
    /// What `first` begins as `user`; `mark` is `NAME=value` in its environment. `first` is not reaped as long as this is used.
    pub fn group(first: Arc<ProcessHandle>, user: u32, mark: String) -> Containment {
        Containment::Group(ProcessGroup { first, user, mark, known: BTreeMap::new(), used: Duration::ZERO })
    }

    /// Everything in the scope that `first` was started for. `first` is not reaped as long as this is used.
    pub fn scope(first: Arc<ProcessHandle>, scope: scope::ControlGroup) -> Containment {
        Containment::Scope(Scoped { first, scope })
    }

    /// Sends a signal to the process group.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let (Containment::Group(ProcessGroup { first, .. }) | Containment::Scope(Scoped { first, .. })) =
            self;
        first.signal_group(signal)
    }

    /// Finds out who is a member now, and remembers it; how much of the processor all of them have used.
    pub async fn look(&mut self) -> Duration {
        match self {
            Containment::Group(group) => {
                drop(group.members().await);
                group.used
            }
            Containment::Scope(scoped) => scoped.scope.used(),
        }
    }

    /// Whether nobody is left; a first process that has ended and is not yet reaped does not count.
    pub async fn is_empty(&mut self) -> bool {
        match self {
            Containment::Group(group) => group.members().await.is_empty(),
            Containment::Scope(scoped) => scoped.scope.is_empty(),
        }
    }

    /// Waits until nobody is left, and no longer than this; whether nobody is.
    pub async fn wait_empty(&mut self, deadline: Instant) -> bool {
        let group = match self {
            Containment::Group(group) => group,
            Containment::Scope(scoped) => return scoped.scope.wait_empty(deadline).await,
        };
        loop {
            let members = group.members().await;
            if members.is_empty() {
                return true;
            }
            if timeout_at(deadline, all_ended(members)).await.is_err() {
                return false;
            }
        }
    }

    /// Kills all of them, and those that they start meanwhile, until nobody is left; who was there, in words.
    pub async fn kill_all(&mut self) -> Vec<String> {
        let group = match self {
            Containment::Group(group) => group,
            Containment::Scope(scoped) => return scoped.kill_all().await,
        };
        let mut killed = Vec::new();
        loop {
            // Before the first blow: a parent that is dead no longer leads to its children.
            let members = group.members().await;
            // A failure shows in the next scan.
            let _ = group.first.signal_group(Signal::SIGKILL);
            if members.is_empty() {
                return killed;
            }
            for member in &members {
                let _ = pidfd_send_signal(&member.pidfd, rustix::process::Signal::KILL);
                if killed.len() < MOST_NAMED {
                    killed.push(member.words.clone());
                }
            }
            all_ended(members).await;
        }
    }
}

impl Scoped {
    async fn kill_all(&self) -> Vec<String> {
        let killed = self.scope.members().into_iter().take(MOST_NAMED).filter_map(scan::words).collect();
        // Its launcher may not be in the scope yet.
        let _ = self.first.signal(Signal::SIGKILL);
        loop {
            match self.scope.kill_all(Instant::now() + Duration::from_secs(10)).await {
                Ok(true) => return killed,
                Ok(false) => tracing::warn!("{}: what is in it does not end", self.scope.name()),
                Err(error) => {
                    tracing::error!("{}: cannot be killed: {error}", self.scope.name());
                    return killed;
                }
            }
        }
    }
}

impl ProcessGroup {
    async fn members(&mut self) -> Vec<Member> {
        let (first, user, mark) = (self.first.pid(), self.user, self.mark.clone());
        let known = std::mem::take(&mut self.known);
        let found = tokio::task::spawn_blocking(move || scan::take(first, (user, &mark), &known)).await;
        let found = found.expect("looking at /proc does not panic");
        self.known = found.iter().map(|found| (found.pid, found.start)).collect();
        self.used = found.iter().map(|found| found.used).sum();
        found.into_iter().filter_map(Member::of).collect()
    }
}

/// A process that is held: its number cannot become another's.
#[derive(Debug)]
pub(in crate::run) struct Member {
    pub(in crate::run) pidfd: OwnedFd,
    pub(in crate::run) words: String,
}

impl Member {
    pub(in crate::run) fn of(found: ScannedProcess) -> Option<Member> {
        let pidfd = pidfd_open(rustix::process::Pid::from_raw(found.pid)?, PidfdFlags::empty()).ok()?;
        // Only now it is sure whom the descriptor holds.
        scan::is_still(&found).then(|| Member { pidfd, words: found.words })
    }
}

pub(in crate::run) async fn all_ended(members: Vec<Member>) {
    for member in members {
        // SAFETY: the descriptor is owned by what is registered, and so stays open and the same.
        let registered = unsafe { AsyncFd::register_with_interest(member.pidfd, Interest::READABLE) };
        match registered {
            Ok(pidfd) => drop(pidfd.readable().await),
            // Without a descriptor to spare there is nothing to wait on but time.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
