//! What a look at the load says.

use std::time::Duration;

use crate::config::AppName;
use crate::supervise::ProcessId;
use crate::supervise::time::Moment;

/// A look at the load that is due: of those apps whose workers follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLook {
    /// When.
    pub due: Moment,
    /// At which apps.
    pub apps: Vec<AppName>,
    /// Whether at memory, too: it matters only where there may have to be more workers.
    pub memory: bool,
}

/// How much one app had to do at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct AppLoad {
    /// The app.
    pub app: AppName,
    /// Each of its workers that could be read.
    pub workers: Vec<(ProcessId, WorkerLoad)>,
    /// Connections that wait for a worker, of all listeners; `None` where the kernel does not tell.
    pub waiting: Option<u32>,
    /// Bytes that its slice takes, without what the kernel gives back when it is asked; `None` where nobody counts, or
    /// nobody wanted to know.
    pub memory: Option<u64>,
}

/// How much one worker has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerLoad {
    /// Requests under way.
    pub in_flight: u32,
    /// Processor time that it has used since its start; read where its requests do not say whether it is busy.
    pub cpu: Option<Duration>,
}

/// The machine's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineMemory {
    /// All of it.
    pub total: u64,
    /// What can be had without swapping.
    pub available: u64,
}
