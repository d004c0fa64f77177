//! Pictures for the tests of this module.

use super::{AppHealth, AppStatus, ConfigStatus, Status, WorkerStatus, ZygoteStatus};
use crate::supervise::{
    AppState, GenerationId, MigrationPhase, MigrationView, ProcessId, RunId, WorkerState,
};
use std::time::Duration;

pub(super) fn status(apps: Vec<AppStatus>) -> Status {
    let config =
        ConfigStatus { valid: true, file: "/etc/ostler/ostler.toml".into(), ..ConfigStatus::default() };
    Status { version: "0.1.0".into(), pid: 12, draining: false, drain: None, config, apps }
}

pub(super) fn app(name: &str, workers: Vec<WorkerStatus>) -> AppStatus {
    AppStatus {
        name: name.parse().expect("a name"),
        state: AppState::Serving,
        generation: Some(GenerationId(1)),
        directory: None,
        image: None,
        before: None,
        output: None,
        runs: None,
        workers_wanted: workers.len() as u32,
        proof: None,
        scaling: None,
        listeners: vec![],
        migrations: None,
        unmigrated: Vec::new(),
        migration: None,
        last_migration: None,
        rollout: None,
        last_rollout: None,
        problem: None,
        last_words: None,
        backoff_seconds: None,
        release_changed: None,
        health: AppHealth { min_ready: 1, ..AppHealth::default() },
        workers,
        zygotes: vec![],
        processes: vec![],
    }
}

pub(super) fn worker(id: u64, state: WorkerState) -> WorkerStatus {
    WorkerStatus {
        id: ProcessId(id),
        pid: Some(100),
        generation: GenerationId(1),
        state,
        requests: 0,
        in_flight: 0,
        oldest_request_seconds: None,
        rss_bytes: Some(1 << 20),
        age_seconds: 1.0,
        keeps_idle_seconds: None,
    }
}

pub(super) fn zygote(id: u64) -> ZygoteStatus {
    ZygoteStatus {
        id: ProcessId(id),
        pid: Some(808),
        generation: GenerationId(1),
        loads: crate::plan::Preload::App,
        ready: true,
        rss_bytes: Some(96 << 20),
        age_seconds: 125.0,
    }
}

/// The second of three, in the middle of its work.
pub(super) fn migration() -> MigrationView {
    MigrationView {
        run: RunId(1),
        database: "default".into(),
        phase: MigrationPhase::Running,
        since: Duration::from_secs(15),
        attempt: 1,
        migration: Some("shop.0007_price".into()),
        number: 2,
        of: 3,
        migration_since: Some(Duration::from_secs(12)),
        usually: Some(Duration::from_secs(40)),
        operation: Some((1, 2, "Add field cents to product".into())),
        doing: Some(("building index".into(), Some(43.2))),
        blockers: vec![],
        harm: None,
        aborting: None,
        warning: None,
    }
}
