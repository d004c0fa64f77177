#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

//! Configuration and what the app's own interpreter says, turned into decisions.
//!
//! Pure: the shell resolves users, links and gunicorn's settings and hands the facts in.

mod diff;
mod edge;
mod environment;
mod facts;
mod migrate;
mod migration;
mod policy;
mod prepare;
#[cfg(any(test, feature = "testing"))]
mod sample;
mod served;
mod sockets;
mod support;
mod types;
mod units;

#[cfg(test)]
mod tests;

pub use diff::{AppChange, Effect, KeyChange, diff, effect, needs_restart};
pub use edge::{keepalive_finding, machine};
pub use environment::environment;
pub use facts::{EnvFile, Facts, ReleaseImage, ReleasePaths};
pub use migrate::{Breaking, Budgets, Database, Migrate, MigrateCommand, NoMigrations, Override};
pub use prepare::why_ignored;
pub use prepare::{image, prepare};
#[cfg(any(test, feature = "testing"))]
pub use sample::sample;
pub use served::{SeenApp, Served, ServedApp, served};
pub use sockets::bind_address;
pub use types::{
    Account, AppPlan, Believes, Blueprint, Fingerprint, Hook, ImageName, ImageRoot, Keeps, MachinePolicy,
    Plan, Policy, Preload, Prepared, Probe, ProcessLimits, Readiness, Refusal, Resources, RolloutPolicy,
    Surge, Volume, WorkerClass, WorkerRange,
};
pub use units::{SLICE, scope_of, slice_of};
