//! One worker from its start to its end: what it is given, and what is heard of it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, send};
use tokio::net::UnixStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::boot_report::{BootReport, ORDERS};
use super::children::{Children, Gate};
use super::launch_spec::{CONTROL, LaunchSpec};
use super::listeners::Listeners;
use super::listeners::bound::Bound;
use super::memory_file;
use super::messages::{last_words, shown};
use super::process::ProcessHandle;
use super::scope::ScopeContents;
use super::scoreboard::{Scoreboard, Slot, WatchedSlot};
use super::stand;
use super::wire::{self, Wire};
use crate::config::AppName;
use crate::plan::{Blueprint, Probe};
use crate::supervise::{
    Event, GenerationId, ProbeAnswer, ProcessFact, ProcessId, Proof, Stand, StopSignal, Tolerance,
};
use crate::worker::{
    BOOTSTRAP, ListenerOrder, Message, Orders, ProbeOrder, ProvedMessage, ToleranceOrder, bundle,
};

const SHIM: i32 = 3;
pub(super) const SCOREBOARD: i32 = 6;
pub(super) const FIRST_LISTENER: i32 = 7;

/// How often one that has closed its control socket is looked after: whether it has written down why it fails.
const LOOK: Duration = Duration::from_millis(250);

/// How long one that is ready is listened to for what it still has to tell.
const TABLES_TIME: Duration = Duration::from_secs(30);

/// The longest path of a probe that is kept, and the longest words about it, in bytes.
const PATH_MOST: usize = 500;
const WORDS_MOST: usize = 600;

/// A worker that was started: a handle to act on it, and what has to be polled to hear of it.
#[derive(Debug)]
pub struct StartedWorker {
    /// To admit it and to signal it.
    pub handle: WorkerHandle,
    /// To be run as a task: [`WorkerWatch::run`].
    pub watch: WorkerWatch,
    /// To be opened once it is written down that the worker is there.
    pub gate: Gate,
    /// The control group that it enters, as `/proc` names it.
    pub cgroup: Option<String>,
}

/// How a worker comes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission {
    /// Whether it waits for [`WorkerHandle::admit`].
    pub hold: bool,
    /// Whether it tells what the app's models use of the database.
    pub tables: bool,
    /// Which bad answers to its probe are only warned of.
    pub tolerate: Tolerance,
}

/// Acts on a worker.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    /// Its name.
    pub worker: ProcessId,
    process: Arc<ProcessHandle>,
    control: Weak<UnixStream>,
    report: Weak<BootReport>,
}

/// Hears of a worker. Holds the control socket until the worker is ready, and has told what it was asked for: dropped before,
/// a held worker exits.
#[derive(Debug)]
pub struct WorkerWatch {
    app: AppName,
    worker: ProcessId,
    process: Arc<ProcessHandle>,
    wire: Wire,
    /// Where what the app's models use of the database goes, if that was asked for.
    tables: Option<oneshot::Sender<String>>,
}

/// Starts a worker of `blueprint`. The listeners of the blueprint must be bound; `slot` stays taken until the
/// worker has exited. The error is words for [`ProcessFact::NotStarted`]; where the interpreter itself cannot be
/// run, that is told by [`ProcessFact::Failed`] like any other failure to boot.
pub fn start(
    children: &Children,
    (worker, generation): (ProcessId, GenerationId),
    blueprint: &Blueprint,
    admission: Admission,
    listeners: &Listeners,
    (scoreboard, slot): (&Scoreboard, &Slot),
) -> Result<StartedWorker, String> {
    let sockets = listeners.of(&blueprint.listen);
    let orders = orders((worker, generation), blueprint, admission, &sockets, slot);
    let title = format!("ostler: {} [{worker} {generation}]", blueprint.app);
    let scope = children.place(&blueprint.app, ScopeContents::Generation(generation));
    let cgroup = scope.as_ref().map(|place| place.cgroup());
    let mut spec = LaunchSpec { scope, ..launch_spec(blueprint, title) };
    let stream = children.stream(blueprint);
    spec.env.extend(children.variables(blueprint));
    let mut fds = vec![(scoreboard.fd(), SCOREBOARD)];
    fds.extend(sockets.iter().map(|bound| bound.fd.as_fd()).zip(FIRST_LISTENER..));
    fds.extend(stream.iter().flat_map(|stream| stream.outputs()));
    let ((process, gate), wire) = start_held(children, &spec, (&bundle(), &orders.to_json()), &fds, None)
        .map_err(|error| format!("cannot make a process for {worker} of {}: {error}", blueprint.app))?;
    Ok(started(worker, blueprint, (process, wire), gate, cgroup))
}

/// A worker whose process is there.
pub(super) fn started(
    worker: ProcessId,
    blueprint: &Blueprint,
    (process, wire): (ProcessHandle, Wire),
    gate: Gate,
    cgroup: Option<String>,
) -> StartedWorker {
    let (control, report) = (Arc::downgrade(&wire.control), Arc::downgrade(&wire.report));
    let process = Arc::new(process);
    StartedWorker {
        handle: WorkerHandle { worker, process: process.clone(), control, report },
        watch: WorkerWatch { app: blueprint.app.clone(), worker, process, wire, tables: None },
        gate,
        cgroup,
    }
}

/// What a worker is told, its listeners being at the numbers of the contract.
pub(super) fn orders(
    (worker, generation): (ProcessId, GenerationId),
    blueprint: &Blueprint,
    admission: Admission,
    sockets: &[&Bound],
    slot: &Slot,
) -> Orders {
    let mut orders = Orders::worker(blueprint.app.as_str(), worker.0, generation.0, slot.order());
    orders.entry = Some(blueprint.entry.clone());
    orders.args = blueprint.args.clone();
    orders.listeners = (FIRST_LISTENER..)
        .zip(sockets)
        .map(|(fd, bound)| ListenerOrder { fd, address: bound.name.order(), backlog: bound.listen.backlog })
        .collect();
    orders.hold = admission.hold;
    orders.tables = admission.tables;
    orders.probe = blueprint.probe.as_ref().map(|probe| probe_order(probe, admission.tolerate));
    orders.log_file = blueprint.log_file.as_ref().map(|file| file.display().to_string());
    orders
}

pub(super) fn probe_order(probe: &Probe, tolerate: Tolerance) -> ProbeOrder {
    ProbeOrder {
        path: probe.path.clone(),
        host: probe.host.clone(),
        scheme: probe.scheme.clone(),
        timeout_seconds: probe.timeout.as_secs_f64(),
        asked: probe.asked,
        tolerate: ToleranceOrder { errors: tolerate.errors, late: tolerate.late },
    }
}

/// The app's interpreter as its user, with the shim to run.
pub(super) fn launch_spec(blueprint: &Blueprint, title: String) -> LaunchSpec {
    LaunchSpec {
        program: blueprint.python.clone(),
        argv: vec![blueprint.python.display().to_string(), "-c".to_owned(), BOOTSTRAP.to_owned(), title],
        env: blueprint.env.clone(),
        directory: blueprint.code().to_owned(),
        umask: blueprint.umask,
        limits: blueprint.limits.clone(),
        account: blueprint.account.clone(),
        log_file: blueprint.log_file.clone(),
        no_new_privs: blueprint.no_new_privileges,
        image: blueprint.image.clone(),
        scope: None,
    }
}

/// Starts an interpreter with a bundle of modules, orders and control socket, and the other descriptors of the contract.
pub(super) fn start_interpreter(
    children: &Children,
    spec: &LaunchSpec,
    (bundle, orders): (&[u8], &[u8]),
    others: &[(BorrowedFd<'_>, i32)],
) -> io::Result<(ProcessHandle, Wire)> {
    let ((process, gate), wire) = start_held(children, spec, (bundle, orders), others, None)?;
    gate.open();
    Ok((process, wire))
}

/// The same with the gate still shut; the interpreter gets our end of the control socket as well, where a number for it
/// is given.
pub(super) fn start_held(
    children: &Children,
    spec: &LaunchSpec,
    (bundle, orders): (&[u8], &[u8]),
    others: &[(BorrowedFd<'_>, i32)],
    our_end: Option<i32>,
) -> io::Result<((ProcessHandle, Gate), Wire)> {
    let shim = memory_file::sealed("ostler-shim", bundle)?;
    let report = BootReport::with(orders)?;
    let (ours, theirs) = wire::sockets()?;
    let other_end = wire::number_of(theirs.as_fd())?;
    let mut fds = vec![(shim.as_fd(), SHIM), (report.as_fd(), ORDERS), (theirs.as_fd(), CONTROL)];
    fds.extend_from_slice(others);
    fds.extend(our_end.map(|number| (ours.as_fd(), number)));
    let held = children.spawn_held(spec, &fds)?;
    Ok((held, Wire::new(ours, other_end, report, spec.program.clone())))
}

impl WorkerHandle {
    /// A handle on a worker that an earlier ostlerd started. Its control socket has gone with that one.
    pub(super) fn adopted(worker: ProcessId, process: Arc<ProcessHandle>) -> WorkerHandle {
        WorkerHandle { worker, process, control: Weak::new(), report: Weak::new() }
    }

    /// Its process's number, to be shown and looked up.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Lets a held worker take clients. Of one that is ready, or gone, nothing is asked.
    pub fn admit(&self) -> io::Result<()> {
        let Some(control) = self.control.upgrade() else { return Ok(()) };
        match send(control.as_raw_fd(), b"g", MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            // Gone, or going: the watch tells how it ended.
            Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks it where it stands, while it boots.
    pub(super) async fn stand(&self, directory: &Path) -> Option<Stand> {
        stand::of(&self.process, &*self.report.upgrade()?, directory).await
    }

    /// Asks it to open its log files anew; one that has ended has none.
    pub fn reopen_logs(&self) -> io::Result<()> {
        self.process.signal(Signal::SIGUSR1)
    }

    /// Sends a signal that ends it; a worker that has ended is left in peace.
    pub fn signal(&self, signal: StopSignal) -> io::Result<()> {
        self.process.stop(signal)
    }
}

impl WorkerWatch {
    /// Where it is heard what the app's models use of the database; only of one that was asked for it.
    pub(super) fn tables(&mut self) -> oneshot::Receiver<String> {
        let (tell, told) = oneshot::channel();
        self.tables = Some(tell);
        told
    }

    /// Sends what happens to the worker as events; ends with [`ProcessFact::Exited`], which is always the last.
    /// What the worker said of a failure comes before it.
    pub async fn run(self, events: UnboundedSender<Event>) {
        let WorkerWatch { app, worker, process, mut wire, mut tables } = self;
        // Where nobody receives any more there is nobody to tell.
        let tell = |event| drop(events.send(event));
        let mut closed = false;
        let mut ready = None;
        loop {
            let received = next(&process, &wire, closed);
            let ended = match ready {
                None => received.await,
                Some(since) => match timeout_at(since + TABLES_TIME, received).await {
                    Ok(ended) => ended,
                    Err(_) => break,
                },
            };
            let received = wire.read(&process, ended);
            closed |= received.closed;
            for message in received.messages {
                match message {
                    Message::Tables(told) => hand_on(tables.take(), told.text),
                    // Nothing else counts of one that serves.
                    _ if ready.is_some() => {}
                    message => {
                        ready = matches!(message, Message::Ready).then(Instant::now);
                        event_of(worker, message).into_iter().for_each(tell);
                    }
                }
            }
            if ended || ready.is_some() && (tables.is_none() || closed) {
                break;
            }
        }
        if wire.strange() > 0 {
            let (app, lines) = (app.as_str(), wire.strange());
            tracing::warn!(app, %worker, lines, "the worker wrote lines on its control socket that are none of its messages; they were ignored");
        }
        drop(wire);
        let exit = process.wait().await;
        tell(ProcessFact::Exited(exit).of(worker));
    }
}

/// Hears of a worker that an earlier ostlerd started: that it serves, where its slot does not say so yet, and of its end.
pub(super) async fn watch_adopted(
    worker: ProcessId,
    process: Arc<ProcessHandle>,
    boots: Option<WatchedSlot>,
    events: UnboundedSender<Event>,
) {
    // Where nobody receives any more there is nobody to tell.
    let tell = |event| drop(events.send(event));
    if let Some(place) = boots {
        tokio::select! {
            biased;
            () = process.ended() => {}
            () = place.serves() => tell(ProcessFact::Ready.of(worker)),
        }
    }
    let exit = process.wait().await;
    tell(ProcessFact::Exited(exit).of(worker));
}

fn event_of(worker: ProcessId, message: Message) -> Option<Event> {
    match message {
        Message::Proved(proved) => Some(ProcessFact::Proved(proof(proved)).of(worker)),
        Message::Loaded => Some(ProcessFact::Loaded.of(worker)),
        Message::Ready => Some(ProcessFact::Ready.of(worker)),
        Message::Failed(failed) => Some(ProcessFact::Failed(last_words(&failed)).of(worker)),
        Message::Here | Message::Settings(_) | Message::Ran(_) | Message::Forked | Message::Tables(_) => None,
    }
}

fn hand_on(to: Option<oneshot::Sender<String>>, text: Option<String>) {
    if let (Some(to), Some(text)) = (to, text) {
        // Whoever asked may be ending.
        let _ = to.send(text);
    }
}

pub(super) fn proof(ProvedMessage { urls, probe }: ProvedMessage) -> Proof {
    let answer = probe.map(|it| ProbeAnswer {
        path: shown(&it.path, PATH_MOST),
        status: it.status,
        took: Duration::from_secs_f64(it.seconds),
        late: it.late,
        good: it.good,
        message: shown(&it.message, WORDS_MOST),
    });
    Proof { urls, answer }
}

/// Waits for the next thing that may be heard; whether the process has ended.
async fn next(process: &ProcessHandle, wire: &Wire, closed: bool) -> bool {
    tokio::select! {
        biased;
        readable = wire.control.readable(), if !closed => readable.is_err(),
        () = process.ended() => true,
        () = tokio::time::sleep(LOOK), if closed => false,
    }
}
