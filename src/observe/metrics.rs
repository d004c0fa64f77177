//! What Prometheus scrapes, in the text format of OpenMetrics, made from the picture and the counters alone.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

use super::health::{Judge, Pressure};
use super::{AppStatus, WorkerStatus};
use crate::supervise::{ScalingView, WorkerState};

type Labels = Vec<(&'static str, String)>;
type Whole = Family<Labels, Gauge>;
type Fraction = Family<Labels, Gauge<f64, AtomicU64>>;
type Count = Family<Labels, Counter>;

const STATES: [(WorkerState, &str); 5] = [
    (WorkerState::Booting, "booting"),
    (WorkerState::Held, "held"),
    (WorkerState::Ready, "ready"),
    (WorkerState::Draining, "draining"),
    (WorkerState::Ending, "ending"),
];

/// The whole exposition.
pub(super) fn text(judge: &Judge<'_>) -> String {
    let mut registry = Registry::with_prefix("ostler");
    machine(&mut registry, judge);
    apps(&mut registry, judge);
    migrations(&mut registry, judge);
    counters(&mut registry, judge);
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a text does not fail");
    text
}

/// The same in Prometheus' older text format, for whoever does not ask for OpenMetrics: there a counter's and an info's
/// description bears the name of its samples, and an info is a gauge.
pub(super) fn classic(text: &str) -> String {
    let kind = |name: &str| {
        let prefix = format!("# TYPE {name} ");
        text.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    };
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let described =
            ["# HELP ", "# TYPE "].into_iter().find_map(|mark| Some((mark, line.strip_prefix(mark)?)));
        let Some((mark, (name, rest))) =
            described.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?)))
        else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let suffix = match kind(name) {
            Some("counter") => "_total",
            Some("info") => "_info",
            _ => "",
        };
        let rest = if rest == "info" { "gauge" } else { rest };
        out.push_str(&format!("{mark}{name}{suffix} {rest}\n"));
    }
    out
}

fn machine(registry: &mut Registry, judge: &Judge<'_>) {
    let flag = |registry: &mut Registry, name: &str, help: &str, value: bool| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value.into());
        registry.register(name, help, gauge);
    };
    let build = Info::new(vec![("version", judge.status.version.clone())]);
    registry.register("build", "The running ostlerd", build);
    flag(registry, "live", "Whether ostlerd's loop goes round", judge.live().is_ok());
    flag(registry, "ready", "Whether /readyz says ok", judge.machine(|_| false).is_ok());
    flag(registry, "draining", "Whether the machine drains", judge.status.draining);
    let valid = judge.status.config.valid;
    flag(registry, "config_valid", "Whether the configuration's files were accepted when last read", valid);
}

/// A gauge of each app, those without a value left out.
fn each(judge: &Judge<'_>, value: impl Fn(&AppStatus) -> Option<i64>) -> Whole {
    let family = Whole::default();
    for app in &judge.status.apps {
        if let Some(value) = value(app) {
            family.get_or_create(&named(app.name.as_str())).set(value);
        }
    }
    family
}

fn named(app: &str) -> Labels {
    vec![("app", app.to_owned())]
}

fn sum(app: &AppStatus, of: impl Fn(&WorkerStatus) -> u64) -> i64 {
    i64::try_from(app.workers.iter().map(of).fold(0, u64::saturating_add)).unwrap_or(i64::MAX)
}

fn apps(registry: &mut Registry, judge: &Judge<'_>) {
    let workers = Whole::default();
    let oldest = Fraction::default();
    for app in &judge.status.apps {
        for (state, name) in STATES {
            let mut labels = named(app.name.as_str());
            labels.push(("state", name.to_owned()));
            let count = app.workers.iter().filter(|worker| worker.state == state).count();
            workers.get_or_create(&labels).set(count as i64);
        }
        let ages = app.workers.iter().filter_map(|worker| worker.oldest_request_seconds);
        oldest.get_or_create(&named(app.name.as_str())).set(ages.fold(0.0, f64::max));
    }
    registry.register("workers", "Workers by state", workers);
    let wanted = each(judge, |app| Some(app.workers_wanted.into()));
    registry.register("workers_wanted", "Workers that should serve", wanted);
    let range = |of: fn(&ScalingView) -> i64| each(judge, move |app| app.scaling.as_ref().map(of));
    registry.register(
        "workers_min",
        "Workers that there are always, where the load decides",
        range(|it| it.min.into()),
    );
    registry.register(
        "workers_max",
        "Workers that there may be, where the load decides",
        range(|it| it.max.into()),
    );
    let held = "Whether the load asks for more workers than memory allows";
    registry.register("workers_held_by_memory", held, range(|it| it.held_back.is_some().into()));
    let ready = each(judge, |app| Some(judge.app(app).is_ok().into()));
    registry.register("app_ready", "Whether the app is ready by itself", ready);
    let saturated = each(judge, |app| Some((judge.vitals.pressure(&app.name) != Pressure::None).into()));
    registry.register("app_saturated", "Whether the app has more to do than it can", saturated);
    let in_flight = each(judge, |app| Some(sum(app, |worker| worker.in_flight.into())));
    registry.register("requests_in_flight", "Requests under way", in_flight);
    registry.register_with_unit(
        "oldest_request",
        "Age of the oldest request under way",
        Unit::Seconds,
        oldest,
    );
    let rss = each(judge, |app| Some(sum(app, |worker| worker.rss_bytes.unwrap_or(0))));
    registry.register_with_unit(
        "workers_resident_memory",
        "Resident memory of all workers",
        Unit::Bytes,
        rss,
    );
    zygotes(registry, judge);
    let queue = each(judge, |app| app.health.listen_queue.map(i64::from));
    registry.register("listen_queue_connections", "Connections that wait, of all listeners", queue);
    let most = each(judge, |app| app.health.listen_backlog.map(i64::from));
    registry.register("listen_queue_limit_connections", "Connections that may wait", most);
}

/// With `preload`, or a `gunicorn.conf.py`: what workers are forked from.
fn zygotes(registry: &mut Registry, judge: &Judge<'_>) {
    let count = Whole::default();
    for app in &judge.status.apps {
        for (state, is_ready) in [("loading", false), ("ready", true)] {
            let mut labels = named(app.name.as_str());
            labels.push(("state", state.to_owned()));
            let of = app.zygotes.iter().filter(|zygote| zygote.ready == is_ready).count();
            count.get_or_create(&labels).set(of as i64);
        }
    }
    registry.register("zygotes", "Processes that workers are forked from, by state", count);
    let rss = each(judge, |app| {
        let total = app.zygotes.iter().filter_map(|zygote| zygote.rss_bytes).fold(0, u64::saturating_add);
        Some(i64::try_from(total).unwrap_or(i64::MAX))
    });
    registry.register_with_unit(
        "zygotes_resident_memory",
        "Resident memory of what workers are forked from",
        Unit::Bytes,
        rss,
    );
}

/// What is under way, and whether the last one left something to do.
fn migrations(registry: &mut Registry, judge: &Judge<'_>) {
    let running = each(judge, |app| Some(app.migration.is_some().into()));
    registry.register("migration_running", "Whether a migration is under way", running);
    let failed =
        |app: &AppStatus| app.last_migration.as_ref().is_some_and(|last| !last.verdict.kind.is_good());
    let bad = each(judge, |app| Some(failed(app).into()));
    registry.register("migration_failed", "Whether the last migration did not succeed", bad);
    let blocked = each(judge, |app| app.migration.as_ref().map(|it| it.blocked.into()));
    registry.register("migration_blocked_sessions", "Sessions that wait behind the migration", blocked);
    let blockers = each(judge, |app| {
        app.migration.as_ref().map(|it| i64::try_from(it.blockers.len()).unwrap_or(i64::MAX))
    });
    registry.register("migration_blocking_sessions", "Sessions that the migration waits for", blockers);
    let (age, harm) = (Fraction::default(), Fraction::default());
    for app in &judge.status.apps {
        let labels = named(app.name.as_str());
        let migration = app.migration.as_ref();
        age.get_or_create(&labels).set(migration.map_or(0.0, |it| it.since_seconds));
        harm.get_or_create(&labels).set(migration.and_then(|it| it.harm_seconds).unwrap_or(0.0));
    }
    registry.register_with_unit(
        "migration_running",
        "How long the migration that is under way has been",
        Unit::Seconds,
        age,
    );
    registry.register_with_unit(
        "migration_longest_wait",
        "How long others have waited behind the migration that is under way",
        Unit::Seconds,
        harm,
    );
}

fn counters(registry: &mut Registry, judge: &Judge<'_>) {
    let counters = judge.vitals.counters();
    let requests = Count::default();
    for (app, total) in &counters.requests {
        requests.get_or_create(&named(app.as_str())).inc_by(*total);
    }
    registry.register("requests", "Requests served, by workers that are gone too", requests);
    let two = |counts: &std::collections::BTreeMap<(crate::config::AppName, &'static str), u64>, label| {
        let family = Count::default();
        for ((app, what), count) in counts {
            let mut labels = named(app.as_str());
            labels.push((label, (*what).to_owned()));
            family.get_or_create(&labels).inc_by(*count);
        }
        family
    };
    let restarts = two(&counters.restarts, "cause");
    registry.register("worker_restarts", "Workers replaced without being asked to, by cause", restarts);
    let rollouts = two(&counters.rollouts, "outcome");
    registry.register("rollouts", "Rollouts that ended, by outcome", rollouts);
    let migrations = two(&counters.migrations, "outcome");
    registry.register("migrations", "Runs of migrations that ended, by outcome", migrations);
    let seconds = Family::<Labels, Counter<f64, AtomicU64>>::default();
    for (app, total) in &counters.migration_seconds {
        seconds.get_or_create(&named(app.as_str())).inc_by(*total);
    }
    registry.register_with_unit(
        "migration",
        "Time that migrations took which were applied",
        Unit::Seconds,
        seconds,
    );
}
