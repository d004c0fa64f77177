use std::time::Duration;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_any_word_the_defaults_are_these() {
    let (plan, _) = planned(&listening(""), &facts(defaults()));
    let expected = Policy {
        workers: 1,
        range: None,
        hang_timeout: Some(s(30)),
        request_timeout: None,
        drain_timeout: s(32),
        keepalive: s(2),
        quiet_drain: Some(s(2)),
        max_requests: 0,
        max_requests_jitter: 0,
        max_age: None,
        max_rss: None,
        restarts_per_minute: 60,
        no_migrations: Some(NoMigrations::NoDjango),
        rollout: RolloutPolicy {
            max_surge: Surge::Workers(1),
            boot_timeout: s(60),
            max_boot_failures: 2,
            settle: s(2),
        },
        readiness: Readiness::default(),
        resources: Resources::default(),
    };
    assert_eq!(plan.policy, expected);
    assert_eq!(plan.blueprint.listen[0].backlog, 2048);
}

#[test]
fn the_configuration_wins_over_gunicorn_and_gunicorn_over_the_default() {
    let said = Settings {
        workers: 3,
        workers_set: true,
        timeout: 90.0,
        graceful_timeout: 20.0,
        keepalive: 5.5,
        max_requests: 1000,
        max_requests_jitter: 100,
        backlog: 64,
        ..defaults()
    };
    let (plan, notes) = planned(&listening(""), &facts(said.clone()));
    assert_eq!(plan.policy.workers, 3);
    assert_eq!(plan.policy.hang_timeout, Some(s(90)));
    assert_eq!(plan.policy.drain_timeout, Duration::from_millis(25_500));
    assert_eq!((plan.policy.max_requests, plan.policy.max_requests_jitter), (1000, 100));
    assert_eq!(plan.blueprint.listen[0].backlog, 64);
    assert!(notes.is_empty(), "{notes:?}");

    let toml = "workers = 20\nbacklog = 9\n[limits]\ntimeout = 0\ngraceful_timeout = 7\nmax_requests = 0\n\
                max_requests_jitter = 5\nmax_age = \"1h\"\nmax_rss = \"1GiB\"\nrequest_timeout = 9\n\
                [rollout]\nmax_surge = \"25%\"\nboot_timeout = 5\nmax_boot_failures = 9\nsettle = 0";
    let (plan, _) = planned(&listening(toml), &facts(said));
    let policy = plan.policy;
    assert_eq!((policy.workers, policy.restarts_per_minute), (20, 300));
    assert_eq!((policy.hang_timeout, policy.drain_timeout), (None, Duration::from_millis(12_500)));
    assert_eq!((policy.max_requests, policy.max_requests_jitter), (0, 5));
    assert_eq!(
        (policy.max_age, policy.max_rss, policy.request_timeout),
        (Some(s(3600)), Some(1 << 30), Some(s(9)))
    );
    assert_eq!((policy.rollout.boot_timeout, policy.rollout.settle), (s(5), Duration::ZERO));
    assert_eq!((policy.rollout.max_surge, policy.rollout.max_boot_failures), (Surge::Percent(25), 9));
    assert_eq!(plan.blueprint.listen[0].backlog, 9);
}

#[test]
fn auto_is_two_workers_for_each_cpu_and_one() {
    let workers = |cpus| {
        planned(&listening("workers = \"auto\""), &Facts { cpus, ..facts(defaults()) }).0.policy.workers
    };
    assert_eq!([0, 1, 4, 64, 5_000, u32::MAX].map(workers), [1, 3, 9, 129, 1000, 1000]);
}

#[test]
fn a_timeout_of_zero_is_never() {
    let settings = Settings { timeout: 0.0, ..defaults() };
    assert_eq!(planned(&listening(""), &facts(settings)).0.policy.hang_timeout, None);
}

#[test]
fn a_range_begins_with_its_least_and_is_bounded_by_its_most() {
    let range = |toml: &str| planned(&listening(toml), &facts(defaults())).0.policy;
    let policy = range("workers = { min = 2, max = 16 }");
    assert_eq!(policy.range, Some(WorkerRange { min: 2, max: 16, idle: s(300) }));
    assert_eq!((policy.workers, policy.restarts_per_minute), (2, 240));
    let idle = range("workers = { min = 1, max = 1, idle = \"90s\" }").range.map(|range| range.idle);
    assert_eq!(idle, Some(s(90)));
}

#[test]
fn no_number_of_the_interpreter_s_gets_through_unbounded() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, -1.0, 1e19, 86_400.5] {
        let settings = Settings { timeout: odd, graceful_timeout: odd, keepalive: odd, ..defaults() };
        let (plan, notes) = planned(&listening(""), &facts(settings));
        let day = s(24 * 3600);
        assert!(plan.policy.hang_timeout.is_some_and(|timeout| timeout <= day), "{odd}");
        assert!(plan.policy.drain_timeout <= 2 * day, "{odd}");
        assert_eq!(notes.len(), 3, "{notes:?}");
        says(&notes[0], &["shop: gunicorn's timeout = ", " is not within 0 to 1d; "]);
    }
    let settings = Settings {
        workers: u32::MAX,
        workers_set: true,
        max_requests: u64::MAX,
        max_requests_jitter: u64::MAX,
        backlog: u32::MAX,
        umask: u32::MAX,
        umask_set: true,
        ..defaults()
    };
    let (plan, notes) = planned(&listening(""), &facts(settings));
    assert_eq!((plan.policy.workers, plan.blueprint.umask), (1000, 0o777));
    assert_eq!(plan.blueprint.listen[1].mode, Some(0));
    assert_eq!(plan.policy.max_requests, 1_000_000_000);
    let expected = [
        "shop: gunicorn's backlog = 4294967295 is not within 1 to 65535; 65535 is used",
        "shop: gunicorn's workers = 4294967295 is not within 1 to 1000; 1000 is used",
        "shop: gunicorn's max_requests = 18446744073709551615 is not within 0 to 1000000000; 1000000000 is used",
        "shop: gunicorn's max_requests_jitter = 18446744073709551615 is not within 0 to 1000000000; 1000000000 is used",
    ];
    assert_eq!(notes, expected);
}
