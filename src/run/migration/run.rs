//! One run of a migration: its database side, its command, and who is told.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::command::{self, CommandProgram, CommandUpdate};
use super::database::{DatabaseHandle, DatabasePatience};
use super::guards;
use super::name::RunName;
use super::opening::{self, Turns};
use super::orphans;
use super::serving;
use crate::config::AppName;
use crate::migrate::{MigrateMode, MigrateOrders, Names, Serving, WatchOrder};
use crate::plan::{Blueprint, MigrateCommand};
use crate::run::children::Children;
use crate::supervise::{
    Event, Exit, GenerationId, HistoryEntry, MigrationFact, Opened, Opening, Pending, Record, Report, RunId,
    Step, StopSignal, Trouble, TroubleKind,
};

/// So often the database is looked at while the command runs.
const LOOK_SECONDS: f64 = 0.25;
/// So many of the last lines go into the history.
const OUTPUT_LINES: usize = 200;

/// Tells the core what becomes known of one run.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    pub(super) run: RunId,
    pub(super) facts: mpsc::UnboundedSender<Event>,
}

impl Reporter {
    pub(super) fn tell(&self, fact: MigrationFact) {
        // The driver outlives whoever tells.
        let _ = self.facts.send(Event::MigrationHeard { run: self.run, fact: Box::new(fact) });
    }
}

/// A run from `Open` to `Close`. Dropped, what is left of it is killed.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) reporter: Reporter,
    children: Children,
    pub(super) opening: Opening,
    pub(super) name: RunName,
    lock_file: PathBuf,
    /// What stands in the environment of the command's processes.
    mark: String,
    /// What the code uses that serves.
    serving: Option<Serving>,
    database: Side,
    index: usize,
    /// As the last record had it.
    opened: Opened,
    /// To the command that runs; dropped, it is killed.
    signals: Option<mpsc::UnboundedSender<StopSignal>>,
    /// While the code that serves is asked; dropped, that ends.
    asking: Option<oneshot::Sender<Infallible>>,
    /// The last lines of each command that has ended.
    outputs: VecDeque<Arc<OnceLock<Vec<String>>>>,
}

/// The database side.
#[derive(Debug)]
enum Side {
    /// No database is known: the command is watched alone.
    None,
    /// It was started; it may have ended.
    Started(DatabaseHandle),
    /// It could not be started, or was closed.
    Closed,
}

impl Run {
    pub(super) fn new(
        reporter: Reporter,
        children: Children,
        opening: Opening,
        app: &AppName,
        runtime: &Path,
        serving: Option<Serving>,
    ) -> Run {
        let name = RunName::new(app, reporter.run, SystemTime::now());
        let lock_file = runtime.join(super::LOCKS).join(app.as_str());
        let mark = orphans::mark(runtime, &name.tag);
        let database = if opening.migrate.databases.is_empty() { Side::None } else { Side::Closed };
        Run {
            reporter,
            children,
            opening,
            name,
            lock_file,
            mark,
            serving,
            database,
            index: 0,
            opened: Opened::default(),
            signals: None,
            asking: None,
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn open_database(
        &mut self,
        index: usize,
        (patience, turns): (DatabasePatience, Turns),
        tasks: &mut JoinSet<()>,
    ) {
        self.index = index;
        let Opening { blueprint, migrate, .. } = &self.opening;
        if migrate.databases.get(index).is_none() {
            self.database = Side::None;
            let unwatched = Some("no database_url is configured: the command is watched alone".to_owned());
            return self.reporter.tell(MigrationFact::Opened(Opened { unwatched, ..Opened::default() }));
        }
        super::make_lock_file(&self.lock_file, blueprint.account.as_ref());
        let mut orders = self.orders(MigrateMode::Watch);
        orders.serving = self.serving.clone();
        // Once in a run, and before it changes anything.
        if index == 0 && self.outputs.is_empty() && !self.is_running() {
            orders = orders.beyond(migrate);
        }
        let (whose, reporter) = ((self.children.clone(), blueprint.clone()), self.reporter.clone());
        let limit = migrate.budgets.open_timeout;
        let (side, task) =
            opening::open(whose, orders, (patience, limit), turns, move |fact| reporter.tell(fact));
        tasks.spawn(task);
        self.database = Side::Started(side);
    }

    fn orders(&self, mode: MigrateMode) -> MigrateOrders {
        let Opening { blueprint, migrate, .. } = &self.opening;
        let database = &migrate.databases[self.index];
        let RunName { tag, host, .. } = &self.name;
        let names = Names { tag, blueprint, host };
        MigrateOrders::new(mode, names, migrate, database, &self.lock_file)
    }

    fn failed(&self, message: String) {
        let trouble = Trouble { kind: TroubleKind::Broken, message, traceback: String::new() };
        self.reporter.tell(MigrationFact::DatabaseFailed(trouble));
    }

    pub(super) fn lock_database(&self) {
        match &self.database {
            Side::None => {
                let (pending, swept, marks) = Default::default();
                self.reporter.tell(MigrationFact::Locked { pending, swept, marks });
            }
            side => self.tell_or_fail(side, WatchOrder::Lock { resumes: self.is_running() }),
        }
    }

    pub(super) fn verify_database(&self, pending: Pending, at: Option<(String, Step)>, failed: bool) {
        if let Side::None = self.database {
            let unverified =
                Some("nobody has looked into the database: no database_url is configured".to_owned());
            return self.reporter.tell(MigrationFact::Verified(Report { unverified, ..Report::default() }));
        }
        let (migration, at) = at.unzip();
        self.tell_or_fail(&self.database, WatchOrder::Verify { pending, migration, at, failed });
    }

    pub(super) fn resolve_database(&self) {
        self.tell_or_fail(&self.database, WatchOrder::Resolve);
    }

    /// Whoever is not there can only be said not to be there.
    fn tell_or_fail(&self, side: &Side, order: WatchOrder) {
        if !matches!(side, Side::Started(database) if database.tell(order)) {
            self.failed("the database side has ended, and cannot be asked any more".to_owned());
        }
    }

    pub(super) fn close_database(&mut self) {
        if let Side::Started(database) = std::mem::replace(&mut self.database, Side::Closed) {
            // Also where a command still has it looked at.
            database.tell(WatchOrder::Quit);
        }
    }

    /// What the history keeps of the run.
    pub(super) fn entry(&mut self, record: Record) -> HistoryEntry {
        self.opened = record.opened.clone();
        let mut output: Vec<String> =
            self.outputs.iter().filter_map(|lines| lines.get()).flatten().cloned().collect();
        output.drain(..output.len().saturating_sub(OUTPUT_LINES));
        let RunName { run, host, started, .. } = self.name.clone();
        let release = self.opening.blueprint.directory.display().to_string();
        HistoryEntry { run, host, release, started, output, record }
    }

    pub(super) fn run_migration(&mut self, checks: bool, tasks: &mut JoinSet<()>) {
        let (what, env) = match &self.opening.migrate.command {
            MigrateCommand::Django | MigrateCommand::DjangoApp { .. } => {
                let mut orders = self.orders(MigrateMode::Run);
                orders.unchecked = !checks;
                (CommandProgram::Django(orders.to_json()), BTreeMap::new())
            }
            MigrateCommand::Other(argv) => {
                let env = &self.opening.blueprint.env;
                let lock_timeout = self.opening.migrate.budgets.lock_timeout;
                (
                    CommandProgram::Other(argv.clone()),
                    guards::of(env, &self.name.tag, &self.opened, lock_timeout),
                )
            }
        };
        let (children, blueprint) = (self.children.clone(), self.opening.blueprint.clone());
        let mark = self.mark.clone();
        let database = match &self.database {
            Side::Started(database) => Some(database.clone()),
            _ => None,
        };
        let (reporter, kept) = (self.reporter.clone(), self.keep_output());
        let (signals, mut taken) = mpsc::unbounded_channel();
        self.signals = Some(signals);
        tasks.spawn(async move {
            let names = ("migration", mark.as_str());
            let command = match command::start(&children, &blueprint, &what, names, env).await {
                Ok(command) => command,
                Err(reason) => {
                    // Nobody is to take it for one that runs.
                    drop(taken);
                    return reporter.tell(MigrationFact::SpawnFailed { reason });
                }
            };
            look(database.as_ref(), LOOK_SECONDS, 0);
            let heard = reporter.clone();
            let ended = command
                .run(&mut taken, move |told| {
                    heard.tell(match told {
                        CommandUpdate::Step(step) => MigrationFact::Progressed(step),
                        CommandUpdate::Wrote => MigrationFact::Wrote,
                        CommandUpdate::Worked => MigrationFact::Worked,
                    });
                })
                .await;
            look(database.as_ref(), 0.0, 0);
            let _ = kept.set(ended.lines);
            reporter.tell(MigrationFact::CommandEnded { exit: ended.exit, failure: ended.failure });
        });
    }

    /// Has the looks say of what they were taken, as long as the command runs.
    pub(super) fn watch(&self, place: u32) {
        if let Side::Started(database) = &self.database
            && self.is_running()
        {
            look(Some(database), LOOK_SECONDS, place);
        }
    }

    fn is_running(&self) -> bool {
        self.signals.as_ref().is_some_and(|signals| !signals.is_closed())
    }

    fn keep_output(&mut self) -> Arc<OnceLock<Vec<String>>> {
        let kept = Arc::default();
        self.outputs.push_back(Arc::clone(&kept));
        // Earlier tries' lines would be left out of the history anyhow.
        if self.outputs.len() > 20 {
            self.outputs.pop_front();
        }
        kept
    }

    pub(super) fn abort(&mut self, signal: StopSignal) {
        match signal {
            StopSignal::Cancel => match &self.database {
                Side::Started(database) if database.tell(WatchOrder::Cancel) => {}
                _ => self.reporter.tell(MigrationFact::Cancelled { backends: 0 }),
            },
            StopSignal::EndBackends => match &self.database {
                // None is known of: what cannot be said is said by `Verified`.
                Side::None => self.reporter.tell(MigrationFact::BackendsGone),
                side => self.tell_or_fail(side, WatchOrder::EndBackends),
            },
            signal => {
                // One that has ended needs none.
                let _ = self.signals.as_ref().map(|signals| signals.send(signal));
            }
        }
    }

    /// Has the code that serves answer its probe once more; dropped with the run.
    pub(super) fn ask_serving(
        &mut self,
        generation: GenerationId,
        blueprint: Arc<Blueprint>,
        within: Duration,
        tasks: &mut JoinSet<()>,
    ) {
        let (children, reporter) = (self.children.clone(), self.reporter.clone());
        let (lives, over) = oneshot::channel();
        self.asking = Some(lives);
        tasks.spawn(async move {
            tokio::select! {
                answer = serving::ask(&children, generation, &blueprint, within) => {
                    reporter.tell(MigrationFact::ServingAnswered(answer));
                }
                _ = over => {}
            }
        });
    }

    /// Runs the commands of `post_deploy`, one after the other, until one fails.
    pub(super) fn post_deploy(&mut self, tasks: &mut JoinSet<()>) {
        let (children, opening) = (self.children.clone(), self.opening.clone());
        let (reporter, mark) = (self.reporter.clone(), self.name.tag.clone());
        let (signals, mut taken) = mpsc::unbounded_channel();
        self.signals = Some(signals);
        tasks.spawn(async move {
            let (mut exit, mut words) = (Exit::Code(0), String::new());
            for argv in &opening.migrate.post_deploy {
                let what = CommandProgram::Other(argv.clone());
                let names = (command::POST_DEPLOY, mark.as_str());
                let env = BTreeMap::new();
                match command::start(&children, &opening.blueprint, &what, names, env).await {
                    Ok(command) => {
                        let ended = command.run(&mut taken, drop).await;
                        exit = ended.exit;
                        words = ended.failure.map(|failure| failure.message).unwrap_or_default();
                    }
                    Err(reason) => (exit, words) = (Exit::Code(127), reason),
                }
                if exit != Exit::Code(0) {
                    words = format!("{}: {words}", argv.join(" "));
                    break;
                }
            }
            reporter.tell(MigrationFact::PostDeployEnded { exit, words });
        });
    }
}

fn look(database: Option<&DatabaseHandle>, every_seconds: f64, place: u32) {
    if let Some(database) = database {
        // Where it has ended, that has been told.
        database.tell(WatchOrder::Look { every_seconds, place });
    }
}
