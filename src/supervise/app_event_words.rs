//! The events of apps as sentences for people.

use std::fmt;

use crate::config::counted;

use super::app_event::AppEventKind;
use super::ids::GenerationId;
use super::migration::tell;

impl fmt::Display for AppEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AppEventKind::*;
        match self {
            Process(event) => event.fmt(f),
            RolloutRequested { joined: true, more } => f.write_str(&joined(*more)),
            RolloutRequested { joined: false, .. } => write!(f, "preparing a rollout"),
            RolloutStarted { generation, from: Some(from), workers } => {
                write!(f, "rollout from generation {from} to {generation}, {}", counted(*workers, "worker"))
            }
            RolloutStarted { generation, from: None, workers } => {
                write!(f, "starting generation {generation}, {}", counted(*workers, "worker"))
            }
            Proved { generation, proof } => write!(f, "proof of {generation}: {proof}"),
            ProbeTolerated { generation, beside, message } => {
                f.write_str(&tolerated(*generation, *beside, message))
            }
            BackingOff { failures, delay, .. } => {
                let failures = match failures {
                    1 => "a failure".to_owned(),
                    more => format!("{more} failures in a row"),
                };
                write!(f, "waiting {:.1} s before the next start, after {failures}", delay.as_secs_f64())
            }
            RolloutSettling { generation, settle } => {
                write!(f, "every worker of {generation} is ready; watching it for {settle:?}")
            }
            RolloutCommitted { generation, took } => {
                write!(f, "generation {generation} serves; the rollout took {:.1} s", took.as_secs_f64())
            }
            RollingBack { generation, to: Some(to), reason } => {
                write!(f, "rolling back from {generation} to {to}: {reason}")
            }
            RollingBack { generation, to: None, reason } => write!(f, "giving up {generation}: {reason}"),
            RolledBack { generation, serving: Some(serving), reason } => {
                write!(f, "rolled back from {generation}: {reason}; generation {serving} goes on serving")
            }
            RolledBack { generation, serving: None, reason } => {
                write!(f, "generation {generation} failed: {reason}; nothing serves")
            }
            RolloutSuperseded { generation, by } => {
                write!(f, "the rollout to {generation} gives way to {by}")
            }
            PrepareFailed { reason, .. } => write!(f, "cannot be prepared: {reason}"),
            LinkTurned { to } => {
                write!(f, "the link leads to {} now, and back if that does not serve", to.display())
            }
            LinkPutBack => write!(f, "the link leads to the release that serves again"),
            LinkStuck { reason } => write!(f, "{reason}"),
            Scaled { from, to } => write!(f, "scaled from {from} to {}", counted(*to, "worker")),
            ScaledByLoad { from, to, reason } => {
                let how = if to > from { "grown" } else { "shrunk" };
                write!(f, "{how} from {from} to {}: {reason}", counted(*to, "worker"))
            }
            HeldByMemory { workers, reason } => {
                write!(f, "held at {}: {reason}", counted(*workers, "worker"))
            }
            Serving { generation, workers } => {
                write!(f, "generation {generation} serves with {}", counted(*workers, "worker"))
            }
            Draining { delay } if delay.is_zero() => {
                write!(f, "draining: readiness fails; clients are still served")
            }
            Draining { delay } => write!(
                f,
                "draining: readiness fails; clients are still served; the edge notices within {delay:?}"
            ),
            Drained { delay } => write!(f, "drained: readiness has failed for {delay:?}"),
            Undrained => write!(f, "undrained: readiness follows the app again"),
            Stopping => write!(f, "stopping"),
            Stopped => write!(f, "stopped"),
            Removed => write!(f, "removed from the configuration"),
            migration => tell(migration, f),
        }
    }
}

/// The line about one of them, or about those that were counted since the last one.
fn joined(more: Option<u32>) -> String {
    let joined = "joined the rollout that is under way";
    more.map_or(joined.to_owned(), |more| format!("{joined} ({more} more since it was last said)"))
}

/// Why a generation comes in although its answer is bad, and what to set.
fn tolerated(generation: GenerationId, beside: Option<GenerationId>, message: &str) -> String {
    let why = match beside {
        Some(beside) => format!("{beside} is not known to do better"),
        None => "nothing else serves".to_owned(),
    };
    format!(
        "{message}; {generation} goes on all the same, for {why}: set `path` in [probe] to a page that shows that the app works"
    )
}
