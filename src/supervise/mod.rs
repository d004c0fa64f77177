//! The core: facts in, actions out. No clock, no file, no process, no log.
//!
//! Read in this order: `time`, `command` with `commands` (who may give which), `request` (the answers), `event`, `action`, `app_event`,
//! `view`, then the state machine (`supervisor`, `app`, `rollout`), with `pool` for processes, and what is about all of ostlerd:
//! `reload`, `deploy`, `leaving`, `drain`.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod accepting;
mod action;
mod adopt;
mod again;
mod another_look;
mod app;
mod app_commands;
mod app_event;
mod command;
pub mod commands;
mod deploy;
mod drain;
mod event;
mod hooks;
mod joins;
mod leaving;
mod migrating;
mod migration;
mod pool;
mod post_deploy;
mod project;
mod proof;
mod random;
mod release;
mod reload;
mod request;
mod rollout;
mod scaling;
mod snapshot;
mod start;
mod supervisor;
mod time;
mod unmigrated;
mod view;
mod waiting;

pub use action::{Action, Start};
pub use adopt::{Found, Stage};
pub use app_event::{AppEvent, AppEventKind, Cause, Level};
pub use command::{Auto, Command, LONGEST_DRAIN, ScaleTo};
pub use commands::{COMMANDS, CommandRow, Permission, interrupted};
pub use event::{Event, Exit, GenerationId, LastWords, Observation, ProcessFact, ProcessId, Stand};
pub use hooks::DueHook;
pub use leaving::{HandoverBy, Stayed};
pub use migration::{
    AbortReason, AppliedMigration, Backend, Breakage, DjangoSeen, Failure, FailureKind, HistoryEntry,
    Language, LastMigration, Leftover, LockNote, Look, Marked, Marks, MigrationFact, MigrationOrder,
    MigrationPhase, MigrationView, Opened, Opening, OtherDatabase, Outlook, Owed, Past, Pending,
    PendingMigration, Record, Report, RunId, RungTaken, Step, Trouble, TroubleKind, Unfinished, Vendor,
    Verdict, VerdictKind,
};
pub use pool::{HOOKS_GRACE, ProcessChange, ProcessEvent, Role, StopSignal};
pub use proof::{Answer, Proof, Tolerance};
pub use random::Random;
pub use release::{LinkFact, LinkOrder, LookAt, Named, ReleaseLink, ReleaseRecord, Unproven};
pub use reload::{ConfigFound, ConfigState, ReadPurpose};
pub use request::{Outcome, RequestId};
pub use scaling::{AppLoad, LoadLook, MachineMemory, WorkerLoad};
pub use snapshot::Snapshot;
pub use supervisor::Supervisor;
pub use time::Moment;
pub use view::{
    AppState, AppView, BackgroundView, DrainView, LastRollout, PhaseView, ProcessView, RolloutView,
    ScalingView, View, WorkerState,
};
