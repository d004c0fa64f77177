//! Zygotes: processes that have loaded an app, or its settings, and how workers come of them.
//!
//! ```text
//! ostlerd ── orders, control socket, scoreboard, listeners ──► zygote ── fork ──► fork ──► the worker
//!    ▲                                                                             │ exits    │
//!    └──────────────── "forked", with a pid that the kernel vouches for ──────────────────────┘
//! ```
//!
//! What a zygote runs is the app's, and so is what it says. A pid is believed of the kernel alone, and watched only once
//! its process, which by then cannot be mistaken for another any more, is seen to hold the very socket that it was made
//! with. Until that is written down the worker does nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::unistd::geteuid;
use tokio::net::UnixStream;

use super::boot_report::BootReport;
use super::children::{Children, Gate};
use super::credentials;
use super::launch_fds;
use super::launch_spec::LaunchSpec;
use super::listeners;
use super::listeners::bound::Bound;
use super::messages::{Messages, last_words};
use super::proc::{cgroup_of, users_of};
use super::process::ProcessHandle;
use super::scope::ScopeContents;
use super::scoreboard::{Scoreboard, Slot};
use super::wire::{self, OUR_END, Wire};
use super::worker_process::{self, Admission, SCOREBOARD, StartedWorker};
use crate::plan::{Account, Blueprint, Preload};
use crate::supervise::{GenerationId, ProcessId};
use crate::worker::{HookOrder, Message, Orders, ShimMode, bundle};

/// No greeting is longer.
const GREETING_MOST: usize = 16 * 1024;

/// A worker that is being forked.
#[derive(Debug)]
pub(super) struct ForkingWorker {
    control: UnixStream,
    report: BootReport,
    /// The other end, as the kernel numbers it.
    other_end: u64,
}

/// A worker that says that it is there.
#[derive(Debug)]
pub struct ForkedWorker {
    control: UnixStream,
    report: BootReport,
    other_end: u64,
    pid: i32,
}

/// Starts a zygote of `blueprint`, and says where it is commanded; `before` is run by it before it can fork. The error is
/// words for `SpawnFailed`.
pub(super) fn start(
    children: &Children,
    (zygote, generation): (ProcessId, GenerationId),
    blueprint: &Blueprint,
    before: Option<HookOrder>,
    (scoreboard, slot): (&Scoreboard, &Slot),
) -> Result<(StartedWorker, OwnedFd), String> {
    let mut orders = worker_process::orders((zygote, generation), blueprint, Admission::default(), &[], slot);
    // Its workers answer the probe, each for itself.
    let mode = if blueprint.preload == Preload::App { ShimMode::Zygote } else { ShimMode::Settings };
    (orders.mode, orders.probe, orders.begin) = (mode, None, before);
    orders.addresses = listeners::orders_of(blueprint);
    let title = format!("ostler: {} [zygote {generation}]", blueprint.app);
    let scope = children.place(&blueprint.app, ScopeContents::Generation(generation));
    let cgroup = scope.as_ref().map(|place| place.cgroup());
    let mut spec = LaunchSpec { scope, ..worker_process::launch_spec(blueprint, title) };
    let stream = children.stream(blueprint);
    spec.env.extend(children.variables(blueprint));
    let mut fds = vec![(scoreboard.fd(), SCOREBOARD)];
    fds.extend(stream.iter().flat_map(|stream| stream.outputs()));
    let told = (&bundle()[..], &orders.to_json()[..]);
    let started = worker_process::start_held(children, &spec, told, &fds, Some(OUR_END));
    let failed =
        |error: io::Error| format!("cannot make a process for the zygote of {}: {error}", blueprint.app);
    let ((process, gate), wire) = started.map_err(failed)?;
    let commands = wire.control.as_fd().try_clone_to_owned().map_err(failed)?;
    Ok((worker_process::started(zygote, blueprint, (process, wire), gate, cgroup), commands))
}

/// Tells a zygote to fork a worker. Nobody waits: what comes of it is heard on the worker's own control socket.
pub(super) fn fork(
    commands: BorrowedFd<'_>,
    orders: &Orders,
    scoreboard: &Scoreboard,
    sockets: &[&Bound],
) -> io::Result<ForkingWorker> {
    let sockets: Vec<_> = sockets.iter().map(|bound| bound.fd.as_fd()).collect();
    fork_with(commands, orders, scoreboard.fd(), &sockets)
}

/// Tells a zygote to fork what goes on under the next ostlerd: it gets our end of its control socket as well.
pub(super) fn fork_hook_host(
    commands: BorrowedFd<'_>,
    orders: &Orders,
    scoreboard: &Scoreboard,
) -> io::Result<ForkingWorker> {
    fork_from(commands, orders, (scoreboard.fd(), &[]), true)
}

/// The same with any descriptor as the third, and others behind it.
pub(super) fn fork_with(
    commands: BorrowedFd<'_>,
    orders: &Orders,
    third: BorrowedFd<'_>,
    others: &[BorrowedFd<'_>],
) -> io::Result<ForkingWorker> {
    fork_from(commands, orders, (third, others), false)
}

fn fork_from(
    commands: BorrowedFd<'_>,
    orders: &Orders,
    (third, others): (BorrowedFd<'_>, &[BorrowedFd<'_>]),
    keeps_ours: bool,
) -> io::Result<ForkingWorker> {
    let report = BootReport::with(&orders.to_json())?;
    let (control, theirs) = wire::sockets()?;
    let other_end = wire::number_of(theirs.as_fd())?;
    let mut fds = vec![report.as_fd(), theirs.as_fd(), third];
    fds.extend(others);
    fds.extend(keeps_ours.then(|| control.as_fd()));
    launch_fds::send(commands, &fds)?;
    Ok(ForkingWorker { control, report, other_end })
}

impl ForkingWorker {
    /// Waits until the worker is there. The error is words for `SpawnFailed`.
    pub(super) async fn forked(self) -> Result<ForkedWorker, String> {
        let ForkingWorker { control, report, other_end } = self;
        loop {
            let readable = control.readable().await;
            readable.map_err(|error| format!("its control socket cannot be read: {error}"))?;
            match control.try_io(tokio::io::Interest::READABLE, || greeting(control.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("its control socket cannot be read: {error}")),
                Ok(Greeting::End) => return Err("its zygote has ended, or has made nothing of it".to_owned()),
                Ok(Greeting::Failed(words)) => return Err(words),
                Ok(Greeting::Forked(pid)) => return Ok(ForkedWorker { control, report, other_end, pid }),
                Ok(Greeting::Strange) => return Err("what has been forked does not say so".to_owned()),
            }
        }
    }
}

/// The first that is heard of a worker.
enum Greeting {
    Forked(i32),
    Failed(String),
    Strange,
    End,
}

fn greeting(control: BorrowedFd<'_>) -> io::Result<Greeting> {
    let (bytes, pid) = credentials::receive(control, GREETING_MOST)?;
    if bytes.is_empty() {
        return Ok(Greeting::End);
    }
    let received = Messages::default().push(&bytes);
    Ok(match (received.into_iter().next(), pid) {
        (Some(Message::Forked), Some(pid)) if pid > 0 => Greeting::Forked(pid),
        (Some(Message::Failed(failed)), _) => Greeting::Failed(last_words(&failed).message),
        _ => Greeting::Strange,
    })
}

impl ForkedWorker {
    /// The process, if it is what it has to be: `cgroup` is its zygote's. Until the gate is opened it does nothing. The
    /// error is words.
    pub(super) fn process(
        self,
        children: &Children,
        blueprint: &Blueprint,
        cgroup: Option<&str>,
    ) -> Result<((ProcessHandle, Gate), Wire), String> {
        self.process_of(children, (&blueprint.python, blueprint.account.as_ref()), cgroup)
    }

    /// The same for an interpreter that runs as `account`.
    pub(super) fn process_of(
        self,
        children: &Children,
        (python, account): (&Path, Option<&Account>),
        cgroup: Option<&str>,
    ) -> Result<((ProcessHandle, Gate), Wire), String> {
        let ForkedWorker { control, report, other_end, pid } = self;
        let uid = account.map_or(geteuid().as_raw(), |account| account.uid);
        let is_it = || {
            wire::holds(pid, other_end)
                && uid_of(pid) == Some(uid)
                && cgroup.is_none_or(|wanted| cgroup_of(pid).is_some_and(|it| it.starts_with(wanted)))
        };
        let failed = |error: io::Error| format!("process {pid} cannot be watched: {error}");
        let process = children.adopt(pid, is_it).map_err(failed)?;
        let process =
            process.ok_or_else(|| format!("process {pid} has ended, or is none of its zygote's"))?;
        let gate = Gate::on(control.as_fd().try_clone_to_owned().map_err(failed)?);
        let wire = Wire::new(control, other_end, report, python.to_owned());
        Ok(((process, gate), wire))
    }
}

/// Whom a process runs as.
fn uid_of(pid: i32) -> Option<u32> {
    users_of(pid)?.first().copied()
}
