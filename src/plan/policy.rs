//! The numbers by which an app's workers are kept: the configuration's, else gunicorn's own, else a default.

use std::time::Duration;

use crate::config::{AppConfig, WORKERS_MOST, Workers, words};
use crate::worker::{Settings, WorkerClass};

use super::facts::Facts;
use super::migration::why_none;
use super::types::{Policy, Readiness, WorkerRange};

const DAY: Duration = Duration::from_secs(24 * 3600);
const REQUESTS_MOST: u64 = 1_000_000_000;

/// The app's policy. What gunicorn says is bounded: no number of its can stall or flood the machine.
pub(super) fn policy(app: &AppConfig, facts: &Facts, class: WorkerClass, notes: &mut Vec<String>) -> Policy {
    let settings = &facts.settings;
    let mut notes = Bounds { app: app.name.as_str(), notes };
    let limits = &app.limits;
    let workers = workers(app, facts, &mut notes);
    let range = range(app);
    let timeout = limits
        .timeout
        .unwrap_or_else(|| notes.seconds("timeout", settings.timeout, DAY, Duration::from_secs(30)));
    let graceful = limits.graceful_timeout.unwrap_or_else(|| {
        notes.seconds("graceful_timeout", settings.graceful_timeout, DAY, Duration::from_secs(30))
    });
    let keepalive = notes.seconds("keepalive", settings.keepalive, DAY, Duration::from_secs(2));
    let positive = |limit: Option<Duration>| limit.filter(|limit| !limit.is_zero());
    Policy {
        workers,
        range,
        hang_timeout: positive(Some(timeout)),
        request_timeout: positive(limits.request_timeout),
        drain_timeout: graceful.saturating_add(keepalive),
        keepalive,
        quiet_drain: class.answers_one().then_some(Duration::from_secs(2)),
        max_requests: limits
            .max_requests
            .unwrap_or_else(|| notes.requests("max_requests", settings.max_requests)),
        max_requests_jitter: limits
            .max_requests_jitter
            .unwrap_or_else(|| notes.requests("max_requests_jitter", settings.max_requests_jitter)),
        max_age: positive(limits.max_age),
        max_rss: limits.max_rss,
        no_migrations: why_none(app, facts),
        restarts_per_minute: limits
            .restarts_per_minute
            .unwrap_or(range.map_or(workers, |range| range.max).saturating_mul(15).max(60)),
        rollout: app.rollout.clone(),
        readiness: Readiness::from(app),
        resources: limits.resources,
    }
}

fn range(app: &AppConfig) -> Option<WorkerRange> {
    let Some(Workers::Range(range)) = app.workers else { return None };
    Some(range)
}

fn workers(app: &AppConfig, facts: &Facts, notes: &mut Bounds<'_>) -> u32 {
    let Settings { workers, workers_set, .. } = facts.settings;
    match app.workers {
        Some(Workers::Count(count)) => count,
        Some(Workers::Range(range)) => range.min,
        Some(Workers::Auto) => facts.cpus.saturating_mul(2).saturating_add(1).clamp(1, WORKERS_MOST),
        None if workers_set && !(1..=WORKERS_MOST).contains(&workers) => {
            let used = workers.clamp(1, WORKERS_MOST);
            notes.out_of_range(
                "workers",
                &workers.to_string(),
                &format!("1 to {WORKERS_MOST}"),
                &used.to_string(),
            );
            used
        }
        None if workers_set => workers,
        None => 1,
    }
}

/// Takes gunicorn's numbers within bounds, with a note for each that was not.
struct Bounds<'n> {
    app: &'n str,
    notes: &'n mut Vec<String>,
}

impl Bounds<'_> {
    /// A finite number of seconds from 0 to `most`; `instead` of what makes no sense.
    fn seconds(&mut self, name: &str, value: f64, most: Duration, instead: Duration) -> Duration {
        let used = match Duration::try_from_secs_f64(value) {
            Ok(value) if value <= most => return value,
            Ok(_) => most,
            Err(_) if value.is_finite() && value > 0.0 => most,
            Err(_) => instead,
        };
        self.out_of_range(name, &value.to_string(), &format!("0 to {}", words(most)), &words(used));
        used
    }

    fn requests(&mut self, name: &str, value: u64) -> u64 {
        if value > REQUESTS_MOST {
            self.out_of_range(
                name,
                &value.to_string(),
                &format!("0 to {REQUESTS_MOST}"),
                &REQUESTS_MOST.to_string(),
            );
        }
        value.min(REQUESTS_MOST)
    }

    fn out_of_range(&mut self, name: &str, value: &str, range: &str, used: &str) {
        let value = crate::config::shortened(value, 40);
        self.notes
            .push(format!("{}: gunicorn's {name} = {value} is not within {range}; {used} is used", self.app));
    }
}
