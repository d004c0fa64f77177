//! ostlerd from its arguments to its end.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::children::Children;
use super::daemon_paths::DaemonPaths;
use super::driver::Driver;
use super::handover::{self, Handover};
use super::journal::Journal;
use super::orphans::Orphans;
use super::scope::{Scopes, end};
use super::scoreboard::monotonic_now;
use super::shell::Shell;
use super::shell::links::put_back_all;
use super::signals::Signals;
use super::socket_activation::Passed;
use super::state::{self, State};
use super::state_writer::StateWriter;
use super::tables::Tables;
use super::watch::Watch;
use super::{check, files, health, inbox, listeners, prepare, threads};
use crate::config::{self, Address, AppName, Config, Problems, counted};
use crate::control;
use crate::observe::Status;
use crate::plan::{Plan, Refusal};
use crate::supervise::{Moment, ProcessId, Supervisor};

/// Why ostlerd did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The files say what cannot be.
    #[error("{0}")]
    Config(Problems),
    /// No app can be run.
    #[error("{}", words(.0))]
    NothingToRun(Vec<Refusal>),
    /// The control socket cannot be had.
    #[error(transparent)]
    Control(#[from] control::BindError),
    /// Health cannot be answered where it should be.
    #[error(transparent)]
    Health(#[from] health::HealthError),
    /// The operating system said no.
    #[error("failed to {what} {path}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Of which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl StartError {
    /// The exit status that says which kind it was.
    pub fn exit_status(&self) -> u8 {
        match self {
            StartError::Config(_) | StartError::NothingToRun(_) => 78,
            StartError::Control(control::BindError::Held { .. }) => 75,
            StartError::Control(_) | StartError::Health(_) | StartError::System { .. } => 1,
        }
    }
}

fn words(refusals: &[Refusal]) -> String {
    check::words(refusals) + "no app can be run; nothing was started"
}

/// Runs until everything has ended as asked.
pub async fn run(paths: &DaemonPaths) -> Result<(), StartError> {
    // Before anything else: nothing is open but what came with this process, and nobody else reads the environment.
    debug_assert!(threads::is_alone(), "a second thread was started before what was passed is taken over");
    let mut handover = Handover::take();
    let passed = Passed::take();
    // The one thread that is always there: see where the runtime is made.
    drop(tokio::task::spawn_blocking(|| ()));
    // Before the files are read: what is changed from here on is noticed.
    let watch = Watch::begin(&paths.config).await;
    let read = prepare::read(&paths.config);
    if let (Err(problems), false) = (&read, state::path(&paths.runtime).exists()) {
        return Err(StartError::Config(problems.clone()));
    }
    let control = control_socket(&paths.runtime.join("control.sock"), &mut handover)?;
    // Not before the runtime directory is ours alone.
    let left = what_is_left(&paths.runtime);
    let config = in_force(paths, read, left.as_ref()).map_err(StartError::Config)?;
    make_directory(&paths.runtime.join("scoreboards"), 0o700)?;
    make_directory(&paths.state, 0o755)?;
    if left.is_none() {
        // Of generations that are no more: numbers begin anew.
        Tables::below(&paths.runtime).forget_all();
    }
    let signals = Signals::listen().map_err(failed_to("handle signals in", Path::new("ostlerd")))?;
    handover::let_signals_in();
    let children = Children::new();
    use_scopes(&children);
    children.use_marks(&paths.runtime);
    let orphans = left.is_none().then(|| Orphans::of(&children, &paths.runtime, &config));
    let passed = passed.with_own(handover.sockets, &handover.names);
    let stored = passed.stored();
    let health = health::open(&config.health, &paths.runtime, &passed)?;
    Journal::detect().into_iter().for_each(|journal| children.use_journal(journal));
    children.take_orphans().map_err(failed_to("take orphans in", Path::new("ostlerd")))?;

    let (outbox, inbox) = inbox::pair();
    let changes = outbox.inbox.clone();
    let mut shell = Shell::new(children, passed, paths, &config, outbox);
    let supervisor = match &left {
        Some(left) => {
            let supervisor = go_on(&mut shell, left).await;
            // A migration that nobody watches, most of all: what it has done is found out when the next one begins.
            end_others(shell.children(), &shell.pids()).await;
            supervisor
        }
        None => begin(&mut shell, paths, &config, orphans).await?,
    };
    shell.close_unclaimed(&config);
    shell.learn_owners();
    let view = supervisor.view(Moment::ZERO);
    let first = Status::new(&view, &shell.facts(&view));
    let (channels, ends) = control::channels(first);
    tokio::spawn(control::serve(control, channels));
    tokio::spawn(watch.run(changes));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ostlerd runs {}", counted(config.apps.len(), "app"));
    let state_writer = StateWriter::new(state::path(&paths.runtime));
    let mut driver = Driver::new(supervisor, shell, inbox, ends, signals, state_writer).with_stored(stored);
    if let Some(left) = left {
        driver = driver.going_on(left.kept.origin, left.counters.into());
    }
    let health = health.serve(&config.health, driver.health(config.health.saturation))?;
    driver.with_ports(health).run().await;
    tracing::info!("ostlerd has stopped");
    Ok(())
}

/// The control socket: as it was before this process was re-executed, or bound.
fn control_socket(
    path: &Path,
    handover: &mut Handover,
) -> Result<control::ControlSocket, control::BindError> {
    let address = Address::Unix(path.to_owned());
    // It may be there more than once; the copies are closed with the rest.
    let held = handover.sockets.iter().position(|fd| listeners::bound::is_at(fd.as_fd(), &address));
    match (held, handover.lock.take()) {
        (Some(held), Some(lock)) => control::take_over(path, handover.sockets.swap_remove(held), lock),
        _ => control::bind(path),
    }
}

/// The configuration to go on with. Where apps run, the last good one outlives files that are bad or name no app.
fn in_force(
    paths: &DaemonPaths,
    read: Result<Config, Problems>,
    left: Option<&State>,
) -> Result<Config, Problems> {
    let last_good = left.map(|left| &left.kept.config);
    let read = match (read, last_good) {
        (Ok(config), Some(last)) if config.apps.is_empty() && !last.apps.is_empty() => {
            Err(config::no_app_left(&paths.config))
        }
        (read, _) => read,
    };
    match (read, last_good) {
        (Ok(config), _) => {
            if config.apps.is_empty() {
                tracing::info!("{}", config::no_apps_yet(&paths.config));
            }
            Ok(config)
        }
        (Err(problems), Some(last)) => {
            tracing::error!("{problems}\nthe last good configuration stays in force");
            Ok(Config::clone(last))
        }
        (Err(problems), None) => Err(problems),
    }
}

/// What an earlier ostlerd has left, where that can be adopted.
fn what_is_left(runtime: &Path) -> Option<State> {
    let path = state::path(runtime);
    match state::read(&path) {
        Ok(left) => left,
        Err(error) => {
            tracing::error!("{} is not used: {error}; every app is started anew", path.display());
            None
        }
    }
}

/// A supervisor for what an earlier ostlerd has left.
async fn go_on(shell: &mut Shell, left: &State) -> Supervisor {
    let found = shell.take_over(&left.kept);
    shell.bind_what_is_lost().await;
    let alive = found.values().filter(|found| found.alive).count();
    tracing::info!(
        "ostlerd goes on with {alive} of {} that an earlier one left",
        counted(left.kept.workers.len(), "worker")
    );
    let now = Duration::from_nanos(monotonic_now().saturating_sub(left.kept.origin));
    Supervisor::adopt(left.kept.snapshot.clone(), &found, Moment::at(now), seed())
}

/// A supervisor for the configuration, with nothing running yet.
async fn begin(
    shell: &mut Shell,
    paths: &DaemonPaths,
    config: &Config,
    orphans: Option<Orphans>,
) -> Result<Supervisor, StartError> {
    let (of, state) = (config.clone(), paths.state.clone());
    let put_back = files::within("links".to_owned(), files::WHOLE, move || put_back_all(&of, &state));
    if let Err(held) = put_back.await {
        tracing::error!("{held}");
    }
    let looked = prepare::all(shell.children(), config, &BTreeMap::new()).await;
    let prepared = looked
        .into_iter()
        .map(|(name, looked)| (name, looked.map(|looked| shell.learn(looked)).map_err(Refusal::from)));
    let prepared: BTreeMap<AppName, _> = prepared.collect();
    if let Some(mut orphans) = orphans {
        for (name, plan) in prepared.iter().filter_map(|(name, plan)| Some((name, plan.as_ref().ok()?))) {
            shell.take_in(orphans.sockets_of(name, &plan.blueprint.listen));
        }
        orphans.end().await;
    }
    end_leftovers(shell.children()).await;
    let mut apps = BTreeMap::new();
    for (name, prepared) in prepared {
        let bound = shell.bind_at_start(&name, prepared).await;
        apps.insert(name, bound);
    }
    let plan = Plan { apps, machine: crate::plan::machine(&config.edge), ..Plan::default() };
    let refusals = refusals(&plan);
    // What another process holds may come free: such an app is tried again, and until then it is said why it does not serve.
    let for_good = refusals.iter().all(|refusal| !refusal.passing);
    if !refusals.is_empty() && refusals.len() == plan.apps.len() && for_good {
        return Err(StartError::NothingToRun(refusals));
    }
    Ok(Supervisor::new(plan, seed()))
}

fn seed() -> u64 {
    u64::from(std::process::id()) ^ monotonic_now()
}

pub(super) fn use_scopes(children: &Children) {
    match Scopes::detect() {
        Ok(scopes) => children.use_scopes(scopes),
        Err(without) => tracing::info!("workers are in process groups, not in scopes: {without}"),
    }
}

/// What an ostlerd that has died left serving, on sockets that this one needs: nothing has told this one of them, and so
/// they end where those of this one begin.
async fn end_leftovers(children: &Children) {
    for group in children.scopes().map(Scopes::inhabited).unwrap_or_default() {
        let (name, members) = (group.name(), group.members());
        // What reads settings may not be quite gone yet.
        if members.is_empty() || members.iter().any(|pid| children.is_watched(*pid)) {
            continue;
        }
        let count = counted(members.len(), "process");
        tracing::warn!("{name}: an ostlerd that has died left {count} behind, killed now");
        end(&group).await;
    }
}

/// What an earlier ostlerd left in scopes of which nothing is adopted.
pub(super) async fn end_others(children: &Children, adopted: &BTreeMap<ProcessId, i32>) {
    for group in children.scopes().map(Scopes::inhabited).unwrap_or_default() {
        let members = group.members();
        let is_used = |pid: &i32| children.is_watched(*pid) || adopted.values().any(|adopted| adopted == pid);
        if !members.iter().any(is_used) {
            let (name, count) = (group.name(), members.len());
            let count = counted(count, "process");
            tracing::warn!("{name}: no ostlerd watches {count} any more: killed");
            end(&group).await;
        }
    }
}

fn refusals(plan: &Plan) -> Vec<Refusal> {
    plan.apps.values().filter_map(|prepared| prepared.as_ref().err().cloned()).collect()
}

fn make_directory(path: &Path, mode: u32) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(failed_to("make the directory", path))
}

fn failed_to(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::System { what, path, source }
}
