//! One app: its table to its type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::check::{Checker, Section};
use super::error::{Fault, Place, Problem};
use super::types::{Address, App, AppName, Limits, ProbeConfig, RolloutConfig, Workers};
use super::{keys, names, values};

const MIB: u64 = 1024 * 1024;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_millis(100);

/// An app that was looked at; `app` is `None` where it has a problem.
pub(super) struct Checked {
    pub(super) name: AppName,
    pub(super) place: Place,
    pub(super) listen: Vec<(Address, Place)>,
    pub(super) app: Option<App>,
}

/// Checks the table of one app, `place` being where it begins.
pub(super) fn check(
    checker: &mut Checker<'_>,
    name: AppName,
    table: &DeTable<'_>,
    place: Place,
    is_root: bool,
) -> Checked {
    let before = checker.problems.len();
    let section = checker.section(&keys::APP, table);
    let listen = listen(checker, &section);
    let directory = required(checker, &section, &place, "directory", "\"/srv/shop/current\"", values::path);
    let python = required(checker, &section, &place, "python", "\"/srv/shop/venv/bin/python\"", values::path);
    let entry = required(checker, &section, &place, "app", "\"shop.wsgi:application\"", names::entry);
    let user = checker.read(&section, "user", "\"shop\"", names::login);
    if is_root && !section.has("user") && !section.nests_an_app() {
        checker.problems.push(no_user(place.clone(), &name));
    }
    let workers = super::workers::check(checker, &section);
    let all = |items: Vec<(PathBuf, Place)>| items.into_iter().map(|(path, _)| path).collect();
    let app = App {
        name: name.clone(),
        file: checker.source.file.to_owned(),
        directory: directory.unwrap_or_default(),
        python: python.unwrap_or_default(),
        entry: entry.unwrap_or_default(),
        listen: listen.iter().map(|(address, _)| address.clone()).collect(),
        socket_mode: checker.read(&section, "socket_mode", "0o660", values::mode),
        backlog: checker.read(&section, "backlog", "2048", values::count(1..=65_535)),
        user,
        group: checker.read(&section, "group", "\"shop\"", names::login),
        workers,
        args: args(checker, &section),
        env: env(checker, &section),
        env_files: all(checker.read_list(&section, "env_files", "[\"/etc/ostler/shop.env\"]", values::path)),
        umask: checker.read(&section, "umask", "0o022", values::mode),
        log_file: checker.read(&section, "log_file", "\"/var/log/shop.log\"", values::path),
        optional: checker.read(&section, "optional", "true", values::flag).unwrap_or(false),
        min_ready: min_ready(checker, &section, workers),
        preload: checker.read(&section, "preload", "true", values::flag),
        no_new_privileges: checker.read(&section, "no_new_privileges", "false", values::flag).unwrap_or(true),
        probe: probe(checker, &section),
        rollout: rollout(checker, &section),
        limits: limits(checker, &section),
        migrate: super::migrate::check(checker, &section),
        static_files: super::static_files::check(checker, &section),
    };
    let good = checker.problems.len() == before;
    Checked { name, place, listen, app: good.then_some(app) }
}

fn required<T>(
    checker: &mut Checker<'_>,
    section: &Section<'_, '_>,
    place: &Place,
    key: &'static str,
    example: &'static str,
    read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
) -> Option<T> {
    if !section.has(key) && !section.nests_an_app() {
        checker.missing(place, key, example);
    }
    checker.read(section, key, example, read)
}

fn no_user(place: Place, name: &AppName) -> Problem {
    Problem::new(place, "`user` is missing")
        .rule("ostlerd runs as root, and only an explicit user = \"root\" makes root workers")
        .help(format!("name the user that the workers become, for example user = \"{name}\""))
}

/// A number of workers that the app always has: no more than a fixed number of them, or the least of a range.
fn min_ready(checker: &mut Checker<'_>, section: &Section<'_, '_>, workers: Option<Workers>) -> Option<u32> {
    let most = match workers {
        Some(Workers::Count(count)) => count,
        Some(Workers::Range(range)) => range.min,
        _ => values::WORKERS_MOST,
    };
    checker.read(section, "min_ready", "1", values::count(1..=most))
}

/// The addresses with their places; what is wanted twice is found where all apps are known.
fn listen(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> Vec<(Address, Place)> {
    const EXAMPLE: &str = "[\"127.0.0.1:8000\"]";
    if let Some(field) = section.field("listen", EXAMPLE)
        && field.value.get_ref().as_array().is_some_and(|items| items.is_empty())
    {
        let fault = Fault::new(
            "is an empty list",
            "must name an address",
            "name one, or leave the key out where gunicorn's configuration has a bind",
        );
        checker.fault(&field, field.value, fault);
    }
    checker.read_list(section, "listen", EXAMPLE, |value| match value {
        DeValue::Integer(port) => port.to_string().parse::<Address>(),
        other => values::text(other)?.parse::<Address>(),
    })
}

fn args(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> Vec<String> {
    const EXAMPLE: &str = "[\"-k\", \"gthread\", \"--threads\", \"4\"]";
    if let Some(field) = section.field("args", EXAMPLE)
        && let DeValue::String(text) = field.value.get_ref()
    {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        let help = format!("write args = [{}]", super::source::shortened(&words.join(", "), 120));
        checker.fault(
            &field,
            field.value,
            Fault::new("is a string", "must be a list, one argument each", help),
        );
        return Vec::new();
    }
    let read = checker.read_list(section, "args", EXAMPLE, names::argument);
    read.into_iter().map(|(argument, _)| argument).collect()
}

fn env(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> BTreeMap<String, String> {
    const EXAMPLE: &str = "{ DJANGO_SETTINGS_MODULE = \"shop.settings\" }";
    let mut env = BTreeMap::new();
    let Some(table) = checker.table(section, "env", EXAMPLE) else { return env };
    for (key, value) in table {
        let name: &str = key.get_ref();
        let shown = super::source::shortened(name, 60);
        let written = checker.source.written(value.span());
        let (span, fault) = match (names::env_name_fault(name), names::env_value(value.get_ref(), &written)) {
            (Some(fault), _) => (key.span(), fault),
            (None, Err(fault)) => (value.span(), fault),
            (None, Ok(text)) => {
                env.insert(name.to_owned(), text);
                continue;
            }
        };
        let problem = Problem::new(checker.source.place(span), format!("`env.{shown}` {}", fault.what));
        let example = format!("write for example env = {EXAMPLE}");
        let help = if fault.help.is_empty() { example } else { fault.help };
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    env
}

fn probe(checker: &mut Checker<'_>, parent: &Section<'_, '_>) -> ProbeConfig {
    let Some(table) = checker.table(parent, "probe", "{ path = \"/healthz\" }") else {
        return ProbeConfig::default();
    };
    let section = checker.section(&keys::PROBE, table);
    let most = Duration::from_secs(600);
    let default = ProbeConfig::default();
    ProbeConfig {
        enabled: checker.read(&section, "enabled", "false", values::flag).unwrap_or(default.enabled),
        path: checker.read(&section, "path", "\"/healthz\"", names::url_path),
        host: checker.read(&section, "host", "\"shop.example.com\"", names::host),
        scheme: checker.read(&section, "scheme", "\"https\"", names::scheme).unwrap_or(default.scheme),
        timeout: checker
            .read(&section, "timeout", "\"10s\"", values::duration(SHORTEST..=most, false))
            .unwrap_or(default.timeout),
    }
}

fn rollout(checker: &mut Checker<'_>, parent: &Section<'_, '_>) -> RolloutConfig {
    let Some(table) = checker.table(parent, "rollout", "{ max_surge = 1 }") else {
        return RolloutConfig::default();
    };
    let section = checker.section(&keys::ROLLOUT, table);
    RolloutConfig {
        max_surge: checker.read(&section, "max_surge", "\"50%\"", values::surge),
        boot_timeout: checker.read(
            &section,
            "boot_timeout",
            "\"60s\"",
            values::duration(SHORTEST..=DAY, false),
        ),
        max_boot_failures: checker.read(&section, "max_boot_failures", "2", values::count(1..=1000)),
        settle: checker.read(
            &section,
            "settle",
            "\"2s\"",
            values::duration(Duration::ZERO..=10 * MINUTE, false),
        ),
    }
}

fn limits(checker: &mut Checker<'_>, parent: &Section<'_, '_>) -> Limits {
    const BILLION: u64 = 1_000_000_000;
    let Some(table) = checker.table(parent, "limits", "{ max_rss = \"512MiB\" }") else {
        return Limits::default();
    };
    let section = checker.section(&keys::LIMITS, table);
    let second = Duration::from_secs(1);
    let mut time = |key, example, shortest, longest, or_never| {
        checker.read(&section, key, example, values::duration(shortest..=longest, or_never))
    };
    let max_age = time("max_age", "\"12h\"", second, 365 * DAY, true);
    let request_timeout = time("request_timeout", "\"60s\"", SHORTEST, DAY, true);
    // Workers beat once a second: a shorter patience would take every one of them for hung.
    let timeout = time("timeout", "\"30s\"", 2 * second, DAY, true);
    let graceful_timeout = time("graceful_timeout", "\"30s\"", Duration::ZERO, DAY, false);
    let memory = |checker: &mut Checker<'_>, key| {
        checker.read(&section, key, "\"2GiB\"", values::size(16 * MIB..=(MIB << 20)))
    };
    let (memory_high, memory_max) = (memory(checker, "memory_high"), memory(checker, "memory_max"));
    if let (Some(high), Some(max)) = (memory_high, memory_max)
        && high > max
        && let Some(field) = section.field("memory_high", "")
    {
        let rule = "must not be above `memory_max`: what is killed first is never slowed down";
        let fault = Fault::new("is more than `memory_max`", rule, "lower it, or leave it out");
        checker.fault(&field, field.value, fault);
    }
    // A limit of 0 is no limit, but it says so against gunicorn's own setting where there is one.
    let lasting = |limit: Option<Duration>| limit.filter(|limit| !limit.is_zero());
    Limits {
        max_rss: checker.read(&section, "max_rss", "\"512MiB\"", values::size(MIB..=(MIB << 20))),
        max_requests: checker.read(&section, "max_requests", "10000", values::whole(0..=BILLION)),
        max_requests_jitter: checker.read(
            &section,
            "max_requests_jitter",
            "1000",
            values::whole(0..=BILLION),
        ),
        max_age: lasting(max_age),
        request_timeout: lasting(request_timeout),
        timeout,
        graceful_timeout,
        restarts_per_minute: checker.read(&section, "restarts_per_minute", "60", values::count(1..=10_000)),
        nofile: checker.read(&section, "nofile", "65536", values::whole(64..=1_048_576)),
        memory_high,
        memory_max,
        cpu_weight: checker.read(&section, "cpu_weight", "200", values::whole(1..=10_000)),
        tasks_max: checker.read(&section, "tasks_max", "512", values::whole(1..=4_194_304)),
    }
}
