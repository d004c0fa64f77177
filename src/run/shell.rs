//! What the core decides, done: processes, sockets, answers. It holds what only the operating system knows.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::children::{Children, Gate};
use super::daemon_paths::DaemonPaths;
use super::hook_host::{HookInput, HookOrders};
use super::inbox::{AllDone, Outbox};
use super::inspected::InspectionRecords;
use super::limits::{self, AppLimits};
use super::listen_queue;
use super::listeners::{Done, Listeners};
use super::memory_kills::Killings;
use super::migration::Migrations;
use super::proc::rss;
use super::releases::Releases;
use super::scope::end;
use super::scoreboard::{Scoreboard, Slot, monotonic_now};
use super::socket_activation::Passed;
use super::tables::Tables;
use super::worker_process::WorkerHandle;
use crate::config::{AppName, Config, HealthConfig, Listen, counted};
use crate::observe::{AppFacts, ConfigStatus, ReleaseChange, ShellFacts};
use crate::plan::{AppPlan, Blueprint, Prepared, Readiness, Refusal, Resources};
use crate::supervise::{
    Action, Event, GenerationId, Observation, Outcome, ProcessId, RequestId, Role, Start, StopSignal, View,
};

mod answers;
mod asks;
mod effects;
mod ended;
mod leaving;
pub(super) mod links;
mod load;
mod looks;
mod served;
mod snapshot;
pub(super) mod sockets;
mod spawns;

pub(super) use effects::DeferredEffect;

/// Memory is read with every look while a worker is so young: it grows fast then.
const YOUTH: Duration = Duration::from_secs(6);

/// The operating system's side of the daemon.
#[derive(Debug)]
pub struct Shell {
    children: Children,
    passed: Arc<Passed>,
    runtime_directory: PathBuf,
    state_directory: PathBuf,
    config_file: PathBuf,
    config: Arc<Config>,
    effects: Vec<DeferredEffect>,
    config_status: ConfigStatus,
    configured_owners: BTreeMap<AppName, u32>,
    health: HealthConfig,
    readiness: BTreeMap<AppName, Readiness>,
    apps: BTreeMap<AppName, AppRuntime>,
    workers: BTreeMap<ProcessId, Running>,
    forking: BTreeMap<ProcessId, ExpectedFork>,
    /// The worker that has just ended, and its process: the core has a hook run about it at once.
    ended: Option<(ProcessId, i32)>,
    migrations: Migrations,
    limits: AppLimits,
    memory: Killings,
    answers: BTreeMap<RequestId, Option<oneshot::Sender<Outcome>>>,
    requests: u64,
    outbox: Outbox,
    inspections: InspectionRecords,
    releases: Releases,
    tables: Tables,
    /// What the workers of stopped apps have left, while it is being ended.
    leftovers: JoinSet<()>,
}

/// What belongs to an app as long as it runs.
#[derive(Debug)]
struct AppRuntime {
    listeners: Listeners,
    scoreboard: Scoreboard,
    blueprint: Arc<Blueprint>,
    /// Whether sockets are being made, apart from the loop.
    makes_sockets: bool,
    /// Starts that wait for them.
    waiting: Vec<Start>,
}

#[derive(Debug)]
struct Running {
    role: Role,
    blueprint: Arc<Blueprint>,
    handle: WorkerHandle,
    /// `None` where nothing can be read of it: adopted, and its scoreboard is gone.
    slot: Option<Slot>,
    /// Held back until it is written down.
    gate: Option<Gate>,
    /// Of a zygote: where it is told to fork.
    commands: Option<OwnedFd>,
    /// Of a hook host that has not been told to end: where it is told what to run.
    hooks: Option<HookInput>,
    /// When the kernel started it.
    began: u64,
    cgroup: Option<String>,
    /// Whether this ostlerd has sent it SIGKILL.
    killed: bool,
    started: Instant,
    /// When its slot last made sense: a worker that writes garbage there has no fresh heartbeat.
    sane: Instant,
}

/// A process that a zygote was told to fork.
#[derive(Debug)]
struct ExpectedFork {
    blueprint: Arc<Blueprint>,
    zygote: ProcessId,
    generation: GenerationId,
    work: ForkedWork,
    /// Waits for its first word.
    waiting: AbortHandle,
}

/// What it is for.
#[derive(Debug)]
enum ForkedWork {
    /// It serves; `tells`: what its generation uses of the database.
    Web { slot: Slot, tells: bool },
    /// It runs hooks, which are handed in already.
    Hooks(HookInput, HookOrders),
}

impl Shell {
    /// A shell that runs nothing yet.
    pub fn new(
        children: Children,
        passed: Passed,
        DaemonPaths { runtime, state, .. }: &DaemonPaths,
        config: &Config,
        outbox: Outbox,
    ) -> Self {
        let facts = outbox.facts.clone();
        let file = config.file.display().to_string();
        Shell {
            ended: None,
            migrations: Migrations::new(children.clone(), state, runtime, facts),
            limits: AppLimits::new(children.clone()),
            memory: Killings::default(),
            children,
            passed: Arc::new(passed),
            runtime_directory: runtime.clone(),
            state_directory: state.clone(),
            config_file: config.file.clone(),
            config: Arc::new(config.clone()),
            effects: Vec::new(),
            health: config.health.clone(),
            config_status: ConfigStatus { valid: true, file, ..ConfigStatus::default() },
            configured_owners: BTreeMap::new(),
            readiness: config.apps.iter().map(|(name, app)| (name.clone(), app.into())).collect(),
            apps: BTreeMap::new(),
            workers: BTreeMap::new(),
            forking: BTreeMap::new(),
            answers: BTreeMap::new(),
            requests: 0,
            outbox,
            inspections: InspectionRecords::default(),
            releases: Releases::default(),
            tables: Tables::below(runtime),
            leftovers: JoinSet::new(),
        }
    }

    /// Does what the core says. What cannot be done at once is reported as an event.
    pub fn perform(&mut self, action: Action) {
        match action {
            Action::Prepare { app } => self.prepare(app),
            Action::ReadConfig { purpose, keep } => self.reread(purpose, &keep),
            Action::CheckSuccessor => self.check_successor(),
            Action::Leave(way) => self.effects.push(DeferredEffect::Leave(way)),
            Action::TellConfig(state) => self.config_is(state),
            Action::SwitchRelease { app, order } => {
                self.releases.link_moves(&app);
                self.effects.push(DeferredEffect::SwitchRelease(app, order));
            }
            Action::StartProcess(start) => {
                if let Some(start) = self.held_back(start) {
                    self.start(start);
                }
            }
            Action::AskWhere { process } => self.ask_where(process),
            Action::AdmitWorker { worker } => self.effects.push(DeferredEffect::Admit(worker)),
            Action::Limit { app, resources } => self.limits.set(app, resources),
            Action::SignalProcess { process, signal } => {
                self.effects.push(DeferredEffect::Signal(process, signal))
            }
            Action::HurryWorker { worker } => self.effects.push(DeferredEffect::Hurry(worker)),
            Action::Migrate { app, run, order } => self.migrations.perform(app, run, order),
            Action::StopAccepting { app } => self.stop_accepting(app),
            Action::RefuseConnections { app } => self.refuse_connections(&app),
            Action::AcceptConnections { app } => self.accept_connections(&app),
            Action::KeepOnly { app, blueprint } => {
                self.end_left_in_scopes(&app);
                self.keep_only(&app, blueprint);
            }
            Action::ReleaseApp { app } => {
                self.end_left_in_scopes(&app);
                self.end_leftovers(&app);
                self.apps.remove(&app);
                self.tables.forget(&app);
                self.children.journal().inspect(|journal| journal.close(&app));
                self.limits.set(app, Resources::default());
            }
            Action::RunHook { process, due } => self.run_hook(process, due),
            Action::Answer { id, outcome } => self.answer(id, outcome),
            // The driver's own.
            Action::Announce(_) | Action::TellReady | Action::Exit => {}
        }
    }

    fn report(&self, event: Event) {
        // The driver outlives its shell.
        let _ = self.outbox.facts.send(event);
    }

    /// Binds what a prepared app still lacks, with what was `done` for it; a socket that cannot be had refuses the app.
    pub fn bind(&mut self, app: &AppName, prepared: Prepared, done: Vec<Done>) -> Prepared {
        let plan = prepared?;
        let blueprint = &plan.blueprint;
        let fresh = !self.apps.contains_key(app);
        if fresh {
            let path = self.runtime_directory.join("scoreboards").join(app.as_str());
            let scoreboard = Scoreboard::create(&path).map_err(|error| {
                Refusal::new(format!(
                    "cannot make the scoreboard {}: {error}; is the disk full?",
                    path.display()
                ))
            })?;
            let listeners = Listeners::new(&self.runtime_directory);
            self.apps.insert(app.clone(), AppRuntime::new(listeners, scoreboard, blueprint.clone()));
        }
        let runtime = self.apps.get_mut(app).expect("it was just made");
        match runtime.listeners.bind_with(&blueprint.listen, &self.passed, done) {
            Ok(()) => {
                if fresh {
                    runtime.listeners.defer_accept(blueprint.class.answers_one());
                }
                self.readiness.insert(app.clone(), plan.policy.readiness);
                Ok(plan)
            }
            Err(error) => {
                if fresh {
                    self.apps.remove(app);
                }
                Err(Refusal { passing: error.may_pass(), ..Refusal::new(format!("{app}: {error}")) })
            }
        }
    }

    /// Binds for every app that was found; one socket that cannot be had refuses all of it.
    fn bind_all(
        &mut self,
        found: BTreeMap<AppName, AppPlan>,
        mut done: AllDone,
    ) -> Result<BTreeMap<AppName, AppPlan>, Refusal> {
        let before: BTreeMap<AppName, Vec<Listen>> =
            self.apps.iter().map(|(name, runtime)| (name.clone(), runtime.listeners.wanted())).collect();
        let mut bound = BTreeMap::new();
        for (name, plan) in found {
            match self.bind(&name, Ok(plan), done.remove(&name).unwrap_or_default()) {
                Ok(plan) => bound.insert(name, plan),
                Err(refusal) => {
                    self.apps.retain(|name, _| before.contains_key(name));
                    for (name, runtime) in &mut self.apps {
                        runtime.listeners.drop_unwanted(&before[name]);
                    }
                    return Err(refusal);
                }
            };
        }
        Ok(bound)
    }

    /// What every worker's slot says, and its memory where asked for.
    pub fn look(&mut self, memory: bool) -> Vec<(ProcessId, Observation)> {
        let (now, instant) = (monotonic_now(), Instant::now());
        self.memory.look(instant);
        let mut seen = Vec::with_capacity(self.workers.len());
        for (id, running) in &mut self.workers {
            let Some(runtime) = self.apps.get(&running.blueprint.app) else { continue };
            let Some(slot) = &running.slot else { continue };
            let read = runtime.scoreboard.read(slot, now);
            if read.is_some() {
                running.sane = instant;
            }
            let stale = Observation { beat_age: instant - running.sane, ..Observation::default() };
            let mut observation = read.unwrap_or(stale);
            let young = instant - running.started < YOUTH;
            observation.rss = (memory || young).then(|| rss(running.handle.pid())).flatten();
            seen.push((*id, observation));
        }
        seen
    }

    /// Asks every worker to open its log files anew.
    pub fn reopen_logs(&self) {
        tracing::info!("SIGUSR1: the log files of {} are opened anew", counted(self.workers.len(), "worker"));
        for running in self.workers.values().filter(|it| it.role.reopens_logs()) {
            // One that has ended meanwhile has no log to open.
            let _ = running.handle.reopen_logs();
        }
    }

    /// The one app, where there is one.
    pub fn only_app(&self) -> Option<AppName> {
        (self.apps.len() == 1).then(|| self.apps.keys().next().cloned()).flatten()
    }

    /// Whether any worker's process is there.
    pub fn has_workers(&self) -> bool {
        !self.workers.is_empty()
    }

    /// The children of this process.
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// The process of each worker.
    pub fn pids(&self) -> BTreeMap<ProcessId, i32> {
        self.workers.iter().map(|(id, running)| (*id, running.handle.pid())).collect()
    }

    /// What the picture needs beyond the core's view.
    pub fn facts(&self, view: &View) -> ShellFacts {
        let serving: BTreeMap<&AppName, &Arc<Blueprint>> =
            view.apps.iter().filter_map(|app| Some((&app.name, app.blueprint.as_ref()?))).collect();
        let facts = |(name, runtime): (&AppName, &AppRuntime)| {
            let release = serving.get(name).map(|blueprint| self.releases.of(blueprint));
            (name.clone(), runtime.facts(release.unwrap_or_default()))
        };
        let apps = self.apps.iter().map(facts).collect();
        let (config, readiness) = (self.config_status.clone(), self.readiness.clone());
        // One that has just been started has not been looked at yet.
        let unseen = view.apps.iter().flat_map(|app| &app.processes).filter(|it| it.rss.is_none());
        let memory = unseen.filter_map(|it| Some((it.id, rss(self.workers.get(&it.id)?.handle.pid())?)));
        let journal = self.children.journal().is_some();
        ShellFacts { pids: self.pids(), memory: memory.collect(), apps, config, readiness, journal }
    }

    /// The end: kills what is left of every worker, and removes what was made in the runtime directory.
    pub async fn close(&mut self) {
        for running in self.workers.values() {
            let _ = running.handle.signal(StopSignal::Kill);
        }
        tokio::join!(self.migrations.close(), self.limits.close());
        if let Some(scopes) = self.children.scopes() {
            for group in scopes.inhabited() {
                end(&group).await;
            }
            scopes.drop_slices();
            limits::forget();
        }
        self.apps.keys().cloned().collect::<Vec<_>>().iter().for_each(|app| self.end_leftovers(app));
        while self.leftovers.join_next().await.is_some() {}
        self.apps.clear();
        Shell::files_removed().await;
        self.tables.forget_all();
        // Only if empty: a name that is not ours stays.
        let _ = std::fs::remove_dir_all(self.runtime_directory.join("scoreboards"));
    }
}

impl AppRuntime {
    fn new(listeners: Listeners, scoreboard: Scoreboard, blueprint: Arc<Blueprint>) -> AppRuntime {
        AppRuntime { listeners, scoreboard, blueprint, makes_sockets: false, waiting: Vec::new() }
    }

    fn facts(&self, release: ReleaseChange) -> AppFacts {
        let all = self.listeners.all();
        let listeners = all.iter().map(|bound| bound.name.to_string()).collect();
        AppFacts { listeners, queues: listen_queue::of(all), release }
    }
}
