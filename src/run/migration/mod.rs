//! Migrations, done: the processes, what they say, and the history.
//!
//! Read in this order: `run` (one run, order by order), `opening` and `database` (its database side), `command` with `containment` and
//! `scan` (what is run, and all its processes), `output` and `log`, `serving`, `history` with `past`; `pending` answers who only asks.

mod bounded;
mod command;
pub(in crate::run) mod containment;
mod current;
mod database;
mod failing;
mod guards;
mod history;
mod log;
mod name;
mod opening;
mod orphans;
mod output;
mod pace;
mod path;
mod pending;
mod run;
pub(in crate::run) mod scan;
mod serving;
mod speech;

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use containment::{Containment, ProcessGroup, Scoped};
pub use database::DatabasePatience;
pub use history::{History, HistoryError};
pub use name::{MARK, RunName};

#[cfg(any(test, fuzzing))]
pub(super) use bounded::{law_of_command, law_of_database};
#[cfg(any(test, fuzzing))]
pub(super) use {history::law_of_history, output::law_of_output, scan::law_of_names};

use opening::Turns;
use pending::PendingCheck;

use super::children::Children;
use super::machine;
use super::tables::Tables;
use crate::config::AppName;
use crate::plan::Account;
use crate::supervise::{
    Event, GenerationId, MigrationFact, MigrationOrder, Opening, Outcome, Past, RunId, Trouble, TroubleKind,
};
use run::{Reporter, Run};

/// Below the runtime directory.
const LOCKS: &str = "locks";
/// How long the end waits for what it kills, and for what is being written.
const END: Duration = Duration::from_secs(10);

/// The migrations of all apps.
#[derive(Debug)]
pub struct Migrations {
    children: Children,
    state: PathBuf,
    runtime: PathBuf,
    tables: Tables,
    patience: DatabasePatience,
    turns: Turns,
    facts: mpsc::UnboundedSender<Event>,
    runs: BTreeMap<RunId, Run>,
    /// What is to be done with each app's history, one after the other.
    clerks: BTreeMap<AppName, mpsc::UnboundedSender<Job>>,
    tasks: JoinSet<()>,
}

/// Something that blocks.
type Job = Box<dyn FnOnce() + Send>;

impl Migrations {
    /// None yet. Histories are below `state`; `runtime` is gone after a reboot.
    pub fn new(
        children: Children,
        state: &Path,
        runtime: &Path,
        facts: mpsc::UnboundedSender<Event>,
    ) -> Migrations {
        Migrations {
            children,
            state: state.to_owned(),
            runtime: runtime.to_owned(),
            tables: Tables::below(runtime),
            patience: DatabasePatience::default(),
            turns: Turns::new(machine::cpus()),
            facts,
            runs: BTreeMap::new(),
            clerks: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// The same, with another patience.
    pub fn with_patience(self, patience: DatabasePatience) -> Migrations {
        Migrations { patience, ..self }
    }

    /// Does what the core says; what comes of it is told as facts.
    pub fn perform(&mut self, app: AppName, id: RunId, order: MigrationOrder) {
        while self.tasks.try_join_next().is_some() {}
        if let MigrationOrder::Open(opening) = order {
            let reporter = Reporter { run: id, facts: self.facts.clone() };
            let serving = opening.serving.map(|generation| self.tables.serving(&app, generation));
            let asked = opening.clone();
            let run =
                Run::new(reporter.clone(), self.children.clone(), opening, &app, &self.runtime, serving);
            tracing::debug!(app = app.as_str(), run = run.name.run, tag = run.name.tag, "a migration begins");
            self.runs.insert(id, run);
            return self.read_past(app, reporter, asked);
        }
        let Some(run) = self.runs.get_mut(&id) else { return };
        match order {
            MigrationOrder::Open(_) => {}
            MigrationOrder::OpenDatabase { index } => {
                run.open_database(index, (self.patience, self.turns.clone()), &mut self.tasks)
            }
            MigrationOrder::LockDatabase => run.lock_database(),
            MigrationOrder::RecordMigration(record) => {
                let (entry, reporter) = (run.entry(*record), run.reporter.clone());
                let history = History::of(&self.state, &app);
                self.write(app, move || {
                    reporter.tell(match history.append(&entry) {
                        Ok(()) => MigrationFact::Recorded,
                        Err(error) => MigrationFact::RecordFailed { reason: error.to_string() },
                    });
                });
            }
            MigrationOrder::RunMigration { attempt: _, checks } => {
                run.run_migration(checks, &mut self.tasks);
            }
            MigrationOrder::Watch { place } => run.watch(place),
            MigrationOrder::Abort(signal) => run.abort(signal),
            MigrationOrder::VerifyDatabase { pending, at, failed } => {
                run.verify_database(pending, at, failed);
            }
            MigrationOrder::ResolveDatabase => run.resolve_database(),
            MigrationOrder::CloseDatabase => run.close_database(),
            MigrationOrder::AskServing { generation, blueprint, within } => {
                run.ask_serving(generation, blueprint, within, &mut self.tasks);
            }
            MigrationOrder::KeepCurrent => {
                let (opening, history) = (run.opening.clone(), History::of(&self.state, &app));
                self.write(app, move || {
                    if let Err(error) = current::keep(&history, &opening) {
                        tracing::warn!(%error, "{error}");
                    }
                });
            }
            MigrationOrder::PostDeploy => run.post_deploy(&mut self.tasks),
            MigrationOrder::Close => drop(self.runs.remove(&id)),
        }
    }

    /// And ends what an ostlerd before this one left running: nothing of its own is for this app now.
    fn read_past(&mut self, app: AppName, reporter: Reporter, asked: Opening) {
        let user = asked.blueprint.account.as_ref().map_or(geteuid().as_raw(), |it| it.uid);
        let (history, runtime, of) = (History::of(&self.state, &app), self.runtime.clone(), app.clone());
        let failed = |message| {
            let (kind, traceback) = (TroubleKind::Broken, String::new());
            MigrationFact::DatabaseFailed(Trouble { kind, message, traceback })
        };
        self.write(app, move || {
            match orphans::end(&runtime, &of, user) {
                Ok(ended) if ended.is_empty() => {}
                Ok(ended) => tracing::warn!(
                    app = of.as_str(),
                    "ended what an ostlerd before this one had left of a migration: {}",
                    ended.join(", ")
                ),
                Err(left) => {
                    let words = format!("an earlier run is still there and does not end: {left}");
                    return reporter.tell(failed(words));
                }
            }
            reporter.tell(match history.runs() {
                Ok(runs) => {
                    let current = current::is(&history, &asked);
                    MigrationFact::PastRead(Past { current, ..Past::of(&runs) })
                }
                Err(error) => failed(error.to_string()),
            });
        });
    }

    /// One after the other for each app: a disk that hangs holds up nobody else.
    fn write(&mut self, app: AppName, job: impl FnOnce() + Send + 'static) {
        let tasks = &mut self.tasks;
        let clerk = self.clerks.entry(app).or_insert_with(|| {
            let (jobs, mut taken) = mpsc::unbounded_channel::<Job>();
            tasks.spawn(async move {
                while let Some(job) = taken.recv().await {
                    // A job that panicked has told nothing; the next one is not its business.
                    let _ = tokio::task::spawn_blocking(job).await;
                }
            });
            jobs
        });
        // The clerk ends with its sender alone.
        let _ = clerk.send(Box::new(job));
    }

    /// For who asks what is pending; the configuration is read anew for him.
    pub(super) fn look(&self, config: &Path, app: &AppName, serving: Option<GenerationId>) -> PendingCheck {
        let (children, locks) = (self.children.clone(), self.runtime.join(LOCKS));
        let serving = serving.map(|generation| self.tables.serving(app, generation));
        PendingCheck { children, config: config.to_owned(), locks, serving }
    }

    /// Answers what the history of an app holds.
    pub fn tell_history(&self, app: &AppName, is_known: bool, answer: oneshot::Sender<Outcome>) {
        let (history, app) = (History::of(&self.state, app), app.clone());
        tokio::task::spawn_blocking(move || {
            let outcome = match history.runs() {
                Ok(runs) if runs.is_empty() && !is_known => Outcome::Invalid {
                    reason: format!("there is no app {app}, and no history of its migrations"),
                },
                Ok(runs) => Outcome::MigrationHistory { runs },
                Err(error) => Outcome::Refused { reason: error.to_string() },
            };
            // Whoever asked may have gone.
            let _ = answer.send(outcome);
        });
    }

    /// The end: kills what is left of every run, and returns when it is gone and everything is written.
    pub async fn close(&mut self) {
        self.runs.clear();
        self.clerks.clear();
        if timeout(END, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::error!("what is left of a migration has not ended within {END:?} after it was killed");
        }
    }
}

/// Makes the file that a database without a lock of its own is locked by: the app's user opens it.
fn make_lock_file(file: &Path, account: Option<&Account>) {
    let made = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(file)?;
        account.map_or(Ok(()), |account| fchown(&file, Some(account.uid), Some(account.gid)))
    };
    if let Err(error) = made() {
        tracing::warn!("cannot make the file {}: {error}", file.display());
    }
}
