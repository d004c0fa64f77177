//! What is known of one migration, from outside the core: what was ordered, and what was heard.

use std::collections::BTreeSet;
use std::sync::Arc;

use ostler::config::AppName;
use ostler::plan::Blueprint;
use ostler::supervise::{MigrationFact, MigrationOrder, Moment, Owed, StopSignal};

#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) app: AppName,
    pub(crate) began: Moment,
    pub(crate) blueprint: Option<Arc<Blueprint>>,
    pub(crate) open: bool,
    /// Whether the history, or the database, says that nothing may run.
    pub(crate) dirty: bool,
    /// Whether the database may know better than the history.
    keeps: bool,
    /// Whether it has a database side.
    pub(crate) database: bool,
    pub(crate) locked: bool,
    /// Written ahead: ordered, and known to be on the disk.
    pub(crate) begun: bool,
    pub(crate) written: bool,
    pub(crate) command: bool,
    pub(crate) ran: bool,
    pub(crate) signals: Vec<(Moment, StopSignal)>,
    /// What was seen since the command ended: whether that was clean.
    pub(crate) seen: Option<bool>,
    /// Whether its code has run before with nothing pending, and no database has said since that there is something to do.
    pub(crate) current: bool,
    /// The database at known.
    pub(crate) at: usize,
    /// The databases in which what hangs on the command is owed to code that fits, and it has not run since that is known.
    pub(crate) owes: BTreeSet<usize>,
    /// Those for which it has run and not ended well.
    pub(crate) failed_for: BTreeSet<usize>,
    /// Whether the run has ended well; a person's word, and a run that ostlerd did not live to end, have no such end.
    pub(crate) well: Option<bool>,
}

impl Book {
    pub(crate) fn new(app: &AppName, now: Moment) -> Book {
        Book {
            app: app.clone(),
            began: now,
            blueprint: None,
            open: false,
            dirty: false,
            keeps: false,
            database: false,
            locked: false,
            begun: false,
            written: false,
            command: false,
            ran: false,
            signals: Vec::new(),
            seen: None,
            current: false,
            at: 0,
            owes: BTreeSet::new(),
            failed_for: BTreeSet::new(),
            well: None,
        }
    }

    pub(crate) fn hear(&mut self, fact: &MigrationFact) {
        match fact {
            MigrationFact::PastRead(past) => {
                self.dirty = past.dirty.is_some() && !(self.keeps && past.marked.is_some());
                self.current = past.current && past.dirty.is_none() && past.unfinished.is_none();
            }
            // From who watches now in the place of another it may come late, when it has run.
            MigrationFact::Opened(opened) if !self.begun && !self.ran => self.owe(opened.owed),
            MigrationFact::Locked { marks, .. } => {
                (self.locked, self.dirty) = (true, marks.dirty.is_some());
                // As above.
                if !self.begun && !self.ran {
                    self.owe(marks.owed);
                }
                self.current = false;
            }
            MigrationFact::Busy { .. } => self.current = false,
            MigrationFact::DatabaseFailed(_) => self.locked = false,
            MigrationFact::Recorded => self.written = self.begun,
            MigrationFact::RecordFailed { .. } if !self.written => self.begun = false,
            // Its end could not be written.
            MigrationFact::RecordFailed { .. } => self.begun = false,
            MigrationFact::CommandEnded { .. } | MigrationFact::SpawnFailed { .. } => {
                (self.command, self.seen) = (false, None);
            }
            MigrationFact::Verified(report) if !self.command => {
                let removed = report.leftovers.iter().all(|it| it.removed);
                self.seen = Some(removed && report.unverified.is_none() && report.backends == 0);
            }
            _ => {}
        }
    }

    fn owe(&mut self, owed: Option<Owed>) {
        self.owes.remove(&self.at);
        self.owes.extend((owed == Some(Owed::New)).then_some(self.at));
    }

    pub(crate) fn act(&mut self, now: Moment, order: &MigrationOrder) {
        match order {
            MigrationOrder::Open(opening) => {
                (self.open, self.keeps) = (true, opening.migrate.marker);
                self.blueprint = Some(opening.blueprint.clone());
            }
            MigrationOrder::OpenDatabase { index } => {
                (self.database, self.locked, self.at) = (true, false, *index)
            }
            MigrationOrder::CloseDatabase => (self.locked, self.ran) = (false, false),
            MigrationOrder::RecordMigration(record) if record.verdict.is_none() && !record.resolved => {
                (self.begun, self.written) = (true, false);
                (self.ran, self.seen) = (false, None);
            }
            MigrationOrder::RecordMigration(record) => {
                (self.begun, self.written) = (false, false);
                if self.ran && record.verdict.as_ref().is_some_and(|it| !it.kind.is_good()) {
                    self.failed_for.insert(self.at);
                }
            }
            MigrationOrder::RunMigration { .. } => {
                self.owes.remove(&self.at);
                (self.command, self.ran, self.seen) = (true, true, None);
                self.signals.clear();
            }
            MigrationOrder::Abort(signal) => self.signals.push((now, *signal)),
            MigrationOrder::Close => self.open = false,
            _ => {}
        }
    }
}
