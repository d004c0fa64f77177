//! From the first look at the history to the command: nothing is changed in any database on this way.

use std::time::Duration;

use super::attempt::Attempt;
use super::fact::{Backend, Opened, Past, Pending, PendingMigration, Trouble};
use super::judge::counted;
use super::marked::{Marked, Marks, Owed};
use super::order::MigrationOrder;
use super::outcome::{Verdict, VerdictKind};
use super::report::Report;
use super::run::{ANSWER, Migration, RunStage, Session};
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;

/// `LockDatabase` also ends what a dead run left, and waits for it.
const LOCK_ANSWER: Duration = Duration::from_secs(60);
/// Who has the lock says something to the server every second.
const LONGEST_QUIET: Duration = Duration::from_secs(60);

impl Migration {
    pub(super) fn past_read(&mut self, context: &mut Context<'_>, past: Past) {
        // What the database keeps is asked there: on another server it may be put right by now.
        let kept = past.marked.as_ref().filter(|name| self.migrate.marker && self.has_database(name));
        if let (Some(what), None) = (&past.dirty, kept) {
            let words = format!("an earlier migration left the database half done: {what}");
            self.total = Verdict::of(VerdictKind::Dirty, &words);
            return self.close(context);
        }
        self.unfinished = past.unfinished.clone();
        self.past = past;
        let first = (!self.migrate.databases.is_empty()).then_some(0);
        self.begin_database(context, first);
    }

    /// Nobody knows what earlier runs have left: nothing is run on top of it.
    pub(super) fn past_unread(&mut self, context: &mut Context<'_>, trouble: &Trouble) {
        let words = format!("nothing was run: {}", trouble.message);
        self.total = Verdict::of(VerdictKind::Failed, &words).with_cause_elsewhere();
        self.close(context);
    }

    pub(super) fn begin_database(&mut self, context: &mut Context<'_>, index: Option<usize>) {
        self.session = Session { index, began: context.now, ..Session::default() };
        self.session.record.database = self.database();
        self.connect(context);
    }

    pub(super) fn connect(&mut self, context: &mut Context<'_>) {
        let Some(index) = self.session.index else { return self.begin_without_database(context) };
        self.session.open = true;
        self.order(context, MigrationOrder::OpenDatabase { index });
        self.enter(context.now, RunStage::Connecting, self.open_limit());
    }

    /// Nobody can be asked what is pending, nor what an earlier run has left.
    fn begin_without_database(&mut self, context: &mut Context<'_>) {
        if let Some(earlier) = self.unfinished.take() {
            self.session.written = true;
            let words = format!(
                "the run {} was not seen to end, and no database is known in which that could be looked at",
                earlier.run
            );
            return self.conclude(context, Verdict::of(VerdictKind::Unknown, &words));
        }
        self.write_ahead(context);
    }

    pub(super) fn opened(&mut self, context: &mut Context<'_>, opened: Opened) {
        if self.session.record.attempts > 0 {
            return self.lock(context);
        }
        for words in opened.unwatched.iter().map(|why| format!("unwatched: {why}")) {
            self.warn(context, words);
        }
        for words in &opened.warnings {
            self.warn(context, words.clone());
        }
        for words in opened.seen.warnings() {
            self.warn(context, words);
        }
        self.seen = self.seen.clone().joined(&opened.seen);
        self.session.known = opened.pending.is_some();
        self.session.pending = opened.pending.clone().unwrap_or_default();
        self.session.owed = opened.owed;
        self.session.record.opened = opened;
        if !self.session.pending.ahead.is_empty() {
            let names = self.session.pending.ahead.join(", ");
            self.warn(context, format!("the code is older than the database, which has {names} applied"));
        }
        if let Some(own) = &self.session.pending.own {
            let words = format!(
                "`migrate` is of {own}, not Django's own: it runs always, and what it will do in other schemas is not known"
            );
            self.warn(context, words);
        }
        if let Some(why) = self.seen.none.clone() {
            return self.conclude(context, Verdict::of(VerdictKind::Nothing, &why));
        }
        if self.is_refused(context) {
            return;
        }
        if self.nothing_to_run() && !self.is_to_sweep() && self.past.dirty.is_none() {
            self.say_spared(context);
            return self.conclude(context, Verdict::of(VerdictKind::Nothing, "nothing is pending"));
        }
        self.lock(context);
    }

    fn has_database(&self, name: &str) -> bool {
        self.migrate.databases.iter().any(|it| it.to_string() == name)
    }

    fn nothing_pending(&self) -> bool {
        let pending = &self.session.pending;
        self.session.known && pending.migrations.is_empty() && pending.own.is_none()
    }

    /// Nothing is pending, and nothing is owed that is to be done now.
    fn nothing_to_run(&self) -> bool {
        // What hangs on older code is not made for the newer schema.
        let fits = self.session.pending.ahead.is_empty();
        let owed = match self.session.owed {
            Some(Owed::New) => !self.is_spared(),
            // The start of what served before changes nothing: with another code it may have been done elsewhere meanwhile.
            Some(Owed::Earlier) => self.serves,
            None => false,
        };
        self.nothing_pending() && !(owed && fits)
    }

    /// Whether workers are started without what hangs on the command, which has failed: else nobody would be served.
    fn is_spared(&self) -> bool {
        !self.serves && self.session.index.is_some_and(|it| self.failed_for.contains(&it))
    }

    fn say_spared(&mut self, context: &mut Context<'_>) {
        if self.is_spared() && self.session.owed == Some(Owed::New) && self.session.pending.ahead.is_empty() {
            let words = format!(
                "started although `migrate` failed: nothing is pending. What hangs on it (post_migrate) is owed still: \
                 correct what failed, then `ostler migrate {}`",
                self.app
            );
            self.warn(context, words);
        }
    }

    /// Whether a run without an end was about the database at hand; one that is not known any more, about the first.
    fn is_to_sweep(&self) -> bool {
        let Some(earlier) = &self.unfinished else { return false };
        let mut names = self.migrate.databases.iter().map(ToString::to_string);
        let of = names.position(|name| name == earlier.database).unwrap_or(0);
        self.session.index == Some(of)
    }

    pub(super) fn lock(&mut self, context: &mut Context<'_>) {
        self.has_work = true;
        self.order(context, MigrationOrder::LockDatabase);
        self.enter(context.now, RunStage::Locking { holder: None, since: context.now }, LOCK_ANSWER);
    }

    /// As long as who has the lock is seen alive he is waited for: his own watchdog sees to it that he ends. Where nobody can
    /// tell whether he is, as long as all of a run may take.
    pub(super) fn busy(&mut self, context: &mut Context<'_>, by: String, quiet: Option<Duration>) {
        let RunStage::Locking { holder, since } = &self.stage else { return };
        let (since, limit) = (*since, self.migrate.budgets.timeout_total);
        let waited = context.now.since(since);
        if holder.is_none() {
            self.announce(context, AppEventKind::MigrationBusy { holder: by.clone() });
        }
        let gives_up = match quiet {
            Some(quiet) if quiet >= LONGEST_QUIET => Some(format!(
                "{by} has the lock, and nothing was seen of it for {} s: if that server is gone, end its connection to the \
                 database; if it hangs, restart its ostler",
                quiet.as_secs()
            )),
            None if waited >= limit => {
                Some(format!("another server has been migrating for {} s: {by}", limit.as_secs()))
            }
            _ => None,
        };
        if let Some(words) = gives_up {
            return self.conclude_unrun(context, VerdictKind::Retryable, &words);
        }
        self.enter(context.now, RunStage::Locking { holder: Some(by), since }, LOCK_ANSWER);
    }

    pub(super) fn locked(
        &mut self,
        context: &mut Context<'_>,
        pending: Pending,
        swept: Vec<Backend>,
        marks: Marks,
    ) {
        if let RunStage::Locking { holder: Some(_), since } = self.stage {
            self.clock = self.clock + context.now.since(since);
        }
        if self.session.known {
            (self.session.pending, self.session.owed) = (pending, marks.owed);
        }
        if !swept.is_empty() {
            self.announce(context, AppEventKind::MigrationSwept { backends: swept });
        }
        if let Some(marked) = marks.dirty {
            return self.marked(context, marked);
        }
        for words in marks.warnings {
            self.warn(context, words);
        }
        if self.is_to_sweep() && self.session.record.attempts == 0 {
            return self.sweep(context);
        }
        self.planned(context);
    }

    /// A run left something half done, and the database says so: nothing is run on top of it.
    fn marked(&mut self, context: &mut Context<'_>, marked: Marked) {
        if self.is_to_sweep() {
            // With this the history has an end for the run that had none.
            (self.session.written, self.unfinished) = (true, None);
        }
        self.session.record.marked = true;
        let verdict = marked.verdict();
        self.conclude(context, verdict);
    }

    /// What a run without an end has left: its backends are gone by now.
    fn sweep(&mut self, context: &mut Context<'_>) {
        let Some(earlier) = &self.unfinished else { return };
        let known = &self.session.pending.migrations;
        let named = |name: &String| match known.iter().find(|it| it.name == *name) {
            Some(migration) => migration.clone(),
            None => PendingMigration { name: name.clone(), atomic: true, operations: 0 },
        };
        let migrations = earlier.pending.iter().map(named).collect();
        let pending = Pending { migrations, ..Pending::default() };
        self.order(context, MigrationOrder::VerifyDatabase { pending, at: None, failed: true });
        self.enter(context.now, RunStage::Sweeping, ANSWER);
    }

    pub(super) fn swept(&mut self, context: &mut Context<'_>, report: Report) {
        let Some(earlier) = self.unfinished.clone() else { return };
        let left: Vec<_> = report.leftovers.iter().filter(|it| !it.removed).cloned().collect();
        let unclear = report.unverified.clone().or_else(|| {
            let left = report.backends;
            (left > 0).then(|| format!("{left} of its backends are still there"))
        });
        if left.is_empty()
            && let Some(why) = unclear
        {
            let words = format!("what the run {} left could not be verified: {why}", earlier.run);
            return self.conclude(context, Verdict::of(VerdictKind::Unknown, &words));
        }
        // From here on the history gets an end for it.
        self.session.written = true;
        self.unfinished = None;
        if left.is_empty() {
            let words = format!("ostlerd died in the run {}; it has left nothing half done", earlier.run);
            self.warn(context, words);
            return self.planned(context);
        }
        self.session.record.marked = report.marked;
        let what: Vec<&str> = left.iter().map(|it| it.what.as_str()).collect();
        let words = format!("ostlerd died in the run {}, which left: {}", earlier.run, what.join("; "));
        let applied = report.recorded.unwrap_or_default();
        let dirty = Verdict { applied, leftovers: left, ..Verdict::of(VerdictKind::Dirty, &words) };
        self.conclude(context, dirty);
    }

    /// The lock is ours, and what is pending is what will be applied.
    fn planned(&mut self, context: &mut Context<'_>) {
        if let Some(name) = self.pending_meanwhile() {
            let words = format!(
                "{name} is pending now, and was not when the run began: the release was changed meanwhile. Deploy it again"
            );
            return self.conclude_unrun(context, VerdictKind::Failed, &words);
        }
        if self.session.record.attempts > 0 {
            // Also where nothing is pending any more: what comes after the last migration has failed.
            return self.run(context);
        }
        if self.nothing_to_run() {
            self.say_spared(context);
            let before = self.session.record.opened.pending.as_ref();
            let words = match before.is_some_and(|before| !before.migrations.is_empty()) {
                true => "what was pending has been applied by another server",
                false => "nothing is pending",
            };
            return self.conclude(context, Verdict::of(VerdictKind::Nothing, words));
        }
        if self.is_refused(context) {
            return;
        }
        self.write_ahead(context);
    }

    /// A migration that has come since the run was judged and written ahead.
    fn pending_meanwhile(&self) -> Option<&str> {
        let Session { pending, record, .. } = &self.session;
        let names = pending.migrations.iter().map(|it| &it.name).filter(|_| record.attempts > 0);
        names.map(String::as_str).find(|name| !record.pending.iter().any(|it| it == name))
    }

    fn write_ahead(&mut self, context: &mut Context<'_>) {
        self.session.written = true;
        let names = self.session.pending.migrations.iter().map(|it| it.name.clone());
        self.session.record.pending = names.collect();
        self.order(context, MigrationOrder::RecordMigration(Box::new(self.session.record.clone())));
        self.enter(context.now, RunStage::WritingAhead, ANSWER);
    }

    /// The history holds the run, or cannot: then nothing is run.
    pub(super) fn written_ahead(&mut self, context: &mut Context<'_>, written: Result<(), String>) {
        if let Err(reason) = written {
            let words = format!("nothing was run: it could not be written to the history: {reason}");
            self.session.written = false;
            return self.conclude_unrun(context, VerdictKind::Failed, &words);
        }
        if let Some(reason) = self.given_up {
            let words = format!("ended before anything was run because {reason}");
            return self.conclude_unrun(context, VerdictKind::Failed, &words);
        }
        if self.session.index.is_some() && !self.session.open {
            let words = "nothing was run: the database side has ended, and the lock with it";
            return self.conclude_unrun(context, VerdictKind::Failed, words);
        }
        let pending = self.session.record.pending.clone();
        let database = self.database();
        let owed = self.nothing_pending();
        self.announce(context, AppEventKind::MigrationStarted { run: self.run, database, pending, owed });
        self.run(context);
    }

    /// The command runs from here on.
    fn run(&mut self, context: &mut Context<'_>) {
        self.has_run = true;
        let session = &mut self.session;
        session.record.attempts += 1;
        let place = session.attempt.as_ref().map_or(0, |before| before.place) + 1;
        session.attempt = Some(Attempt::started(context.now, place));
        (session.ending, session.ended, session.lost, session.reopening) = (None, None, None, None);
        let attempt = session.record.attempts;
        let checks = !self.nothing_pending();
        self.order(context, MigrationOrder::RunMigration { attempt, checks });
        self.order(context, MigrationOrder::Watch { place });
        (self.stage, self.due) = (RunStage::Running, None);
    }

    /// The database side ended before the command ran, or ran again.
    pub(super) fn cannot_begin(&mut self, context: &mut Context<'_>, trouble: Trouble) {
        let unrun = self.unrun(VerdictKind::Failed, &trouble.message);
        self.conclude(context, Verdict { detail: trouble.traceback, ..unrun });
    }

    pub(super) fn conclude_unrun(&mut self, context: &mut Context<'_>, kind: VerdictKind, words: &str) {
        let verdict = self.unrun(kind, words);
        self.conclude(context, verdict);
    }

    /// The verdict where this attempt ran nothing: what earlier ones applied is applied.
    fn unrun(&self, kind: VerdictKind, words: &str) -> Verdict {
        let applied = self.session.earlier.clone();
        if applied.is_empty() {
            return Verdict::of(kind, words).with_cause_elsewhere();
        }
        let done = counted(applied.len(), "migration applied", "migrations applied");
        let partial = Verdict::of(VerdictKind::Partial, &format!("{done}; {words}"));
        Verdict { applied, ..partial }.with_cause_elsewhere()
    }
}
