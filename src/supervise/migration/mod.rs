//! A migration and its watchdog: what the shell is to do about it, what it hears, and what came of it.
//!
//! The words first: `fact`, `report` and `marked` (in), `order` (out), `outcome`, `record` with `past`, `view`. Then the state machine, from `run`, which
//! has the picture of it: `start` with `outlook`, `watchdog` with `attempt`, `finish` with `judge` and `remedy`, `serving`, `clock`, `picture`, `tell`;
//! and `follow_up`. What hangs on a migration in its app is in `migrating`, beside this folder.

mod attempt;
mod breaking;
mod clock;
mod fact;
mod finish;
mod follow_up;
mod judge;
mod marked;
mod order;
mod outcome;
mod outlook;
mod past;
mod picture;
mod record;
mod remedy;
mod report;
mod run;
mod seconds;
mod seen;
mod serving;
mod serving_code;
mod start;
mod tell;
mod vendor;
mod view;
mod watchdog;

pub(super) use follow_up::{FollowUp, FollowUpEnd, Task};
pub(super) use run::Migration;
pub(super) use tell::tell;

pub use fact::{
    Backend, CommandFailure, DatabaseLook, FailureKind, Language, MigrationFact, Opened, Past, Pending,
    PendingMigration, RunId, Step, Trouble, TroubleKind, Unfinished,
};
pub use marked::{Marked, Marks, Owed};
pub use order::{AbortReason, MigrationOrder, Opening};
pub use outcome::{Verdict, VerdictKind};
pub use outlook::{Breakage, LockNote, Outlook};
pub use record::{AppliedMigration, HistoryEntry, Record, RungTaken};
pub use report::{Leftover, Report};
pub use seen::{DjangoSeen, OtherDatabase};
pub use vendor::Vendor;
pub use view::{LastMigration, MigrationPhase, MigrationView};
