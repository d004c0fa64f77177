//! The processes of an app's hooks.

use crate::supervise::ids::{GenerationId, ProcessId};

/// The processes of one app's hooks, from its start to its stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    pub(crate) current: Option<HookProcess>,
    pub(crate) incoming: Option<HookProcess>,
    /// How many workers are wanted.
    pub(crate) workers: u32,
    /// Whether `when_ready` has run.
    pub(crate) was_ready: bool,
}

/// The process of one generation's hooks.
#[derive(Clone, Debug)]
pub(crate) struct HookProcess {
    pub(crate) generation: GenerationId,
    /// The worker beside which it was started.
    pub(crate) beside: Option<ProcessId>,
}

impl Hooks {
    /// Where hooks about a worker of `generation` run: in its own process, or in that of what serves now.
    pub(crate) fn host(&mut self, generation: GenerationId) -> Option<&mut HookProcess> {
        self.incoming.as_mut().filter(|host| host.generation == generation).or(self.current.as_mut())
    }

    pub(crate) fn serving(&self) -> Option<GenerationId> {
        self.current.as_ref().map(|host| host.generation)
    }
}
