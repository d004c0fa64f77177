//! Every table of keys.

use super::app::App;
use super::assemble::Main;
use super::budgets::{Budgets, Override};
use super::edge::Edge;
use super::health::HealthConfig;
use super::key::Shape;
use super::limits::{Limits, ProcessLimits, Resources};
use super::migrate::MigrateConfig;
use super::probe::ProbeConfig;
use super::processes::ProcessConfig;
use super::rollout::RolloutPolicy;
use super::workers::WorkerRange;

/// The main file.
pub(super) static MAIN: Shape = Shape { title: "the main file", groups: &[Main::KEYS] };

/// `[edge]` of the main file.
pub(super) static EDGE: Shape = Shape { title: "edge", groups: &[Edge::KEYS] };

/// `[health]` of the main file.
pub(super) static HEALTH: Shape = Shape { title: "health", groups: &[HealthConfig::KEYS] };

/// One app, before its first `[section]`.
pub(super) static APP: Shape = Shape { title: "", groups: &[App::KEYS] };

/// `workers`, if it is a range.
pub(super) static WORKERS: Shape = Shape { title: "workers", groups: &[WorkerRange::KEYS] };

/// `[probe]`.
pub(super) static PROBE: Shape = Shape { title: "probe", groups: &[ProbeConfig::KEYS] };

/// `[rollout]`.
pub(super) static ROLLOUT: Shape = Shape { title: "rollout", groups: &[RolloutPolicy::KEYS] };

/// `[limits]`.
pub(super) static LIMITS: Shape =
    Shape { title: "limits", groups: &[Limits::KEYS, ProcessLimits::KEYS, Resources::KEYS] };

/// `[migrate]`.
pub(super) static MIGRATE: Shape = Shape { title: "migrate", groups: &[MigrateConfig::KEYS, Budgets::KEYS] };

/// `[migrate.override.NAME]`.
pub(super) static OVERRIDE: Shape = Shape { title: "migrate.override", groups: &[Override::KEYS] };

/// `[processes.NAME]`.
pub(super) static PROCESS: Shape = Shape { title: "processes.name", groups: &[ProcessConfig::KEYS] };

/// Every table of keys, in the order of ostler.toml(5).
pub static SHAPES: [&Shape; 11] =
    [&MAIN, &EDGE, &HEALTH, &APP, &WORKERS, &PROBE, &ROLLOUT, &LIMITS, &MIGRATE, &OVERRIDE, &PROCESS];
