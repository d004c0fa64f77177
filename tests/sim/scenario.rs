//! What a seed stands for: the apps with their numbers, how often what fails, and for how long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::{
    AppPlan, Blueprint, Fingerprint, Hook, Migrate, Policy, Preload, Probe, Resources, RolloutPolicy, Surge,
    WorkerClass, WorkerRange,
};

use crate::rng::Rng;
use crate::site::{Troubles, migrate};

/// How hostile the world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing fails but what is asked for.
    Calm,
    /// Things fail now and then.
    Uneven,
    /// Everything fails often.
    Hostile,
    /// No worker lives.
    AllCrash,
}

/// How likely each fault is, each time it could happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) spawn_fails: f64,
    pub(crate) boot_fails: f64,
    pub(crate) boot_sticks: f64,
    pub(crate) crashes: f64,
    pub(crate) hangs: f64,
    pub(crate) ignores_term: f64,
    pub(crate) ignores_quit: f64,
    pub(crate) ignores_abort: f64,
    pub(crate) fact_late: f64,
    pub(crate) look_lost: f64,
    pub(crate) garbage: f64,
    pub(crate) prepare_fails: f64,
    pub(crate) prepare_slow: f64,
    pub(crate) release_bad: f64,
    pub(crate) shell_late: f64,
    pub(crate) queue_stays: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) mood: Mood,
    pub(crate) faults: Faults,
    /// Every app that may ever exist, with its numbers.
    pub(crate) apps: Vec<(AppName, Policy)>,
    /// What is migrated, by app: in half of the scenarios nothing is.
    pub(crate) migrates: Vec<Option<Arc<Migrate>>>,
    pub(crate) troubles: Troubles,
    /// How many of them are there from the start.
    pub(crate) first: usize,
    /// When faults and requests stop.
    pub(crate) calm_from: Duration,
    /// From one look at the workers to the next.
    pub(crate) look: Duration,
    /// How many requests are made until then.
    pub(crate) asks: u64,
    /// How long the edge takes to notice a drain.
    pub(crate) edge_delay: Duration,
    /// How long an ordinary boot takes, at most.
    pub(crate) boot: Duration,
    /// What the workers of each app are forked from.
    pub(crate) forks: Vec<Forks>,
    /// Whether commands run beside the workers.
    pub(crate) commands: bool,
}

/// What the workers of an app are forked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forks {
    Always(Preload),
    /// Another kind of zygote, or none, with each release.
    Changing,
}

impl Forks {
    pub(crate) fn of(self, version: u64) -> Preload {
        match self {
            Forks::Always(preload) => preload,
            Forks::Changing => kind_of_zygote(version),
        }
    }

    fn drawn(rng: &mut Rng) -> Forks {
        match rng.below(5) {
            0..4 => Forks::Always(kind_of_zygote(rng.below(3))),
            _ => Forks::Changing,
        }
    }
}

/// One of the three.
pub(crate) fn kind_of_zygote(number: u64) -> Preload {
    [Preload::Nothing, Preload::App, Preload::Settings][(number % 3) as usize]
}

impl Scenario {
    pub(crate) fn drawn(rng: &mut Rng) -> Self {
        let mood = match rng.below(10) {
            0..2 => Mood::Calm,
            2..6 => Mood::Uneven,
            6..9 => Mood::Hostile,
            _ => Mood::AllCrash,
        };
        // Drawn aside, so that what a seed stands for otherwise stays as it was.
        let mut aside = rng.clone();
        let edge_delay = if aside.chance(0.5) { aside.millis(500, 20_000) } else { Duration::ZERO };
        let migrated = aside.chance(0.5);
        let troubles = Troubles::drawn(&mut aside, mood.scale());
        let count = rng.within(1, 3);
        let one = |rng: &mut Rng| (migrated && rng.chance(0.7)).then(|| migrate(rng));
        let migrates = (0..count).map(|_| one(&mut aside)).collect();
        let zygotes = aside.chance(0.6);
        let one = |rng: &mut Rng| if zygotes { Forks::drawn(rng) } else { Forks::Always(Preload::Nothing) };
        let forks = (0..count).map(|_| one(&mut aside)).collect();
        let mut apps: Vec<(AppName, Policy)> = (0..count).map(|n| (name(n), policy(rng))).collect();
        if aside.chance(0.25) {
            apps.iter_mut().for_each(|(_, policy)| policy.range = Some(range(policy.workers, &mut aside)));
        }
        let commands = aside.chance(0.25);
        Scenario {
            mood,
            faults: faults(mood, rng),
            apps,
            migrates,
            troubles,
            first: rng.within(1, count) as usize,
            calm_from: rng.millis(20_000, 150_000),
            look: rng.millis(800, 4000),
            asks: rng.within(1, 12),
            edge_delay,
            boot: rng.millis(200, 3000),
            forks,
            commands,
        }
    }
}

pub(crate) fn name(n: u64) -> AppName {
    ["shop", "blog", "api"][n as usize].parse().expect("a valid name")
}

impl Mood {
    fn scale(self) -> f64 {
        match self {
            Mood::Calm => 0.0,
            Mood::Uneven => 0.05,
            Mood::Hostile | Mood::AllCrash => 0.3,
        }
    }
}

fn faults(mood: Mood, rng: &mut Rng) -> Faults {
    let scale = mood.scale();
    if mood == Mood::Calm {
        return Faults::default();
    }
    let mut draw =
        |most: f64| if rng.chance(0.5) { most * scale * rng.below(1000) as f64 / 500.0 } else { 0.0 };
    let mut faults = Faults {
        spawn_fails: draw(0.5),
        boot_fails: draw(1.0),
        boot_sticks: draw(0.5),
        crashes: draw(1.0),
        hangs: draw(0.7),
        ignores_term: draw(1.0),
        ignores_quit: draw(1.5),
        ignores_abort: draw(1.5),
        fact_late: draw(1.0),
        look_lost: draw(1.0),
        garbage: draw(0.3),
        prepare_fails: draw(0.6),
        prepare_slow: draw(0.6),
        release_bad: draw(1.5),
        shell_late: draw(0.5),
        queue_stays: draw(1.0),
    };
    if mood == Mood::AllCrash {
        faults.boot_fails = 0.8;
        faults.crashes = 1.0;
    }
    faults
}

pub(crate) fn policy(rng: &mut Rng) -> Policy {
    let secs = Duration::from_secs;
    let boot_timeout = rng.millis(6000, 20_000);
    Policy {
        no_migrations: None,
        workers: rng.within(1, 6) as u32,
        range: None,
        hang_timeout: rng.chance(0.8).then(|| rng.millis(3000, 10_000)),
        request_timeout: rng.chance(0.4).then(|| rng.millis(5000, 20_000)),
        drain_timeout: rng.millis(1000, 10_000),
        keepalive: secs(2),
        quiet_drain: rng.chance(0.2).then_some(secs(2)),
        max_requests: if rng.chance(0.5) { rng.within(50, 500) } else { 0 },
        max_requests_jitter: if rng.chance(0.5) { rng.below(50) } else { 0 },
        max_age: rng.chance(0.3).then(|| rng.millis(20_000, 120_000)),
        max_rss: rng.chance(0.3).then_some(200 << 20),
        restarts_per_minute: rng.within(5, 60) as u32,
        rollout: RolloutPolicy {
            max_surge: if rng.chance(0.7) {
                Surge::Workers(rng.within(1, 3) as u32)
            } else {
                Surge::Percent(rng.within(1, 4) as u32 * 25)
            },
            boot_timeout,
            max_boot_failures: rng.within(1, 4) as u32,
            settle: rng.millis(100, 3000),
        },
        readiness: ostler::plan::Readiness::default(),
        resources: Resources::default(),
    }
}

/// What a version of an app is started from; the version is in `release.files`.
pub(crate) fn blueprint(app: &AppName, version: u64) -> Arc<Blueprint> {
    Arc::new(Blueprint {
        app: app.clone(),
        directory: crate::links::folder(app, version),
        python: PathBuf::from("/usr/bin/python3"),
        entry: "wsgi:application".to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        account: None,
        umask: 0o022,
        limits: ostler::plan::ProcessLimits::default(),
        listen: Vec::new(),
        class: WorkerClass::Sync,
        capacity: Some(1),
        gunicorn: "27.0.1".to_owned(),
        probe: Some(Probe {
            path: "/".to_owned(),
            host: None,
            scheme: "http".to_owned(),
            timeout: Duration::from_secs(10),
            asked: version % 4 == 1,
        }),
        log_file: None,
        hooks: if version % 3 == 1 { Hook::ALL.to_vec() } else { Vec::new() },
        preload: Preload::Nothing,
        processes: BTreeMap::new(),
        no_new_privileges: true,
        image: None,
        release: Fingerprint { files: version, newest: 0 },
    })
}

/// The commands of a release: each second one has two.
pub(crate) fn commands(version: u64) -> BTreeMap<String, Vec<String>> {
    let names = if version % 2 == 1 { &["queue", "beat"][..] } else { &["queue"] };
    names.iter().map(|name| (name.to_string(), vec![name.to_string()])).collect()
}

/// The load decides, from so many workers on.
pub(crate) fn range(workers: u32, rng: &mut Rng) -> WorkerRange {
    let max = workers + rng.below(7) as u32;
    WorkerRange { min: workers, max, idle: Duration::from_secs(5) }
}

pub(crate) fn app_plan(app: &AppName, version: u64, policy: &Policy) -> AppPlan {
    AppPlan { blueprint: blueprint(app, version), policy: policy.clone(), migrate: None }
}
