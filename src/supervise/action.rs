//! What the core tells the shell to do, in the imperative. An action holds no decision that is left open.

use std::sync::Arc;

use crate::config::AppName;
use crate::plan::{Blueprint, Plan, Resources};

use super::app_event::AppEvent;
use super::config_found::{ConfigState, ReadPurpose};
use super::due_hook::DueHook;
use super::handover::HandoverBy;
use super::ids::{GenerationId, ProcessId};
use super::migration::{MigrationOrder, RunId};
use super::pool::{Role, StopSignal};
use super::proof::Tolerance;
use super::release::LinkOrder;
use super::request::{Outcome, RequestId};

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Read the app's configuration, resolve its release, ask its interpreter; answer with `AppPrepared`.
    Prepare {
        /// The app.
        app: AppName,
    },
    /// Read the configuration and look at every app of it, and have what it needs ready; answer with `ConfigRead`.
    ReadConfig {
        /// What for; a dry run makes nothing ready.
        purpose: ReadPurpose,
        /// What runs: apps that are configured as they were keep its release.
        keep: Box<Plan>,
    },
    /// Say how the configuration's files stand to what runs.
    TellConfig(ConfigState),
    /// Ask the binary on disk whether it can take over; answer with `SuccessorChecked`.
    CheckSuccessor,
    /// When all that was ordered is done and what runs is written down, make room for the next ostlerd; answer with `Stayed`
    /// where that cannot be.
    Leave(HandoverBy),
    /// Tell systemd that ostlerd is ready.
    TellReady,
    /// Do something about the link that the app's directory leads through; answer with `ReleaseLinkObserved`.
    SwitchRelease {
        /// The app.
        app: AppName,
        /// What to do.
        order: LinkOrder,
    },
    /// Start a process; answer with the facts of its life, the first of which may be `NotStarted`, the last is `Exited`.
    StartProcess(Start),
    /// Ask a process that boots where it stands; answer with `Stands`, or not at all.
    AskWhere {
        /// Which one.
        process: ProcessId,
    },
    /// Let a held worker take clients.
    AdmitWorker {
        /// Which one.
        worker: ProcessId,
    },
    /// Bound what all processes of the app together may take; what runs goes on within the new bounds.
    Limit {
        /// The app.
        app: AppName,
        /// The bounds; those that are not set are taken away.
        resources: Resources,
    },
    /// Send a signal to a process. One that has not been forked yet is given up, and has ended.
    SignalProcess {
        /// Which one.
        process: ProcessId,
        /// What to send.
        signal: StopSignal,
    },
    /// Tell a worker that drains that its app stops: what is idle need not be waited for. It may be told before it is
    /// asked to drain.
    HurryWorker {
        /// Which one.
        worker: ProcessId,
    },
    /// Do something for a migration; the order says what answers it.
    Migrate {
        /// Whose.
        app: AppName,
        /// Which run; `Open` begins it, `Close` ends it.
        run: RunId,
        /// What to do.
        order: MigrationOrder,
    },
    /// The app is to stop: let no new connection in, and answer with `QueueEmptied` when its workers have taken all
    /// that wait. A later `StartProcess` of a worker lets connections in again.
    StopAccepting {
        /// The app.
        app: AppName,
    },
    /// No worker of the app is there, and none comes soon: have the kernel refuse its connections, those that wait too.
    /// A worker that comes takes them again by itself.
    RefuseConnections {
        /// The app.
        app: AppName,
    },
    /// A worker of the app serves: all of its listeners take connections.
    AcceptConnections {
        /// The app.
        app: AppName,
    },
    /// Only workers of this blueprint are left: close the listeners that it does not name.
    KeepOnly {
        /// The app.
        app: AppName,
        /// What serves.
        blueprint: Arc<Blueprint>,
    },
    /// The app runs no more and no worker of it is left: close its listeners, drop what belongs to it.
    ReleaseApp {
        /// The app.
        app: AppName,
    },
    /// Run a hook in a process of hooks, after those before it; answer with `Ran`, also where its worker has no process that
    /// it could be about.
    RunHook {
        /// Where.
        process: ProcessId,
        /// What to run.
        due: DueHook,
    },
    /// Give a request its answer; it is the last that is said of it.
    Answer {
        /// Whose.
        id: RequestId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Tell the log, the event stream and whoever waits for this app.
    Announce(AppEvent),
    /// Everything has ended as asked; the daemon may exit.
    Exit,
}

/// A process to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its name from now on.
    pub process: ProcessId,
    /// What it is for.
    pub role: Role,
    /// Its generation.
    pub generation: GenerationId,
    /// What it is started from.
    pub blueprint: Arc<Blueprint>,
    /// Whether it waits for `AdmitWorker` before it takes clients.
    pub hold: bool,
    /// Which bad answers to its probe are only warned of.
    pub tolerate: Tolerance,
    /// The zygote that forks it, answered with `Forked` before anything else; `None` if it loads the app itself.
    pub from: Option<ProcessId>,
    /// The hook of gunicorn's master that it runs before anything else; a hook host only if no zygote of the generation
    /// has run it.
    pub first: Option<DueHook>,
}
