//! What the edge in front asks of this machine: how long a drain takes to be noticed, and how long a worker has to keep
//! an idle connection, so that the edge never sends a request into one that is just being closed.

use std::time::Duration;

use crate::config::Edge;
use crate::worker::Keeps;

use super::types::{AppPlan, MachinePolicy};

/// The numbers of the machine.
pub fn machine(edge: &Edge) -> MachinePolicy {
    MachinePolicy { edge_delay: edge.delay.unwrap_or(edge.preset.delay()) }
}

/// What is wrong between the workers' keep-alive and the edge's: one sentence, beginning with the app's name.
///
/// Nothing where the worker never keeps a connection, by its class or by a keep-alive of zero, or keeps it for an hour.
pub fn keepalive_finding(edge: &Edge, plan: &AppPlan) -> Option<String> {
    let (idle, enough) = edge.preset.idle().seconds()?;
    let (blueprint, kept) = (&plan.blueprint, plan.policy.keepalive);
    if blueprint.class.traits().keeps != Keeps::AsSet || kept.is_zero() || kept > Duration::from_secs(idle) {
        return None;
    }
    Some(format!(
        "{}: the worker closes idle connections after {} s (gunicorn's keepalive), but {} uses them again for {idle} s: \
         now and then a client would get 502; set \"--keep-alive\", \"{enough}\" in args",
        blueprint.app,
        kept.as_secs_f64(),
        edge.preset.name(),
    ))
}
