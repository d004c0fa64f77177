//! The processes that run the hooks of gunicorn's master, as the core asks for them.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::children::Children;
use super::hook_host::{self, HookHost, HookPatience};
use super::zygote::Parent;
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::supervise::{DueHook, GenerationId, ProcessId};
use crate::worker::{HookOrder, HookWorker};

/// The processes of all apps.
#[derive(Debug)]
pub(super) struct HookHosts {
    children: Children,
    hosts: BTreeMap<(AppName, GenerationId), HookHost>,
    tasks: JoinSet<()>,
    /// The worker that has just ended: the core has a hook run about it at once.
    ended: Option<(ProcessId, i32)>,
}

impl HookHosts {
    pub(super) fn new(children: Children) -> HookHosts {
        HookHosts { children, hosts: BTreeMap::new(), tasks: JoinSet::new(), ended: None }
    }

    /// Starts the process of a generation, forked from `parent` where a zygote has loaded the settings.
    pub(super) fn start(
        &mut self,
        generation: GenerationId,
        blueprint: &Blueprint,
        parent: Option<Parent<'_>>,
        first: DueHook,
    ) {
        while self.tasks.try_join_next().is_some() {}
        let patience = HookPatience::default();
        let made = match parent {
            Some(parent) => hook_host::fork(&self.children, generation, blueprint, patience, parent),
            None => hook_host::start(&self.children, generation, blueprint, patience),
        };
        match made {
            Ok((mut host, task)) => {
                self.tasks.spawn(task.run());
                host.tell(order(first, None));
                self.hosts.insert((blueprint.app.clone(), generation), host);
            }
            Err(reason) => tracing::warn!(app = blueprint.app.as_str(), "{reason}; none of them run"),
        }
    }

    /// Hands in a hook; `pid` is the process of the worker that it is about, if that is there.
    pub(super) fn run(&mut self, app: AppName, generation: GenerationId, due: DueHook, pid: Option<i32>) {
        let ended = self.ended.filter(|(worker, _)| Some(*worker) == due.worker).map(|(_, pid)| pid);
        let pid = pid.or(ended);
        // Of one that could not be started nothing can be run.
        if let Some(host) = self.hosts.get_mut(&(app, generation))
            && pid.is_some() == due.worker.is_some()
        {
            host.tell(order(due, pid));
        }
    }

    /// Has a process end, when it has run what was handed in.
    pub(super) fn end(&mut self, app: AppName, generation: GenerationId) {
        self.hosts.remove(&(app, generation));
    }

    /// The process of a worker has ended.
    pub(super) fn worker_ended(&mut self, worker: ProcessId, pid: i32) {
        self.ended = Some((worker, pid));
    }

    /// Asks every process to open its log files anew.
    pub(super) fn reopen_logs(&self) {
        self.hosts.values().for_each(HookHost::reopen_logs);
    }

    /// The end; returns when every process is gone.
    pub(super) async fn close(&mut self) {
        self.hosts.clear();
        // Each host kills its own process in time; more than that nobody waits for.
        let limit = 2 * HookPatience::default().end;
        let _ = timeout(limit, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

/// What is told of a hook; `pid` is the process of the worker that it is about.
pub(super) fn order(due: DueHook, pid: Option<i32>) -> HookOrder {
    let DueHook { hook, workers, from, worker } = due;
    let worker = worker.zip(pid).map(|(worker, pid)| HookWorker { id: worker.0, pid });
    HookOrder { hook, workers, worker, from }
}
