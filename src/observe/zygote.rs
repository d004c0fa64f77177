//! The processes that workers are forked from, as `status` shows them. Pure.

use serde::{Deserialize, Serialize};

use super::facts::ShellFacts;
use super::words::{bytes, duration};
use crate::plan::Preload;
use crate::supervise::{GenerationId, ProcessId, ProcessView, Role, WorkerState};

/// A process that has loaded the app, or gunicorn's settings, to fork workers from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZygoteStatus {
    /// Its name.
    pub id: ProcessId,
    /// Its process; `None` between the decision to start it and its start.
    pub pid: Option<i32>,
    /// Its generation.
    pub generation: GenerationId,
    /// What it loads: `app`, or `settings`.
    #[serde(default)]
    pub loads: Preload,
    /// Whether it has loaded that and forks.
    pub ready: bool,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Since its start.
    pub age_seconds: f64,
}

/// The process, if it is one of these.
pub(super) fn of(process: &ProcessView, facts: &ShellFacts) -> Option<ZygoteStatus> {
    let Role::Zygote(loads) = process.role else { return None };
    Some(ZygoteStatus {
        id: process.id,
        pid: facts.pids.get(&process.id).copied(),
        generation: process.generation,
        loads,
        ready: process.state == WorkerState::Ready,
        rss_bytes: process.rss,
        age_seconds: process.age.as_secs_f64(),
    })
}

/// `w8 of g7: pid 808, 2m05s old, 96.0 MiB, workers are forked from it`
pub fn zygote_words(zygote: &ZygoteStatus) -> String {
    let none = || "-".to_owned();
    let pid = zygote.pid.map_or_else(none, |pid| pid.to_string());
    let memory = zygote.rss_bytes.map_or_else(none, bytes);
    let ZygoteStatus { id, generation, loads, .. } = zygote;
    let state = match (zygote.ready, loads) {
        (false, _) => format!("it loads {}", loads.what()),
        (true, Preload::App) => "workers are forked from it".to_owned(),
        (true, _) => format!("workers are forked from it, which has loaded {}", loads.what()),
    };
    format!("{id} of {generation}: pid {pid}, {} old, {memory}, {state}", duration(zygote.age_seconds))
}
