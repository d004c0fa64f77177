//! The hooks of gunicorn's master that ostlerd has run for it, and the lines that name them.

use serde::{Deserialize, Serialize};

/// A hook of gunicorn's master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Before the first workers.
    OnStarting,
    /// The first time that all workers serve.
    WhenReady,
    /// A new generation is about to replace the one that serves.
    OnReload,
    /// A worker starts.
    PreFork,
    /// A worker has ended.
    ChildExit,
    /// Another number of workers is wanted.
    NworkersChanged,
    /// Every worker has ended.
    OnExit,
}

impl Hook {
    /// All there are. gunicorn's `pre_exec` is not among them: nothing replaces itself here as its master does.
    pub const ALL: [Hook; 7] = [
        Hook::OnStarting,
        Hook::WhenReady,
        Hook::OnReload,
        Hook::PreFork,
        Hook::ChildExit,
        Hook::NworkersChanged,
        Hook::OnExit,
    ];

    /// The one before the first worker of a generation.
    pub fn first(replaces: bool) -> Hook {
        if replaces { Hook::OnReload } else { Hook::OnStarting }
    }

    /// As gunicorn's settings name it, `pre_fork`.
    pub fn name(self) -> &'static str {
        match self {
            Hook::OnStarting => "on_starting",
            Hook::WhenReady => "when_ready",
            Hook::OnReload => "on_reload",
            Hook::PreFork => "pre_fork",
            Hook::ChildExit => "child_exit",
            Hook::NworkersChanged => "nworkers_changed",
            Hook::OnExit => "on_exit",
        }
    }
}

/// One hook to run now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookOrder {
    /// Which one.
    pub hook: Hook,
    /// How many workers are wanted.
    pub workers: u32,
    /// The worker it is about: of `pre_fork` and `child_exit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<HookWorker>,
    /// How many workers were wanted before: of `nworkers_changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
}

/// A worker, as far as a hook is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HookWorker {
    /// Its number, never reused.
    pub id: u64,
    /// Its process.
    pub pid: i32,
}

impl HookOrder {
    /// An order for a hook that is about no worker.
    pub fn new(hook: Hook, workers: u32) -> HookOrder {
        HookOrder { hook, workers, worker: None, from: None }
    }

    /// What goes over the control socket, with its newline.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("an order has string keys only");
        line.push(b'\n');
        line
    }
}
