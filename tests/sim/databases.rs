//! The simulated databases: what is applied, who holds the lock, what is half done, and what the history holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::{Blueprint, Migrate, MigrateCommand};
use ostler::supervise::{
    Backend, CommandFailure, Exit, LastWords, MigrationFact, MigrationOrder, Moment, Opened, Past, Pending,
    Proof, Record, Report, RunId, Trouble, TroubleKind, Verdict, VerdictKind,
};

use crate::command::Command;
use crate::rng::Rng;
use crate::site::{Site, Troubles};

/// A run, as the shell keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) app: AppName,
    blueprint: Arc<Blueprint>,
    pub(crate) store: Option<usize>,
    /// Which database side it is; facts of an earlier one are not told.
    pub(crate) watch: u64,
    pub(crate) hung: bool,
    /// What its looks are taken of.
    pub(crate) place: u32,
    /// The database side that holds the lock.
    locked: u64,
    /// Whether another server applied what this run was going to.
    helped: bool,
    pub(crate) command: Option<Command>,
}

/// What will be told, or done, later.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    /// The database side says this, unless it was closed.
    Watch(u64, MigrationFact),
    WatchDies(u64, TroubleKind),
    /// Everything else says this.
    Shell(MigrationFact),
    Look(u64),
    Lock(u64),
    Command(u32),
    Dies(u32, Exit, Option<CommandFailure>),
}

#[derive(Clone, Debug)]
pub(crate) struct Databases {
    pub(crate) rng: Rng,
    pub(crate) troubles: Troubles,
    pub(crate) now: Moment,
    pub(crate) calm: bool,
    pub(crate) sites: BTreeMap<AppName, Site>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    watches: u64,
    /// What is to happen after a while.
    pub(crate) due: Vec<(Duration, RunId, Later)>,
}

impl Databases {
    pub(crate) fn drawn(
        mut rng: Rng,
        troubles: Troubles,
        apps: impl Iterator<Item = (AppName, Option<Arc<Migrate>>)>,
    ) -> Databases {
        let mut sites = BTreeMap::new();
        for (app, migrate) in apps {
            if let Some(migrate) = migrate {
                sites.insert(app, Site::drawn(&mut rng, &troubles, migrate));
            }
        }
        let (now, runs, due) = (Moment::ZERO, BTreeMap::new(), Vec::new());
        Databases { rng, troubles, now, calm: false, sites, runs, watches: 0, due }
    }

    pub(crate) fn chance(&mut self, of: impl Fn(&Troubles) -> f64) -> bool {
        let probability = if self.calm { 0.0 } else { of(&self.troubles) };
        self.rng.chance(probability)
    }

    /// A release with new migrations.
    pub(crate) fn release(&mut self, app: &AppName) {
        let rng = &mut self.rng;
        if let Some(site) = self.sites.get_mut(app) {
            site.release(rng);
        }
    }

    fn soon(&mut self) -> Duration {
        if self.chance(|it| it.late) { self.rng.millis(100, 5000) } else { self.rng.millis(0, 60) }
    }

    pub(crate) fn later(&mut self, delay: Duration, run: RunId, later: Later) {
        self.due.push((delay, run, later));
    }

    fn shell(&mut self, run: RunId, fact: MigrationFact) {
        if !self.chance(|it| it.lost * 0.3) {
            let delay = self.soon();
            self.later(delay, run, Later::Shell(fact));
        }
    }

    /// The database side answers, unless it does not.
    pub(crate) fn answer(&mut self, run: RunId, fact: MigrationFact, delay: Duration) {
        let Some(watch) = self.runs.get(&run).map(|it| it.watch) else { return };
        if self.chance(|it| it.lost) {
            return;
        }
        let delay = delay + self.soon();
        self.later(delay, run, Later::Watch(watch, fact));
    }

    /// Does what the core orders.
    pub(crate) fn perform(&mut self, app: &AppName, run: RunId, order: &MigrationOrder) {
        match order {
            MigrationOrder::Open(opening) => {
                let it = Run {
                    app: app.clone(),
                    blueprint: opening.blueprint.clone(),
                    store: None,
                    watch: 0,
                    hung: false,
                    place: 0,
                    locked: 0,
                    helped: false,
                    command: None,
                };
                self.runs.insert(run, it);
                if let Some(site) = self.sites.get_mut(app).filter(|it| it.began_before) {
                    (site.current, site.began_before) = (Some(opening.blueprint.clone()), false);
                }
                let past = self.sites.get(app).map_or_else(Past::default, |it| Past {
                    current: it.current.as_ref() == Some(&opening.blueprint),
                    ..it.past.clone()
                });
                self.shell(run, MigrationFact::PastRead(past));
            }
            MigrationOrder::OpenDatabase { index } => self.open(run, *index),
            MigrationOrder::LockDatabase => self.lock(app, run),
            MigrationOrder::RecordMigration(record) => {
                if self.chance(|it| it.disk_full) {
                    let reason = "No space left on device (os error 28)".to_owned();
                    return self.shell(run, MigrationFact::RecordFailed { reason });
                }
                if let Some(site) = self.sites.get_mut(app) {
                    site.record(record);
                }
                self.shell(run, MigrationFact::Recorded);
            }
            MigrationOrder::RunMigration { attempt, .. } => self.start(run, *attempt),
            MigrationOrder::Watch { place } => {
                if let Some(it) = self.runs.get_mut(&run) {
                    it.place = *place;
                }
            }
            MigrationOrder::Abort(rung) => self.abort(run, *rung),
            MigrationOrder::VerifyDatabase { pending, failed, .. } => self.verify(run, pending, *failed),
            MigrationOrder::ResolveDatabase => self.resolve(run),
            MigrationOrder::CloseDatabase => {
                if let Some(it) = self.runs.get_mut(&run) {
                    it.watch = 0;
                }
            }
            MigrationOrder::AskServing { .. } => {
                let words = || LastWords { message: "no such column".to_owned(), traceback: String::new() };
                let answer = if self.chance(|it| it.fate) { Err(words()) } else { Ok(Proof::default()) };
                let hangs = self.chance(|it| it.lost);
                let delay = if hangs { Duration::from_secs(200) } else { self.rng.millis(10, 3000) };
                self.later(delay, run, Later::Shell(MigrationFact::ServingAnswered(answer)));
            }
            MigrationOrder::KeepCurrent => {
                let (site, run) = (self.sites.get_mut(app), self.runs.get(&run));
                if let (Some(site), Some(run)) = (site, run) {
                    site.current = Some(run.blueprint.clone());
                }
            }
            MigrationOrder::PostDeploy => {
                let exit = if self.chance(|it| it.fate) { Exit::Code(1) } else { Exit::Code(0) };
                let hangs = self.chance(|it| it.fate * 0.5);
                let delay = if hangs { Duration::from_secs(200) } else { self.rng.millis(10, 3000) };
                let fact = MigrationFact::PostDeployEnded { exit, words: "done".to_owned() };
                self.later(delay, run, Later::Shell(fact));
            }
            MigrationOrder::Close => {
                self.runs.remove(&run);
            }
        }
    }

    fn open(&mut self, run: RunId, index: usize) {
        self.watches += 1;
        let watch = self.watches;
        let hung = self.chance(|it| it.lost * 0.3);
        let Some(it) = self.runs.get_mut(&run) else { return };
        (it.store, it.watch, it.hung) = (Some(index), watch, hung);
        let app = it.app.clone();
        if self.chance(|it| it.down) {
            let kinds = [TroubleKind::Unreachable, TroubleKind::Unreachable, TroubleKind::App];
            let kind = kinds[self.rng.below(3) as usize];
            let delay = self.rng.millis(10, 3000);
            return self.later(delay, run, Later::WatchDies(watch, kind));
        }
        if self.chance(|it| it.watch_dies) {
            let delay = self.rng.millis(0, 20_000);
            self.later(delay, run, Later::WatchDies(watch, TroubleKind::Unreachable));
        }
        let unwatched = self.chance(|it| it.down * 0.5).then(|| "too many connections".to_owned());
        let Some(site) = self.sites.get(&app) else { return };
        let store = &site.stores[index];
        let django = site.migrate.command == MigrateCommand::Django;
        let opened = Opened {
            vendor: store.vendor,
            unwatched,
            pending: django.then(|| store.pending()),
            owed: store.owed,
            ..Opened::default()
        };
        self.later(self.rng.clone().millis(100, 400), run, Later::Look(watch));
        self.answer(run, MigrationFact::Opened(opened), Duration::ZERO);
    }

    fn lock(&mut self, app: &AppName, run: RunId) {
        let Some(it) = self.runs.get(&run) else { return };
        let (watch, Some(index), held) = (it.watch, it.store, it.locked == it.watch) else { return };
        // A lock that was lost in the middle of a run is now and then another's by then.
        let lost = !held && it.command.is_some();
        if !held && self.chance(|it| it.busy) || lost && self.rng.chance(0.3) {
            let most = if self.rng.chance(0.1) { 100_000 } else { 8000 };
            let (until, helps) = (self.now + self.rng.millis(100, most), self.rng.chance(0.6));
            let signs = [None, Some(1), Some(1), Some(70)];
            let quiet = signs[self.rng.below(4) as usize].map(Duration::from_secs);
            if let Some(store) = self.sites.get_mut(app).and_then(|it| it.stores.get_mut(index)) {
                (store.busy_until, store.helps, store.quiet) = (until, helps, quiet);
            }
        }
        self.later(Duration::from_millis(5), run, Later::Lock(watch));
    }

    /// Polls the lock.
    pub(crate) fn poll(&mut self, run: RunId, watch: u64) -> Option<MigrationFact> {
        let it = self.runs.get(&run).filter(|it| it.watch == watch && !it.hung)?;
        let (app, index, now, calm) = (it.app.clone(), it.store?, self.now, self.calm);
        // On another server, that is.
        let resolved = self.rng.chance(0.2);
        let store = self.sites.get_mut(&app)?.stores.get_mut(index)?;
        if store.busy_until > now && !calm {
            let quiet = store.quiet;
            self.later(Duration::from_secs(1), run, Later::Lock(watch));
            return Some(MigrationFact::Busy { holder: "web2 (pid 4711)".to_owned(), quiet });
        }
        let helps = std::mem::take(&mut store.helps) && !store.marked;
        if helps {
            store.applied = store.code.iter().map(|it| it.name.clone()).collect();
            store.owed = None;
        }
        if store.marked && resolved {
            store.put_right();
        }
        let (pending, marks) = (store.pending(), Box::new(store.marks()));
        if let Some(it) = self.runs.get_mut(&run) {
            it.locked = watch;
            it.helped |= helps;
        }
        let swept = match self.rng.chance(0.02) {
            true => vec![Backend { pid: 12, ..Backend::default() }],
            false => Vec::new(),
        };
        self.answer(run, MigrationFact::Locked { pending, swept, marks }, Duration::ZERO);
        None
    }

    fn verify(&mut self, run: RunId, pending: &Pending, failed: bool) {
        let unverified = self.chance(|it| it.unverified).then(|| "permission denied".to_owned());
        let remove = failed && self.rng.chance(0.2);
        let now = self.now;
        let Some(it) = self.runs.get(&run) else { return };
        let Some(store) = it.store.and_then(|index| self.sites.get_mut(&it.app)?.stores.get_mut(index))
        else {
            return;
        };
        let mut leftovers = store.leftovers.clone();
        if remove && leftovers.len() == 1 {
            store.leftovers.clear();
            leftovers[0].removed = true;
        }
        let django = self.sites.get(&it.app).is_some_and(|it| it.migrate.command == MigrateCommand::Django);
        let keeps = django && self.sites.get(&it.app).is_some_and(|it| it.migrate.marker);
        let marked = keeps && leftovers.iter().any(|it| !it.removed);
        let site = self.sites.get_mut(&it.app).expect("it has the store");
        let store = &mut site.stores[it.store.unwrap_or(0)];
        // Nothing runs on top of another's mark: where the command has run, what was kept before is its own.
        store.marked = marked || store.marked && it.command.is_none();
        let names = pending.migrations.iter().map(|it| it.name.clone());
        let recorded = names.filter(|name| store.applied.contains(name)).collect();
        let backends = u32::from(store.backends_until > now);
        if !failed && backends == 0 && unverified.is_none() && leftovers.is_empty() {
            store.owed = None;
        }
        let recorded = django.then_some(recorded);
        let report = Report { backends, recorded, leftovers, unverified, marked };
        self.answer(run, MigrationFact::Verified(report), Duration::ZERO);
    }

    /// A person says that it is put right.
    fn resolve(&mut self, run: RunId) {
        let (now, calm) = (self.now, self.calm);
        let Some(it) = self.runs.get(&run) else { return };
        let Some(store) = it.store.and_then(|index| self.sites.get_mut(&it.app)?.stores.get_mut(index))
        else {
            return;
        };
        let holder = (store.busy_until > now && !calm).then(|| "web2 (pid 4711)".to_owned());
        let mut cleared = Vec::new();
        if holder.is_none() && store.marked {
            store.put_right();
            cleared.push("the run on web2".to_owned());
        }
        self.answer(run, MigrationFact::Resolved { holder, cleared }, Duration::ZERO);
    }

    /// ostlerd has fallen: the database sides go with it, the commands go on.
    pub(crate) fn ostlerd_crashes(&mut self) {
        self.runs.values_mut().for_each(|run| run.watch = 0);
    }

    /// Another ostlerd is there; it begins by ending whatever the one before has left.
    pub(crate) fn ostlerd_rises(&mut self) {
        let alive = |run: &Run| run.command.as_ref().filter(|it| it.alive).map(|it| it.attempt);
        let left: Vec<(RunId, u32)> =
            self.runs.iter().filter_map(|(id, run)| alive(run).map(|attempt| (*id, attempt))).collect();
        for (run, attempt) in left {
            self.dies(run, attempt, Exit::Signal(9), None);
        }
        self.runs.clear();
    }

    /// What the database side says of itself: it is gone.
    pub(crate) fn watch_dies(&mut self, run: RunId, watch: u64, kind: TroubleKind) -> Option<MigrationFact> {
        let it = self.runs.get_mut(&run).filter(|it| it.watch == watch)?;
        it.watch = 0;
        let message = "connection refused".to_owned();
        Some(MigrationFact::DatabaseFailed(Trouble { kind, message, traceback: String::new() }))
    }

    /// Whether a verdict, as it is written to the history, agrees with the database.
    pub(crate) fn agrees(&self, app: &AppName, run: RunId, record: &Record) -> Result<(), String> {
        let Some(verdict) = &record.verdict else { return Ok(()) };
        let (Some(site), Some(it)) = (self.sites.get(app), self.runs.get(&run)) else { return Ok(()) };
        let Some(store) = it.store.and_then(|index| site.stores.get(index)) else { return Ok(()) };
        let Verdict { kind, applied, .. } = verdict;
        let wrong =
            |what: &str| Err(format!("{run:?} of {app} is {kind}, and {what}: {record:?}, {store:?}"));
        let ran = record.attempts > 0;
        if *kind == VerdictKind::Unknown {
            return Ok(());
        }
        if it.command.as_ref().is_some_and(|it| it.alive) {
            return wrong("the command lives");
        }
        if applied.iter().any(|name| !store.applied.contains(name)) {
            return wrong("names more than is applied");
        }
        if ran && store.backends_until > self.now {
            return wrong("a backend is at work");
        }
        if (*kind == VerdictKind::Dirty) == store.leftovers.is_empty() && (ran || *kind == VerdictKind::Dirty)
        {
            return wrong("what is left says otherwise");
        }
        let django = site.migrate.command == MigrateCommand::Django;
        let done = record.pending.iter().filter(|it| store.applied.contains(it)).count();
        match kind {
            _ if it.helped => Ok(()),
            VerdictKind::Applied if django && done < record.pending.len() => wrong("something is pending"),
            VerdictKind::Failed | VerdictKind::Retryable if django && done > 0 => {
                wrong("something is applied")
            }
            VerdictKind::Partial if django && done == 0 => wrong("nothing is applied"),
            _ => Ok(()),
        }
    }
}
