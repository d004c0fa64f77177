//! A hook of gunicorn's that is due.

use crate::plan::Hook;

use super::ids::ProcessId;

/// A hook that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueHook {
    /// Which one.
    pub hook: Hook,
    /// How many workers are wanted.
    pub workers: u32,
    /// How many were wanted before: of `nworkers_changed`.
    pub from: Option<u32>,
    /// The worker it is about: of `pre_fork` and `child_exit`.
    pub worker: Option<ProcessId>,
}

impl DueHook {
    pub(super) fn new(hook: Hook, workers: u32) -> DueHook {
        DueHook { hook, workers, from: None, worker: None }
    }
}
