//! What people ask for, and what lies on the disk when they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ostler::config::AppName;
use ostler::plan::{AppPlan, Blueprint, MachinePolicy, Migrate, Plan, Policy, Refusal, WorkerRange};
use ostler::supervise::{Auto, Command, Event, RequestId, ScaleTo};

use crate::process::Release;
use crate::reading;
use crate::rng::Rng;
use crate::scenario::{Forks, Scenario, app_plan, commands};
use crate::world::World;

/// What lies on the disk of one app.
#[derive(Clone, Debug)]
pub(crate) struct OnDisk {
    pub(crate) name: AppName,
    pub(crate) version: u64,
    pub(crate) policy: Policy,
    pub(crate) migrate: Option<Arc<Migrate>>,
    forks: Forks,
    commands: bool,
    /// How far its number of workers follows the load, where it does.
    spread: Option<u32>,
    present: bool,
    broken: bool,
}

/// What is wrong with a broken one: with some, what may pass.
fn refused(app: &OnDisk) -> Refusal {
    match app.version % 2 {
        0 => Refusal { passing: true, ..Refusal::new("the port is in use") },
        _ => Refusal::new("no such user"),
    }
}

impl OnDisk {
    /// What it comes to.
    pub(crate) fn plan(&self) -> AppPlan {
        let plan = app_plan(&self.name, self.version, &self.policy);
        let preload = self.forks.of(self.version);
        let processes = if self.commands { commands(self.version) } else { BTreeMap::new() };
        let blueprint = Arc::new(Blueprint { preload, processes, ..Blueprint::clone(&plan.blueprint) });
        AppPlan { migrate: self.migrate.clone(), blueprint, ..plan }
    }

    /// Has so many workers; some of those that follow the load do so no more, or again.
    fn resize(&mut self, workers: u32) {
        self.policy.workers = workers;
        let idle = std::time::Duration::from_secs(5);
        let spread = self.spread.filter(|_| !workers.is_multiple_of(3));
        self.policy.range = spread.map(|spread| WorkerRange { min: workers, max: workers + spread, idle });
    }
}

pub(crate) struct Disk {
    machine: MachinePolicy,
    apps: Vec<OnDisk>,
    bad: BTreeMap<u64, Release>,
    versions: u64,
    requests: u64,
}

impl Disk {
    pub(crate) fn drawn(scenario: &Scenario, rng: &mut Rng) -> Self {
        let apps = scenario.apps.iter().enumerate();
        let apps = apps.map(|(n, (name, policy))| OnDisk {
            name: name.clone(),
            version: 0,
            policy: policy.clone(),
            spread: policy.range.map(|range| range.max - range.min),
            migrate: scenario.migrates[n].clone(),
            forks: scenario.forks[n],
            commands: scenario.commands,
            present: n < scenario.first,
            broken: rng.chance(scenario.faults.prepare_fails * 0.3),
        });
        let machine = MachinePolicy { edge_delay: scenario.edge_delay };
        Disk { machine, apps: apps.collect(), bad: BTreeMap::new(), versions: 0, requests: 0 }
    }

    pub(crate) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    pub(crate) fn app(&self, name: &AppName) -> Option<&OnDisk> {
        self.apps.iter().find(|app| app.name == *name)
    }

    pub(crate) fn release(&self, blueprint: &Blueprint) -> Release {
        self.bad.get(&blueprint.release.files).copied().unwrap_or(Release::Good)
    }

    /// The plan that the configuration comes to.
    pub(crate) fn plan(&self) -> Plan {
        let present = self.apps.iter().filter(|app| app.present);
        let prepared = present.map(|app| {
            let plan = if app.broken { Err(refused(app)) } else { Ok(app.plan()) };
            (app.name.clone(), plan)
        });
        Plan { apps: prepared.collect(), machine: self.machine, ..Plan::default() }
    }

    pub(crate) fn names(&self) -> BTreeSet<AppName> {
        self.apps.iter().map(|app| app.name.clone()).collect()
    }

    pub(crate) fn app_mut(&mut self, name: &AppName) -> Option<&mut OnDisk> {
        self.apps.iter_mut().find(|app| app.name == *name)
    }

    pub(crate) fn any(&self, rng: &mut Rng) -> AppName {
        self.apps[rng.below(self.apps.len() as u64) as usize].name.clone()
    }

    fn deploy(&mut self, index: usize, bad: f64, rng: &mut Rng) {
        self.apps[index].version = self.another(bad, rng);
    }

    /// A release that no link leads to yet.
    pub(crate) fn another(&mut self, bad: f64, rng: &mut Rng) -> u64 {
        self.versions += 1;
        if rng.chance(bad) {
            let kinds = [Release::FailsToBoot, Release::SticksInBoot, Release::Crashes, Release::Hangs];
            self.bad.insert(self.versions, kinds[rng.below(4) as usize]);
        }
        self.versions
    }

    fn edit(&mut self, index: usize, bad: f64, rng: &mut Rng) {
        match rng.below(10) {
            0..3 => self.apps[index].resize(rng.within(1, 6) as u32),
            3..5 => self.apps[index].present ^= true,
            5 => self.apps[index].broken ^= bad > 0.0,
            6..9 => self.deploy(index, bad, rng),
            _ => self.machine.edge_delay = rng.millis(0, 10_000),
        }
    }
}

/// Somebody asks for something.
pub(crate) fn ask(world: &mut World) -> Option<Event> {
    if world.is_calm() {
        return None;
    }
    let bad = world.faults().release_bad;
    let index = world.rng.below(world.disk.apps.len() as u64) as usize;
    let app = world.disk.apps[index].name.clone();
    let choice = world.rng.below(100);
    let command = match choice {
        0..40 => {
            if world.rng.chance(0.75) {
                world.disk.deploy(index, bad, &mut world.rng);
            }
            if world.rng.chance(0.3) {
                follow_up(world, index, bad);
            }
            Command::restart(app)
        }
        40..52 => scale(app, &mut world.rng),
        52..60 if world.disk.apps[index].spread.is_some() && world.loads.rng.chance(0.7) => {
            Command::Scale { app, workers: ScaleTo::Auto(Auto::Auto) }
        }
        52..60 => Command::ScaleBy { app, step: world.rng.within(0, 6) as i32 - 3 },
        60..68 => {
            if world.rng.chance(0.7) {
                let delay = world.rng.millis(0, 15_000);
                world.ask_after(delay, Command::Start { app: app.clone() });
            }
            Command::Stop { app }
        }
        68..72 => Command::Start { app },
        72..94 => {
            world.disk.edit(index, bad, &mut world.rng);
            reading::command(&mut world.readings)
        }
        94 => drain(world),
        95 => Command::Undrain,
        96 if world.leavings.rng.chance(0.5) => Command::Migrate { app, accept_breakage: false },
        96 => Command::restart("ghost".parse().expect("a valid name")),
        97..99 => {
            if world.rng.chance(0.3) {
                let delay = world.rng.millis(0, 5000);
                world.ask_after(delay, Command::ShutdownNow);
            }
            if world.leavings.rng.chance(0.3) {
                return Some(Event::EndExplained { restart: false });
            }
            Command::Shutdown
        }
        _ => Command::ShutdownNow,
    };
    let id = world.disk.next_request();
    Some(Event::Requested { id, command })
}

fn scale(app: AppName, rng: &mut Rng) -> Command {
    Command::Scale { app, workers: ScaleTo::Count(rng.within(1, 7) as i64) }
}

/// Somebody asks for something that is about the databases of an app.
pub(crate) fn ask_databases(world: &mut World) -> Option<Event> {
    let mut names: Vec<AppName> = world.databases.sites.keys().cloned().collect();
    if world.is_calm() || names.is_empty() {
        return None;
    }
    let app = names.remove(world.databases.rng.below(names.len() as u64) as usize);
    let choice = world.databases.rng.below(10);
    if choice < 7 {
        world.databases.release(&app);
    }
    let command = match choice {
        0..5 => {
            if world.databases.rng.chance(0.5) {
                let delay = world.databases.rng.millis(50, 6000);
                let next = match world.databases.rng.below(6) {
                    0 | 1 => Command::AbortMigration { app: app.clone() },
                    2 => Command::Stop { app: app.clone() },
                    3 => Command::Migrate { app: app.clone(), accept_breakage: false },
                    4 if world.databases.rng.chance(0.3) => Command::ShutdownNow,
                    _ => Command::restart(app.clone()),
                };
                let stops = matches!(next, Command::Stop { .. });
                world.ask_after(delay, next);
                if stops {
                    world.ask_after(delay * 2, Command::Start { app: app.clone() });
                }
            }
            Command::restart(app)
        }
        5..7 => Command::Migrate { app, accept_breakage: false },
        7 => Command::AbortMigration { app },
        _ => Command::ResolveMigration { app },
    };
    let id = world.disk.next_request();
    Some(Event::Requested { id, command })
}

/// The machine drains; often somebody ends that, drains it again or shuts it down.
fn drain(world: &mut World) -> Command {
    let length = world.rng.chance(0.5).then(|| world.rng.millis(0, 30_000));
    for chance in [0.7, 0.4] {
        if world.rng.chance(chance) {
            let delay = world.rng.millis(0, 20_000);
            let next = match world.rng.below(4) {
                0 | 1 => Command::Undrain,
                2 => Command::Drain { length: Some(delay) },
                _ => Command::Shutdown,
            };
            world.ask_after(delay, next);
        }
    }
    Command::Drain { length }
}

/// Something more is asked of the same app while the first is under way.
fn follow_up(world: &mut World, index: usize, bad: f64) {
    let app = world.disk.apps[index].name.clone();
    let delay = world.rng.millis(0, 8000);
    let request = match world.rng.below(4) {
        0 => Command::Stop { app },
        1 => scale(app, &mut world.rng),
        2 => Command::restart(app),
        _ => {
            world.disk.deploy(index, bad, &mut world.rng);
            Command::restart(app)
        }
    };
    world.ask_after(delay, request);
}
