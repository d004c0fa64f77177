//! What the edge in front asks of this machine: how long a drain takes to be noticed, and how long a worker has to keep
//! an idle connection, so that the edge never sends a request into one that is just being closed.

use std::time::Duration;

use crate::config::{Edge, Preset};

use super::types::{AppPlan, MachinePolicy, WorkerClass};

/// What is known of an edge with its ordinary settings.
struct Habits {
    /// From the first failing answer until it has stopped sending.
    delay: u64,
    /// How long it uses an idle connection again, and the keep-alive that is safely above.
    idle: Option<(u64, u64)>,
}

/// Seconds. HAProxy's idle time depends on too many of its own settings for one number.
fn habits(preset: Preset) -> Habits {
    let (delay, idle) = match preset {
        Preset::None => (0, None),
        Preset::Alb | Preset::Nlb => (70, Some((60, 75))),
        Preset::Gcp => (20, Some((600, 620))),
        Preset::Haproxy => (8, None),
        Preset::HaproxyAgent => (3, None),
        Preset::Traefik => (35, Some((90, 120))),
        Preset::Caddy => (35, Some((120, 150))),
        Preset::Nginx => (0, Some((60, 75))),
    };
    Habits { delay, idle }
}

/// The numbers of the machine.
pub fn machine(edge: &Edge) -> MachinePolicy {
    let delay = Duration::from_secs(habits(edge.preset).delay);
    MachinePolicy { edge_delay: edge.delay.unwrap_or(delay) }
}

/// What is wrong between the workers' keep-alive and the edge's: one sentence, beginning with the app's name.
///
/// Nothing where the worker never keeps a connection: sync, or a keep-alive of zero. Nothing of tornado either, which
/// keeps idle connections for an hour, whatever the setting says.
pub fn keepalive_finding(edge: &Edge, plan: &AppPlan) -> Option<String> {
    let (idle, enough) = habits(edge.preset).idle?;
    let (blueprint, kept) = (&plan.blueprint, plan.policy.keepalive);
    let keeps = match blueprint.class {
        WorkerClass::Sync | WorkerClass::Tornado => false,
        WorkerClass::Gthread | WorkerClass::Gevent | WorkerClass::Asgi | WorkerClass::Uvicorn => true,
    };
    if !keeps || kept.is_zero() || kept > Duration::from_secs(idle) {
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
