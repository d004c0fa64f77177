//! ostlerd from its arguments to its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::driver::{Driver, inbox};
use super::passed::Passed;
use super::process::Children;
use super::scope::{Group, Scopes};
use super::shell::Shell;
use super::signals::Signals;
use super::watch::Watch;
use super::{health, prepare, reaper};
use crate::config::{Config, Problems};
use crate::control;
use crate::observe::Status;
use crate::plan::{Plan, Refusal};
use crate::supervise::Supervisor;

/// So long the kernel may take to end processes: those that wait for a dead disk do not end.
const LEFTOVERS: std::time::Duration = std::time::Duration::from_secs(5);

/// Where ostlerd finds and keeps its things.
#[derive(Clone, Debug)]
pub struct Places {
    /// The main configuration file.
    pub config: PathBuf,
    /// Sockets, scoreboards: gone after a reboot.
    pub runtime: PathBuf,
    /// What outlives a reboot.
    pub state: PathBuf,
}

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
    let mut text = String::new();
    for refusal in refusals {
        if !refusal.detail.is_empty() {
            text.push_str(refusal.detail.trim_end());
            text.push('\n');
        }
        text.push_str(&format!("error: {}\n", refusal.reason));
    }
    text.push_str("no app can be run; nothing was started");
    text
}

/// Checks the configuration and asks every app's interpreter, without starting or binding anything.
pub async fn check(places: &Places) -> Result<Config, StartError> {
    let config = prepare::read(&places.config).map_err(StartError::Config)?;
    let looked = prepare::all(&Children::new(), &config, &BTreeMap::new()).await;
    let refusals: Vec<Refusal> = looked.into_values().filter_map(Result::err).collect();
    if refusals.is_empty() { Ok(config) } else { Err(StartError::NothingToRun(refusals)) }
}

/// Runs until everything has ended as asked.
pub async fn run(places: &Places) -> Result<(), StartError> {
    // Before the files are read: what is changed from here on is noticed.
    let watch = Watch::begin(&places.config);
    let config = prepare::read(&places.config).map_err(StartError::Config)?;
    let control = control::bind(&places.runtime.join("control.sock"))?;
    make_directory(&places.runtime.join("scoreboards"), 0o700)?;
    make_directory(&places.state, 0o755)?;
    let signals = Signals::listen().map_err(failed_to("handle signals in", Path::new("ostlerd")))?;
    let passed = Passed::take();
    let health = health::open(&config.health, &places.runtime, &passed)?;
    let children = Children::new();
    use_scopes(&children);
    reaper::take_orphans(&children).map_err(failed_to("take orphans in", Path::new("ostlerd")))?;

    let (outbox, inbox) = inbox();
    let changes = outbox.inbox.clone();
    let mut shell = Shell::new(children.clone(), passed, places, &config, outbox);
    let looked = prepare::all(&children, &config, &BTreeMap::new()).await;
    end_leftovers(&children).await;
    let apps = looked.into_iter().map(|(name, looked)| {
        let prepared = looked.map(|looked| shell.learn(looked));
        let bound = shell.bind(&name, prepared);
        (name, bound)
    });
    let plan = Plan { apps: apps.collect(), machine: crate::plan::machine(&config.edge), ..Plan::default() };
    let refusals = refusals(&plan);
    if refusals.len() == plan.apps.len() {
        return Err(StartError::NothingToRun(refusals));
    }

    let seed = u64::from(std::process::id()) ^ super::scoreboard::monotonic_now();
    let supervisor = Supervisor::new(plan, seed);
    let first = Status::new(&supervisor.view(crate::supervise::Moment::ZERO), &shell.facts());
    let (desk, ends) = control::desk(first);
    tokio::spawn(control::serve(control, desk));
    tokio::spawn(watch.run(changes));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ostlerd runs {}", counted(config.apps.len()));
    let driver = Driver::new(supervisor, shell, inbox, ends, signals);
    health.serve(&config.health, driver.health(config.health.saturation))?;
    driver.run().await;
    tracing::info!("ostlerd has stopped");
    Ok(())
}

fn use_scopes(children: &Children) {
    match Scopes::detect() {
        Ok(scopes) => children.use_scopes(scopes),
        Err(without) => tracing::info!("workers are in process groups, not in scopes: {without}"),
    }
}

/// What an ostlerd that has died left serving, on sockets that this one needs: nothing has told this one of them, and so
/// they end where those of this one begin.
async fn end_leftovers(children: &Children) {
    for group in children.scopes().map(Scopes::inhabited).unwrap_or_default() {
        let (name, count) = (group.name(), group.members().len());
        tracing::warn!("{name}: an ostlerd that has died left {count} processes behind: they are killed");
        end(&group).await;
    }
}

/// Kills what is in a scope, and says so where it cannot be killed.
pub(super) async fn end(group: &Group) {
    match group.kill_all(Instant::now() + LEFTOVERS).await {
        Ok(true) => {}
        Ok(false) => tracing::error!("{}: {:?} cannot be killed", group.name(), group.members()),
        Err(error) => tracing::error!("{}: cannot be killed: {error}", group.name()),
    }
}

fn counted(apps: usize) -> String {
    if apps == 1 { "1 app".to_owned() } else { format!("{apps} apps") }
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
