//! Every table of keys.

pub(super) use super::app::APP;
pub(super) use super::assemble::MAIN;
pub(super) use super::budgets::OVERRIDE;
pub(super) use super::edge::EDGE;
pub(super) use super::health::HEALTH;
use super::key::Shape;
pub(super) use super::limits::LIMITS;
pub(super) use super::migrate::MIGRATE;
pub(super) use super::probe::PROBE;
pub(super) use super::processes::PROCESS;
pub(super) use super::rollout::ROLLOUT;
pub(super) use super::workers::WORKERS;

/// Every table of keys, in the order of ostler.toml(5).
pub static SHAPES: [&Shape; 11] =
    [&MAIN, &EDGE, &HEALTH, &APP, &WORKERS, &PROBE, &ROLLOUT, &LIMITS, &MIGRATE, &OVERRIDE, &PROCESS];
