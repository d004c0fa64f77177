//! The simulated machine: it carries out actions, later, badly or never, and makes facts of what comes of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::Refusal;
use ostler::supervise::{
    Action, Event, Exit, HandoverBy, LinkOrder, MigrationFact, Moment, ProcessFact, ProcessId, Role, RunId,
    Start,
};

use crate::asks::Disk;
use crate::databases::{Databases, Later};
use crate::hooks::Hosts;
use crate::leaving::{self, Leavings};
use crate::links::{Links, carry_out};
use crate::lives::Way;
use crate::load::Loads;
use crate::process::{Process, Stage};
use crate::reading::{self, Reading};
use crate::rng::Rng;
use crate::scenario::{Faults, Scenario};
use crate::zygotes::Zygotes;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Due {
    /// The core hears this.
    Fact(Box<Event>),
    /// A worker's boot comes to its end.
    Booted(ProcessId),
    /// A worker runs its loop.
    Serving(ProcessId),
    /// A zygote makes a worker.
    Forks(ProcessId),
    /// A process has written down where it stands.
    Stands(ProcessId),
    /// A process ends.
    Exits(ProcessId, Exit),
    /// A hook has run, or the process for hooks is forked.
    Hook(ProcessId),
    /// A process for hooks ends.
    HostExits(ProcessId, Exit),
    /// A preparation ends.
    Prepared(AppName),
    /// A reading of the configuration ends.
    ConfigRead(Box<Reading>),
    /// A look at all workers.
    Look,
    /// Somebody asks for something.
    Ask,
    /// Something happens to a migration.
    Migration(RunId, Later),
    /// Somebody asks for something about databases.
    AskDatabases,
    /// Something is done about a release link.
    Link(AppName, LinkOrder),
    /// Somebody names a release.
    AskSwitch,
    /// ostlerd makes room, or does not.
    Leaves(HandoverBy),
    /// Somebody asks for just this.
    AskFor(Box<ostler::supervise::Command>),
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) scenario: Scenario,
    pub(crate) disk: Disk,
    pub(crate) databases: Databases,
    pub(crate) links: Links,
    pub(crate) loads: Loads,
    pub(crate) leavings: Leavings,
    /// What is drawn for readings of the configuration.
    pub(crate) readings: Rng,
    pub(crate) processes: BTreeMap<ProcessId, Process>,
    /// Workers that are to be forked.
    pub(crate) zygotes: Zygotes,
    pub(crate) hooks: Hosts,
    pub(crate) gone: Vec<ProcessId>,
    /// Every worker that there was a process of.
    pub(crate) begun: BTreeSet<ProcessId>,
    queue: BinaryHeap<Reverse<(Moment, u64)>>,
    entries: BTreeMap<u64, Due>,
    count: u64,
    pub(crate) now: Moment,
    /// Nobody is there to be told, or to be asked.
    pub(crate) deaf: bool,
}

impl World {
    pub(crate) fn new(scenario: Scenario, mut rng: Rng) -> Self {
        let disk = Disk::drawn(&scenario, &mut rng);
        let sites = scenario.apps.iter().map(|(app, _)| app.clone()).zip(scenario.migrates.iter().cloned());
        let databases = Databases::drawn(rng.clone(), scenario.troubles, sites);
        let links = Links::drawn(&rng);
        let loads = Loads::new(rng.clone());
        let readings = reading::drawn(&rng);
        let leavings = Leavings::drawn(&rng);
        let hooks = Hosts::drawn(&rng);
        let mut world = World {
            links,
            rng,
            scenario,
            disk,
            databases,
            loads,
            leavings,
            readings,
            processes: BTreeMap::new(),
            zygotes: Zygotes::default(),
            hooks,
            gone: Vec::new(),
            begun: BTreeSet::new(),
            queue: BinaryHeap::new(),
            entries: BTreeMap::new(),
            count: 0,
            now: Moment::ZERO,
            deaf: false,
        };
        world.after(world.scenario.look, Due::Look);
        for _ in 0..world.scenario.asks {
            let at = world.rng.millis(0, world.scenario.calm_from.as_millis() as u64 - 1);
            let times = if world.rng.chance(0.2) { 2 } else { 1 };
            (0..times).for_each(|_| world.after(at, Due::Ask));
        }
        for at in world.links.asks(world.scenario.calm_from) {
            world.after(at, Due::AskSwitch);
        }
        for at in world.leavings.asks(world.scenario.calm_from) {
            world.ask_after(at, ostler::supervise::Command::Reexec);
        }
        if !world.databases.sites.is_empty() {
            for _ in 0..world.databases.rng.within(1, 6) {
                let most = world.scenario.calm_from.as_millis() as u64 - 1;
                let at = world.databases.rng.millis(0, most);
                world.after(at, Due::AskDatabases);
            }
        }
        world
    }

    /// The faults in force now.
    pub(crate) fn faults(&self) -> Faults {
        if self.is_calm() { Faults::default() } else { self.scenario.faults }
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.now.since_origin() >= self.scenario.calm_from
    }

    pub(crate) fn after(&mut self, delay: Duration, due: Due) {
        self.count += 1;
        self.queue.push(Reverse((self.now + delay, self.count)));
        self.entries.insert(self.count, due);
    }

    /// Sees to it that this is asked for after a while.
    pub(crate) fn ask_after(&mut self, delay: Duration, request: ostler::supervise::Command) {
        self.after(delay, Due::AskFor(Box::new(request)));
    }

    /// The core hears it soon, or, where facts come late, somewhat later.
    pub(crate) fn tell(&mut self, event: Event) {
        if self.deaf {
            if let Event::Process { process: worker, fact: ProcessFact::Exited(_) } = event {
                self.gone.push(worker);
            }
            return;
        }
        let late = self.faults().fact_late;
        let delay = if self.rng.chance(late) { self.rng.millis(20, 900) } else { self.rng.millis(0, 15) };
        self.after(delay, Due::Fact(Box::new(event)));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Moment> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Time passes to `now` without anything of the world's kind.
    pub(crate) fn wait_until(&mut self, now: Moment) {
        self.now = self.now.max(now);
    }

    /// Lets the next thing happen; returns what the core hears of it at once.
    pub(crate) fn advance(&mut self) -> Option<Event> {
        let Reverse((at, number)) = self.queue.pop()?;
        self.now = self.now.max(at);
        match self.entries.remove(&number)? {
            Due::Fact(event) => {
                match &*event {
                    Event::Process { process: worker, fact: ProcessFact::Exited(_) } => {
                        self.gone.push(*worker)
                    }
                    Event::ReleaseLinkObserved { app, .. } => _ = self.links.ordered.remove(app),
                    _ => {}
                }
                return Some(*event);
            }
            Due::Booted(worker) => self.booted(worker),
            Due::Stands(worker) => self.stands(worker),
            Due::Serving(worker) => self.serving(worker),
            Due::Forks(worker) => self.forks(worker),
            Due::Exits(worker, exit) => self.exits(worker, exit),
            Due::Hook(host) => self.hook(host),
            Due::HostExits(host, exit) => self.host_exits(host, exit),
            Due::Prepared(app) => return Some(self.prepared(app)),
            Due::ConfigRead(reading) => return Some(reading::end(self, *reading)),
            Due::Look if self.deaf => self.after(self.scenario.look, Due::Look),
            Due::Ask | Due::AskFor(_) | Due::AskSwitch if self.deaf => {}
            Due::Look => return Some(self.look()),
            Due::Migration(run, later) => {
                let fact = self.migration(run, later)?;
                return Some(Event::MigrationHeard { run, fact: Box::new(fact) });
            }
            Due::Link(app, order) => {
                let fact = carry_out(self, &app, &order).filter(|_| !self.deaf)?;
                let delay = self.links.rng.millis(0, 15);
                self.after(delay, Due::Fact(Box::new(Event::ReleaseLinkObserved { app, fact })));
            }
            Due::Leaves(way) => return leaving::leave(self, way),
            Due::AskSwitch => return crate::links::ask(self),
            Due::AskDatabases => return crate::asks::ask_databases(self),
            Due::Ask => return crate::asks::ask(self),
            Due::AskFor(request) => {
                let id = self.disk.next_request();
                return Some(Event::Requested { id, command: *request });
            }
        }
        None
    }

    pub(crate) fn perform(&mut self, now: Moment, action: &Action) {
        self.now = self.now.max(now);
        match action {
            Action::Prepare { app } => {
                let slow = self.faults().prepare_slow;
                let most = if self.rng.chance(slow) { 20_000 } else { 800 };
                let delay = self.rng.millis(20, most);
                self.after(delay, Due::Prepared(app.clone()));
            }
            Action::ReadConfig { keep, .. } => reading::begin(self, keep),
            Action::CheckSuccessor | Action::Leave(_) => leaving::perform(self, action),
            Action::StartProcess(Start { process, role: Role::Background(_), .. }) => {
                self.start_command(*process);
            }
            Action::StartProcess(Start { process, role: Role::Hooks, first, from, .. }) => {
                self.start_hooks(*process, first.map(|first| first.hook), *from);
            }
            Action::RunHook { process, due } => self.run_hook(*process, due.hook),
            Action::StartProcess(Start { process, role, blueprint, hold, tolerate, from, .. }) => {
                let way = (*role == Role::Web).then_some(Way { hold: *hold, tolerate: *tolerate });
                match (from, way) {
                    (Some(zygote), Some(way)) => self.fork(*process, blueprint, way, *zygote),
                    _ => self.spawn(*process, blueprint, way),
                }
            }
            Action::AdmitWorker { worker } => self.admit(*worker),
            Action::AskWhere { process: worker } => {
                self.after(Duration::from_millis(300), Due::Stands(*worker))
            }
            Action::SignalProcess { process: worker, signal: rung } => self.signal(*worker, *rung),
            Action::Migrate { app, run, order } => {
                (self.databases.now, self.databases.calm) = (self.now, self.is_calm());
                self.databases.perform(app, *run, order);
                self.take_over();
            }
            Action::StopAccepting { app } => self.empties(app),
            Action::SwitchRelease { app, order } => {
                self.links.order(app, order);
                let delay = self.links.rng.millis(0, 40);
                self.after(delay, Due::Link(app.clone(), order.clone()));
            }
            _ => {}
        }
    }

    fn migration(&mut self, run: RunId, later: Later) -> Option<MigrationFact> {
        (self.databases.now, self.databases.calm) = (self.now, self.is_calm());
        let databases = &mut self.databases;
        let open =
            |databases: &Databases, watch| databases.runs.get(&run).is_some_and(|it| it.watch == watch);
        let fact = match later {
            Later::Watch(watch, fact) => Some(fact).filter(|_| open(databases, watch)),
            Later::WatchDies(watch, kind) => databases.watch_dies(run, watch, kind),
            Later::Shell(fact) => Some(fact),
            Later::Look(watch) => databases.look(run, watch),
            Later::Lock(watch) => databases.poll(run, watch),
            Later::Command(attempt) => databases.tick(run, attempt),
            Later::Dies(attempt, exit, failure) => databases.dies(run, attempt, exit, failure),
        };
        self.take_over();
        fact
    }

    /// What the databases have planned.
    fn take_over(&mut self) {
        for (delay, run, later) in std::mem::take(&mut self.databases.due) {
            self.after(delay, Due::Migration(run, later));
        }
    }

    /// Whoever waits is served soon, as long as somebody is served at all.
    fn empties(&mut self, app: &AppName) {
        if !self.rng.chance(self.faults().queue_stays) {
            let delay = self.rng.millis(0, 3000);
            self.after(delay, Due::Fact(Box::new(Event::QueueEmptied { app: app.clone() })));
        }
    }

    /// ostlerd has fallen: what it had not heard it never hears, and whoever waits for its word goes.
    pub(crate) fn ostlerd_crashes(&mut self) {
        self.deaf = true;
        self.databases.ostlerd_crashes();
        self.zygotes = Zygotes::default();
        self.hooks.ostlerd_crashes();
        let dies =
            |due: &Due| matches!(due, Due::Fact(_) | Due::Prepared(_) | Due::ConfigRead(_) | Due::Leaves(_));
        self.entries.retain(|_, due| !dies(due));
        self.links_stand_still();
        let mut waiting = Vec::new();
        for process in self.processes.values_mut() {
            process.orphaned = true;
            if process.stage == Stage::Waiting {
                waiting.push(process.worker);
            }
        }
        for worker in waiting {
            // One that was admitted a moment ago serves all the same.
            if !self.entries.values().any(|due| matches!(due, Due::Serving(it) if *it == worker)) {
                let delay = self.rng.millis(1, 60);
                self.after(delay, Due::Exits(worker, Exit::Code(0)));
            }
        }
    }

    /// What ostlerd was doing about links is done by now, or never will be.
    fn links_stand_still(&mut self) {
        self.links.ordered.clear();
        self.links.fallen = self.disk.names();
        let is_link = |due: &Due| matches!(due, Due::Link(..));
        let orders: Vec<u64> =
            self.entries.iter().filter(|(_, due)| is_link(due)).map(|(number, _)| *number).collect();
        for number in orders {
            if let Some(Due::Link(app, order)) = self.entries.remove(&number)
                && self.links.rng.chance(0.5)
            {
                // Nobody is left to hear of it.
                let _ = carry_out(self, &app, &order);
            }
        }
    }

    /// What is found of a worker.
    pub(crate) fn found(&self, worker: ProcessId) -> ostler::supervise::FoundProcess {
        let found = crate::crash::found(self.processes.get(&worker), self.begun.contains(&worker), self.now);
        self.hooks.found(worker).unwrap_or(found)
    }

    /// Another ostlerd is there.
    pub(crate) fn ostlerd_rises(&mut self) {
        self.deaf = false;
        self.databases.now = self.now;
        self.databases.ostlerd_rises();
    }

    fn prepared(&mut self, app: AppName) -> Event {
        let fails = self.faults().prepare_fails;
        let known = self.disk.app(&app);
        let prepared = match known {
            Some(disk) if !self.rng.chance(fails) => Ok(disk.plan()),
            _ => Err(Refusal { passing: true, ..Refusal::new("the port is in use") }),
        };
        Event::AppPrepared { app, prepared: Box::new(prepared) }
    }

    fn look(&mut self) -> Event {
        self.after(self.scenario.look, Due::Look);
        let faults = self.faults();
        if self.rng.chance(faults.garbage) {
            let garbage = self.garbage();
            self.tell(garbage);
        }
        let mut seen = Vec::with_capacity(self.processes.len());
        for process in self.processes.values() {
            if process.is_command || self.rng.chance(faults.look_lost) {
                continue;
            }
            seen.push((process.worker, process.look(self.now, &mut self.rng)));
        }
        Event::WorkersObserved { seen }
    }
}
