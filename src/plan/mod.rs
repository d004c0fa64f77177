//! Configuration and what the app's own interpreter says, turned into decisions.
//!
//! Pure: the shell resolves users, links and gunicorn's settings and hands the facts in.

mod types;

/// The most workers that one app may have.
pub const MOST_WORKERS: u32 = 1000;

pub use types::{
    Account, AppPlan, Blueprint, Fingerprint, Plan, Policy, Prepared, Probe, Refusal, RolloutPolicy, Surge,
    WorkerClass,
};
