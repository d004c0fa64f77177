//! The core: facts in, actions out. No clock, no file, no process, no log.
//!
//! Read in this order. The words: `time`, `ids`, `command` with `commands` (who may give which), `request` (the answers), `event` with
//! `process_fact`, `action`, `app_event`, `view`. What is remembered: `state`. Then what happens to it: `supervisor`, `app`, `rollout`, with
//! `pool` for processes, `release`, `scaling` and `migration`; and what is about all of ostlerd: `reload`, `deploy`, `leaving`, `drain`.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod accepting;
mod action;
mod adopt;
mod again;
mod another_look;
mod app;
mod app_commands;
mod app_event;
mod app_event_words;
mod command;
pub mod commands;
mod config_found;
mod context;
mod deploy;
mod drain;
mod due_hook;
mod event;
mod handover;
mod ids;
mod inspection;
mod joins;
mod leaving;
mod level;
mod migrating;
mod migration;
mod pool;
mod post_deploy;
mod process_fact;
mod project;
mod proof;
mod proving;
mod random;
mod release;
mod reload;
mod request;
mod rollout;
mod scaling;
mod snapshot;
mod start;
mod state;
mod supervisor;
mod time;
mod unmigrated;
mod view;

pub use action::{Action, Start};
pub use app_event::{AppEvent, AppEventKind};
pub use command::{Auto, Command, LONGEST_DRAIN, ScaleTo};
pub use commands::{COMMANDS, CommandRow, Permission, interrupted};
pub use config_found::{ConfigFound, ConfigState, ReadPurpose};
pub use due_hook::DueHook;
pub use event::Event;
pub use handover::{HandoverBy, Stayed};
pub use ids::{GenerationId, ProcessId};
pub use inspection::{FoundProcess, SlotStage};
pub use level::Level;
pub use migration::{
    AbortReason, AppliedMigration, Backend, Breakage, CommandFailure, DatabaseLook, DjangoSeen, FailureKind,
    HistoryEntry, Language, LastMigration, Leftover, LockNote, Marked, Marks, MigrationFact, MigrationOrder,
    MigrationPhase, MigrationView, Opened, Opening, OtherDatabase, Outlook, Owed, Past, Pending,
    PendingMigration, Record, Report, RunId, RungTaken, Step, Trouble, TroubleKind, Unfinished, Vendor,
    Verdict, VerdictKind,
};
pub use pool::{Cause, ProcessChange, ProcessEvent, Role, StopSignal};
pub use process_fact::{Exit, LastWords, Observation, ProcessFact, Stand};
pub use proof::{ProbeAnswer, Proof, Tolerance};
pub use random::Random;
pub use release::{LinkFact, LinkOrder, LookAt, Named, ReleaseLink, ReleaseRecord, Unproven};
pub use request::{Outcome, RequestId};
pub use scaling::{AppLoad, LoadLook, MachineMemory, WorkerLoad};
pub use snapshot::Snapshot;
pub use state::Supervisor;
pub use time::Moment;
pub use view::{
    AppState, AppView, BackgroundView, DrainView, LastRollout, PhaseView, ProcessView, RolloutView,
    ScalingView, View, WorkerState,
};
