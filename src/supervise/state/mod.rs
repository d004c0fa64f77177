//! All that the core remembers, for its rules to read and change; a part of it is written down (`snapshot`). What happens to it
//! stands in the files beside this folder.

mod accepting;
mod again;
mod another_look;
mod app;
mod databases;
mod deploy;
mod drain;
mod generation;
mod hooks;
mod joins;
mod leaving;
mod looks;
mod release;
mod rollout;
mod scaling;
mod supervisor;
mod waiting;

pub(crate) use accepting::Accepting;
pub(crate) use again::Again;
pub(crate) use another_look::AnotherLook;
pub(crate) use app::{App, Mode, Then};
pub(crate) use databases::{Databases, Migrating, WantedPlan};
pub(crate) use deploy::Deploy;
pub(crate) use drain::{Drain, Shutdown};
pub(crate) use generation::Generation;
pub(crate) use hooks::{HOOK_PATIENCE, HOOKS_MOST, HookHost, HookPlace, Hooks};
pub(crate) use joins::Joins;
pub(crate) use leaving::Leaving;
pub(crate) use looks::{DueLook, Looks, Reading, Reload};
pub(crate) use release::{HeldLinks, Ordered, ReleaseState, Switching, Target};
pub(crate) use rollout::{Rollout, RolloutPhase};
pub(crate) use scaling::Scaling;
pub(crate) use supervisor::Effects;
pub use supervisor::Supervisor;
pub(crate) use waiting::{Preparing, Purpose, Waiting};
