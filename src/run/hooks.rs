//! Which hook of gunicorn's master is due when: from the news of every app to the processes that run the hooks.
//!
//! | news | hook |
//! | --- | --- |
//! | the first worker of the first generation starts | `on_starting`, in a new process, unless its zygote has run it |
//! | the first worker of a later generation starts | `on_reload`, likewise, from the new release's code |
//! | a worker starts | `pre_fork` |
//! | a worker has ended, however | `child_exit` |
//! | another number of workers is wanted | `nworkers_changed` |
//! | full strength for the first time | `when_ready` |
//! | stopped, or removed | `on_exit`, then the process ends |
//!
//! Two processes stand side by side during a rollout. When the new generation commits, the old one's ends, and what
//! happens to old workers from then on is told to the new one; `on_exit` runs once, when the app stops. A rollback ends
//! the new one.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hook_host::{self, HookHost, Patience};
use super::process::Children;
use super::zygote::Parent;
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::supervise::{GenerationId, Happening, News, WorkerId};
use crate::worker::{Hook, HookOrder, HookWorker};

/// The hooks of all apps.
#[derive(Debug)]
pub(super) struct Hooks {
    children: Children,
    apps: BTreeMap<AppName, Calls>,
    hosts: JoinSet<()>,
}

/// A worker that has just been started.
#[derive(Debug)]
pub(super) struct Started<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) pid: i32,
    /// The zygote that has forked it.
    pub(super) parent: Option<Parent<'a>>,
}

/// The hook that a zygote runs before it forks, if the app sets it: what it computes is for the workers too.
pub(super) fn hook_before_forks(blueprint: &Blueprint, replaces: bool, workers: u32) -> Option<HookOrder> {
    let hook = first_hook(replaces);
    blueprint.hooks.contains(&hook).then(|| HookOrder::new(hook, workers))
}

fn first_hook(replaces: bool) -> Hook {
    if replaces { Hook::OnReload } else { Hook::OnStarting }
}

/// One app from its start to its stop.
#[derive(Debug, Default)]
struct Calls {
    current: Option<Side>,
    incoming: Option<Side>,
    workers: u32,
    pids: BTreeMap<WorkerId, i32>,
    was_ready: bool,
}

/// One generation. Without a host where it has not started a worker yet, or sets no hooks.
#[derive(Debug)]
struct Side {
    generation: GenerationId,
    begun: bool,
    host: Option<HookHost>,
}

impl Hooks {
    pub(super) fn new(children: Children) -> Hooks {
        Hooks { children, apps: BTreeMap::new(), hosts: JoinSet::new() }
    }

    /// Hands in the hook that is due now. `started` is known where a worker has just been started.
    pub(super) fn happened(&mut self, news: &News, started: Option<Started<'_>>) {
        while self.hosts.try_join_next().is_some() {}
        let calls = self.apps.entry(news.app.clone()).or_default();
        match &news.happening {
            Happening::RolloutStarted { generation, from, workers } => {
                calls.begin(*generation, from.is_some(), *workers);
            }
            Happening::WorkerStarted { worker, generation } => {
                if let Some(started) = started {
                    let pid = started.pid;
                    calls.open(&self.children, &mut self.hosts, *generation, started);
                    calls.pids.insert(*worker, pid);
                    calls.of_worker(Hook::PreFork, *generation, *worker, pid);
                }
            }
            Happening::WorkerExited { worker, generation, .. }
            | Happening::WorkerDied { worker, generation, .. } => {
                if let Some(pid) = calls.pids.remove(worker) {
                    calls.of_worker(Hook::ChildExit, *generation, *worker, pid);
                }
            }
            Happening::Scaled { from, to } | Happening::ScaledByLoad { from, to, .. } => {
                calls.scaled(*from, *to)
            }
            Happening::Serving { .. } => calls.at_full_strength(),
            Happening::RolloutCommitted { .. } => {
                calls.hand_over();
                calls.at_full_strength();
            }
            Happening::RollingBack { to: Some(_), .. } | Happening::RolloutSuperseded { .. } => {
                calls.incoming = None;
            }
            // The old generation never served: the new one stays, and goes on trying.
            Happening::RollingBack { to: None, .. } => calls.hand_over(),
            Happening::Stopped | Happening::Removed => {
                if let Some(mut calls) = self.apps.remove(&news.app) {
                    calls.exit();
                }
            }
            _ => {}
        }
    }

    /// Asks every process to open its log files anew.
    pub(super) fn reopen_logs(&self) {
        let sides = self.apps.values().flat_map(|calls| calls.current.iter().chain(&calls.incoming));
        sides.filter_map(|side| side.host.as_ref()).for_each(HookHost::reopen_logs);
    }

    /// The end: `on_exit` where it has not run yet; returns when every process is gone.
    pub(super) async fn close(&mut self) {
        for (_, mut calls) in std::mem::take(&mut self.apps) {
            calls.exit();
        }
        // Each host kills its own process in time; more than that nobody waits for.
        let limit = 2 * Patience::default().end;
        let _ = timeout(limit, async { while self.hosts.join_next().await.is_some() {} }).await;
    }
}

impl Calls {
    fn begin(&mut self, generation: GenerationId, replaces: bool, workers: u32) {
        self.workers = workers;
        let side = Some(Side { generation, begun: false, host: None });
        if replaces {
            self.incoming = side;
        } else {
            self.current = side;
        }
    }

    /// Starts the process of a generation with its first worker, where the generation sets hooks.
    fn open(
        &mut self,
        children: &Children,
        hosts: &mut JoinSet<()>,
        generation: GenerationId,
        started: Started<'_>,
    ) {
        let Started { blueprint, parent, .. } = started;
        let reload = self.incoming.as_ref().is_some_and(|side| side.generation == generation);
        let workers = self.workers;
        let Some(side) = self.side(generation).filter(|side| side.generation == generation && !side.begun)
        else {
            return;
        };
        side.begun = true;
        if blueprint.hooks.is_empty() {
            return;
        }
        let patience = Patience::default();
        let made = match parent {
            Some(parent) => hook_host::fork(children, generation, blueprint, patience, parent),
            None => hook_host::start(children, generation, blueprint, patience),
        };
        match made {
            Ok((mut host, task)) => {
                hosts.spawn(task.run());
                host.tell(HookOrder::new(first_hook(reload), workers));
                side.host = Some(host);
            }
            Err(reason) => tracing::warn!(app = blueprint.app.as_str(), "{reason}; none of them run"),
        }
    }

    /// Where the hooks about a worker of `generation` run: in its own process, or in that of what serves now.
    fn side(&mut self, generation: GenerationId) -> Option<&mut Side> {
        self.incoming.as_mut().filter(|side| side.generation == generation).or(self.current.as_mut())
    }

    fn of_worker(&mut self, hook: Hook, generation: GenerationId, worker: WorkerId, pid: i32) {
        let order = HookOrder {
            worker: Some(HookWorker { id: worker.0, pid }),
            ..HookOrder::new(hook, self.workers)
        };
        Self::tell(self.side(generation), order);
    }

    fn scaled(&mut self, from: u32, to: u32) {
        self.workers = to;
        let order = HookOrder { from: Some(from), ..HookOrder::new(Hook::NworkersChanged, to) };
        Self::tell(self.current.as_mut(), order);
    }

    fn at_full_strength(&mut self) {
        if !std::mem::replace(&mut self.was_ready, true) {
            Self::tell(self.current.as_mut(), HookOrder::new(Hook::WhenReady, self.workers));
        }
    }

    fn hand_over(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.current = Some(incoming);
        }
    }

    fn exit(&mut self) {
        Self::tell(self.current.as_mut(), HookOrder::new(Hook::OnExit, self.workers));
    }

    fn tell(side: Option<&mut Side>, order: HookOrder) {
        if let Some(host) = side.and_then(|side| side.host.as_mut()) {
            host.tell(order);
        }
    }
}
