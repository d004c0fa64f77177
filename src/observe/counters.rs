//! Counts that outlive the workers they were made by: a counter never goes back. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Status;
use crate::config::AppName;
use crate::supervise::{
    AppEvent, AppEventKind, Cause, Exit, ProcessChange, ProcessEvent, ProcessId, Role, VerdictKind,
};

/// What happened since ostlerd started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Requests served, by app.
    pub requests: BTreeMap<AppName, u64>,
    /// Workers replaced without being asked to, by app and cause.
    pub restarts: BTreeMap<(AppName, &'static str), u64>,
    /// Rollouts that ended, by app and outcome.
    pub rollouts: BTreeMap<(AppName, &'static str), u64>,
    /// Runs of migrations that ended, by app and outcome.
    pub migrations: BTreeMap<(AppName, &'static str), u64>,
    /// Seconds that single migrations took which were applied, by app.
    pub migration_seconds: BTreeMap<AppName, f64>,
    /// Of each worker: its app, and how many of its requests are counted.
    counted: BTreeMap<ProcessId, (AppName, u64)>,
    /// Workers whose end has been counted before they ended.
    ending: BTreeSet<ProcessId>,
}

/// The counts as they are written down for the next ostlerd.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CountersRecord {
    requests: BTreeMap<AppName, u64>,
    restarts: Vec<(AppName, String, u64)>,
    rollouts: Vec<(AppName, String, u64)>,
    #[serde(default)]
    migrations: Vec<(AppName, String, u64)>,
    #[serde(default)]
    migration_seconds: BTreeMap<AppName, f64>,
    counted: Vec<(ProcessId, AppName, u64)>,
    ending: BTreeSet<ProcessId>,
}

impl From<&Counters> for CountersRecord {
    fn from(it: &Counters) -> Self {
        let flat = |counts: &BTreeMap<(AppName, &'static str), u64>| {
            counts.iter().map(|((app, what), count)| (app.clone(), (*what).to_owned(), *count)).collect()
        };
        CountersRecord {
            requests: it.requests.clone(),
            restarts: flat(&it.restarts),
            rollouts: flat(&it.rollouts),
            migrations: flat(&it.migrations),
            migration_seconds: it.migration_seconds.clone(),
            counted: it.counted.iter().map(|(id, (app, count))| (*id, app.clone(), *count)).collect(),
            ending: it.ending.clone(),
        }
    }
}

impl From<CountersRecord> for Counters {
    /// What this version has no word for is left out.
    fn from(it: CountersRecord) -> Self {
        let deep = |flat: Vec<(AppName, String, u64)>| {
            let known = |what: String| {
                CAUSES.iter().chain(OUTCOMES).chain(VERDICTS).copied().find(|known| *known == what)
            };
            flat.into_iter().filter_map(|(app, what, count)| Some(((app, known(what)?), count))).collect()
        };
        Counters {
            requests: it.requests,
            restarts: deep(it.restarts),
            rollouts: deep(it.rollouts),
            migrations: deep(it.migrations),
            migration_seconds: it.migration_seconds,
            counted: it.counted.into_iter().map(|(id, app, count)| (id, (app, count))).collect(),
            ending: it.ending,
        }
    }
}

/// Every cause of a restart that is counted.
const CAUSES: &[&str] = &[
    "max_requests",
    "max_age",
    "max_rss",
    "hung",
    "request_timeout",
    "boot_timeout",
    "oom",
    "died",
    "boot_failed",
    "spawn_failed",
];

/// Every outcome of a rollout that is counted.
const OUTCOMES: &[&str] = &["committed", "rolled_back", "superseded", "refused"];

/// Every outcome of a migration that is counted.
const VERDICTS: &[&str] = &["nothing", "applied", "retryable", "failed", "partial", "dirty", "unknown"];

impl Counters {
    /// Something happened.
    pub fn heard(&mut self, event: &AppEvent) {
        use AppEventKind::*;
        let app = &event.app;
        match &event.kind {
            Process(ProcessEvent { role: Role::Web, process, change, .. }) => {
                self.worker_changed(app, *process, change);
            }
            RolloutCommitted { .. } => count(&mut self.rollouts, app, "committed"),
            RolledBack { .. } => count(&mut self.rollouts, app, "rolled_back"),
            RolloutSuperseded { .. } => count(&mut self.rollouts, app, "superseded"),
            MigrationEnded { verdict, .. } => count(&mut self.migrations, app, outcome(verdict.kind)),
            MigrationApplied { seconds, .. } if seconds.is_finite() && *seconds > 0.0 => {
                *self.migration_seconds.entry(app.clone()).or_default() += seconds;
            }
            PrepareFailed { .. } => count(&mut self.rollouts, app, "refused"),
            _ => {}
        }
    }

    fn worker_changed(&mut self, app: &AppName, worker: ProcessId, change: &ProcessChange) {
        use ProcessChange::*;
        let cause = match change {
            Draining { cause } | Hung { cause, .. } => restart(*cause).filter(|_| self.ending.insert(worker)),
            NotStarted { .. } => Some("spawn_failed"),
            _ if self.ending.contains(&worker) => None,
            Died { exit: Some(Exit::OutOfMemory { .. }), .. } => Some("oom"),
            Died { ready: true, .. } => Some("died"),
            Died { .. } | Failed { .. } => Some("boot_failed"),
            _ => None,
        };
        cause.into_iter().for_each(|cause| count(&mut self.restarts, app, cause));
        if let Died { .. } | Exited { .. } = change {
            self.ending.remove(&worker);
        }
    }

    /// A worker says that it has served so many. What it says is not trusted: less than before changes nothing.
    pub fn served(&mut self, worker: ProcessId, requests: u64) {
        if let Some((app, before)) = self.counted.get_mut(&worker)
            && requests > *before
        {
            let total = self.requests.entry(app.clone()).or_default();
            *total = total.saturating_add(requests - *before);
            *before = requests;
        }
    }

    /// A new picture.
    pub fn seen(&mut self, status: &Status) {
        for app in &status.apps {
            if !self.requests.contains_key(&app.name) {
                self.requests.insert(app.name.clone(), 0);
            }
            for worker in &app.workers {
                self.counted.entry(worker.id).or_insert_with(|| (app.name.clone(), 0));
                self.served(worker.id, worker.requests);
            }
        }
        let lives = |id: &ProcessId| status.apps.iter().any(|app| app.workers.iter().any(|it| it.id == *id));
        if self.counted.len() > status.apps.iter().map(|app| app.workers.len()).sum() {
            self.counted.retain(|id, _| lives(id));
        }
    }
}

/// The causes that nobody has asked for.
fn restart(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::MaxRequests => Some("max_requests"),
        Cause::MaxAge => Some("max_age"),
        Cause::MaxRss => Some("max_rss"),
        Cause::Hung => Some("hung"),
        Cause::RequestTimeout => Some("request_timeout"),
        Cause::BootTimeout => Some("boot_timeout"),
        Cause::Rollout
        | Cause::Resize
        | Cause::HookTimeout
        | Cause::Stop
        | Cause::Orphaned
        | Cause::Failed => None,
    }
}

/// In the words of `ostler status --json`.
fn outcome(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Nothing => "nothing",
        VerdictKind::Applied => "applied",
        VerdictKind::Refused => "refused",
        VerdictKind::Retryable => "retryable",
        VerdictKind::Failed => "failed",
        VerdictKind::Partial => "partial",
        VerdictKind::Dirty => "dirty",
        VerdictKind::Unknown => "unknown",
    }
}

fn count(counts: &mut BTreeMap<(AppName, &'static str), u64>, app: &AppName, what: &'static str) {
    *counts.entry((app.clone(), what)).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::{app, status, worker};
    use crate::supervise::{GenerationId, Verdict, WorkerState};

    fn total(counters: &Counters) -> u64 {
        counters.requests.values().sum()
    }

    #[test]
    fn requests_of_workers_that_are_gone_stay_counted() {
        let mut counters = Counters::default();
        let with = |workers: &[(u64, u64)]| {
            let workers = workers.iter().map(|(id, served)| {
                let mut worker = worker(*id, WorkerState::Ready);
                worker.requests = *served;
                worker
            });
            status(vec![app("shop", workers.collect())])
        };
        counters.seen(&with(&[(1, 10), (2, 5)]));
        assert_eq!(total(&counters), 15);
        counters.served(ProcessId(1), 12);
        counters.seen(&with(&[(2, 6), (3, 0)]));
        assert_eq!(total(&counters), 18);
        assert_eq!(counters.counted.len(), 2);
        counters.seen(&with(&[(2, 0), (3, 4)]));
        assert_eq!(total(&counters), 22, "a worker that counts backwards takes nothing away");
        counters.seen(&with(&[]));
        assert_eq!(total(&counters), 22);
    }

    #[test]
    fn migrations_are_counted_by_their_outcome() {
        let mut counters = Counters::default();
        let ended = |kind| AppEventKind::MigrationEnded {
            database: "default".into(),
            verdict: Verdict::of(kind, ""),
        };
        let applied = |seconds| AppEventKind::MigrationApplied { name: "shop.0007_price".into(), seconds };
        let kinds = [
            applied(1.5),
            applied(2.0),
            applied(f64::NAN),
            applied(-1.0),
            ended(VerdictKind::Applied),
            ended(VerdictKind::Nothing),
            ended(VerdictKind::Nothing),
        ];
        for kind in kinds {
            counters.heard(&AppEvent { app: "shop".parse().unwrap(), kind });
        }
        let counts: Vec<_> =
            counters.migrations.iter().map(|((_, outcome), count)| (*outcome, *count)).collect();
        assert_eq!(counts, [("applied", 1), ("nothing", 2)]);
        assert_eq!(counters.migration_seconds.values().sum::<f64>(), 3.5);
    }

    #[test]
    fn what_is_counted_outlives_ostlerd() {
        let mut counters = Counters::default();
        let mut ready = worker(1, WorkerState::Ready);
        ready.requests = 7;
        counters.seen(&status(vec![app("shop", vec![ready.clone()])]));
        for cause in CAUSES {
            count(&mut counters.restarts, &"shop".parse().unwrap(), cause);
        }
        for outcome in OUTCOMES {
            count(&mut counters.rollouts, &"shop".parse().unwrap(), outcome);
        }
        for verdict in VERDICTS {
            count(&mut counters.migrations, &"shop".parse().unwrap(), verdict);
        }
        counters.migration_seconds.insert("shop".parse().unwrap(), 1.5);
        let text = serde_json::to_string(&CountersRecord::from(&counters)).unwrap();
        let mut again: Counters = serde_json::from_str::<CountersRecord>(&text).unwrap().into();
        assert_eq!(again, counters);
        ready.requests = 9;
        again.seen(&status(vec![app("shop", vec![ready])]));
        assert_eq!(total(&again), 9, "what an adopted worker had served is not counted twice");
    }

    fn event(worker: u64, change: ProcessChange) -> AppEvent {
        let (process, generation) = (ProcessId(worker), GenerationId(1));
        let event = ProcessEvent { process, role: Role::Web, generation, change };
        AppEvent { app: "shop".parse().unwrap(), kind: AppEventKind::Process(event) }
    }

    #[test]
    fn what_the_kernel_killed_for_memory_is_told_from_other_deaths() {
        let mut counters = Counters::default();
        let exits = [Exit::OutOfMemory { limit: Some(1 << 30) }, Exit::OutOfMemory { limit: None }];
        for (number, exit) in exits.into_iter().chain([Exit::Signal(9)]).enumerate() {
            let last_words = Default::default();
            let died = ProcessChange::Died { exit: Some(exit), ready: number > 0, last_words };
            counters.heard(&event(number as u64, died));
        }
        let counts: Vec<_> = counters.restarts.iter().map(|((_, cause), count)| (*cause, *count)).collect();
        assert_eq!(counts, [("died", 1), ("oom", 2)]);
    }

    #[test]
    fn a_worker_that_hangs_and_dies_is_one_restart() {
        let mut counters = Counters::default();
        let age = std::time::Duration::ZERO;
        counters.heard(&event(1, ProcessChange::Hung { cause: Cause::Hung, age }));
        counters.heard(&event(1, ProcessChange::Draining { cause: Cause::Hung }));
        counters.heard(&event(2, ProcessChange::Draining { cause: Cause::Rollout }));
        assert_eq!(counters.restarts.values().sum::<u64>(), 1, "{counters:?}");
    }
}
