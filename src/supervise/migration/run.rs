//! A run: an app's databases are brought up to date, one after the other, under the watchdog.
//!
//! ```text
//! Opening ── dirty ─────────────────────────────────────────────────────────────► Over (dirty, nothing was run)
//!    │ PastRead
//!    ▼
//! Connecting
//!    │ Opened ── nothing pending, nothing owed ────────────────────────────► the next database, or Over
//!    ▼
//! Locking ◄──────────────────────────────────────────────┐   the lock is kept while it waits
//!    │ Locked ── it breaks the code that serves (`outlook`) ─► Over (refused, nothing was run)
//!    │   └── an earlier run has no end ─► Sweeping        │
//!    ▼                                          │ clean   │
//! WritingAhead ◄────────────────────────────────┘         │
//!    │ Recorded                                           │
//!    ▼                                                    │
//! Running ─ a budget, a request ─► `pool::ladder`         │
//!    │ CommandEnded ◄───────────────────┘                 │
//!    ▼                                                    │
//! EndingBackends ─ the database side is lost ─► Reopening │
//!    │ BackendsGone ◄─────────────────────────────┘       │
//!    ▼                                                    │
//! Verifying ─ Verified: judged (`judge`) ── a lock, clean ─► Waiting
//!    │ a verdict
//!    ▼
//! Recording ─ Recorded ─► the next database, or Over; before it, after another tool than Django's: AskingServing (`serving`)
//! ```
//!
//! Every arrow that waits for an answer has a limit, so that no run hangs: what is not answered is a broken database
//! side, or, once the command has run, a verdict of `unknown`. `start` leads to the command, `watchdog` ends it,
//! `finish` finds out what came of it, `clock` is what time alone does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, Sight};
use super::fact::{CommandFailure, MigrationFact, Past, Pending, RunId, Trouble, TroubleKind, Unfinished};
use super::marked::Owed;
use super::order::{AbortReason, MigrationOrder, Opening};
use super::outcome::{Verdict, VerdictKind};
use super::record::{AppliedMigration, Record};
use super::seen::DjangoSeen;
use super::serving_code::ServingCode;
use super::vendor::Vendor;
use crate::config::AppName;
use crate::plan::{AppPlan, Blueprint, Migrate};
use crate::supervise::action::Action;
use crate::supervise::app_event::{AppEvent, AppEventKind};
use crate::supervise::context::Context;
use crate::supervise::ids::GenerationId;
use crate::supervise::pool::Ending;
use crate::supervise::process_fact::Exit;
use crate::supervise::proof::Proof;
use crate::supervise::time::Moment;

/// How long an answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How long nothing may be heard of a database side that opens: a little longer than it gives itself, for its own words say
/// more.
pub(super) fn open_limit(migrate: &Migrate) -> Duration {
    migrate.budgets.open_timeout + Duration::from_secs(5)
}

/// A run under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Migration {
    pub(super) app: AppName,
    pub(in crate::supervise) run: RunId,
    pub(super) migrate: Arc<Migrate>,
    /// Somebody wants it although it breaks the code that serves.
    pub(in crate::supervise) accepts_breakage: bool,
    /// Whether a worker of the app serves.
    pub(super) serves: bool,
    /// The code that serves, if it is to be asked how it gets on with what the command did.
    pub(in crate::supervise) serving_code: Option<ServingCode>,
    /// What that showed of itself.
    pub(super) serving_proof: Option<Proof>,
    /// The databases for which the command has failed, here and in the tries of a start before: the next try does not wait
    /// for what hangs on the command alone there.
    pub(in crate::supervise) failed_for: BTreeSet<usize>,
    /// Whether the command was run.
    pub(in crate::supervise) has_run: bool,
    /// Whether a database has said that there is something to do in it.
    pub(super) has_work: bool,
    pub(super) began: Moment,
    /// From when `timeout_total` counts: moved on by what was spent waiting for another server.
    pub(super) clock: Moment,
    pub(super) stage: RunStage,
    /// When the stage has lasted too long, or its waiting is over; the command has its own clocks.
    pub(super) due: Option<Moment>,
    pub(super) past: Past,
    /// A run without an end on record, until somebody has looked what it left.
    pub(super) unfinished: Option<Unfinished>,
    pub(super) session: Session,
    /// Somebody, or something, wants it to end: nothing new is begun.
    pub(super) given_up: Option<AbortReason>,
    pub(super) haste: Haste,
    /// What came of the databases so far.
    pub(super) total: Verdict,
    pub(super) warning: Option<String>,
    /// Of the app's Django.
    pub(super) seen: DjangoSeen,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RunStage {
    Opening,
    Connecting,
    Locking { holder: Option<String>, since: Moment },
    Sweeping,
    WritingAhead,
    Running,
    EndingBackends { since: Moment },
    Reopening { asked: bool },
    Verifying,
    Waiting,
    Recording,
    AskingServing,
    Over,
}

/// How much time there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Haste {
    None,
    /// The app stops, and waits for this.
    Stop,
    /// The daemon leaves at once: only what must not be left behind is ended.
    Now,
}

/// What belongs to one database of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Session {
    /// Of `Migrate::databases`; `None` where there is none.
    pub(super) index: Option<usize>,
    /// Whether the database side was started and has not ended.
    pub(super) open: bool,
    /// Where the database side was lost while the command runs: until when another one is to be started, or to be at work.
    pub(super) reopening: Option<Moment>,
    /// How often that was so.
    pub(super) losses: u32,
    /// Since when the database side was lost, and somebody tries to look at the database all the same.
    pub(super) lost: Option<Moment>,
    pub(super) pending: Pending,
    /// Whether anybody can tell what is pending.
    pub(super) known: bool,
    /// Whether the command is to run also where nothing is.
    pub(super) owed: Option<Owed>,
    pub(super) record: Record,
    /// Whether the history holds it, or an earlier run that it ends.
    pub(super) written: bool,
    pub(super) attempt: Option<Attempt>,
    pub(super) ending: Option<Ending<AbortReason>>,
    pub(super) ended: Option<(Exit, Option<CommandFailure>)>,
    /// Applied by earlier attempts.
    pub(super) earlier: Vec<String>,
    /// How long each took, as the command said.
    pub(super) took: Vec<AppliedMigration>,
    pub(super) began: Moment,
    pub(super) verdict: Option<Verdict>,
}

impl Migration {
    /// Begins a run.
    pub(in crate::supervise) fn begin(
        context: &mut Context<'_>,
        run: RunId,
        plan: &AppPlan,
        migrate: Arc<Migrate>,
        serving: Option<GenerationId>,
    ) -> Migration {
        let blueprint: Arc<Blueprint> = plan.blueprint.clone();
        let migration = Migration {
            app: blueprint.app.clone(),
            run,
            migrate: migrate.clone(),
            accepts_breakage: false,
            serves: serving.is_some(),
            serving_code: None,
            serving_proof: None,
            failed_for: BTreeSet::new(),
            has_run: false,
            has_work: false,
            began: context.now,
            clock: context.now,
            stage: RunStage::Opening,
            due: Some(context.now + ANSWER),
            past: Past::default(),
            unfinished: None,
            session: Session::default(),
            given_up: None,
            haste: Haste::None,
            total: Verdict::of(VerdictKind::Nothing, "nothing is pending"),
            warning: None,
            seen: DjangoSeen::default(),
        };
        migration.order(context, MigrationOrder::Open(Opening { blueprint, migrate, serving }));
        migration
    }

    /// Takes a fact into account; one that nobody waits for is nothing.
    pub(in crate::supervise) fn heard(&mut self, context: &mut Context<'_>, fact: MigrationFact) {
        match (&self.stage, fact) {
            (RunStage::Opening, MigrationFact::PastRead(past)) => self.past_read(context, past),
            (RunStage::Opening, MigrationFact::DatabaseFailed(trouble)) => {
                self.past_unread(context, &trouble)
            }
            (RunStage::Connecting, MigrationFact::Opened(opened)) => self.opened(context, opened),
            (RunStage::Connecting | RunStage::Reopening { asked: true }, MigrationFact::Opening) => {
                self.enter(context.now, self.stage.clone(), self.open_limit());
            }
            (RunStage::Locking { .. }, MigrationFact::Busy { holder, quiet }) => {
                self.busy(context, holder, quiet)
            }
            (RunStage::Locking { .. }, MigrationFact::Locked { pending, swept, marks }) => {
                self.locked(context, pending, swept, *marks);
            }
            (RunStage::Sweeping, MigrationFact::Verified(report)) => self.swept(context, report),
            (RunStage::WritingAhead, MigrationFact::Recorded) => self.written_ahead(context, Ok(())),
            (RunStage::WritingAhead, MigrationFact::RecordFailed { reason }) => {
                self.written_ahead(context, Err(reason));
            }
            (RunStage::Running, fact) => self.running(context, fact),
            (RunStage::EndingBackends { .. }, MigrationFact::BackendsGone) => self.backends_gone(context),
            (RunStage::Reopening { asked: true }, MigrationFact::Opened(_)) => self.end_backends(context),
            (RunStage::Verifying, MigrationFact::Verified(report)) => self.verified(context, &report),
            (RunStage::Recording, MigrationFact::Recorded) => self.finish_database(context),
            (RunStage::Recording, MigrationFact::RecordFailed { reason }) => {
                self.warn(context, format!("its end could not be written to the history: {reason}"));
                self.finish_database(context);
            }
            (RunStage::AskingServing, MigrationFact::ServingAnswered(answer)) => {
                self.serving_answered(context, answer);
            }
            (_, MigrationFact::DatabaseFailed(trouble)) => self.database_failed(context, trouble),
            _ => {}
        }
    }

    /// The database side has ended.
    pub(super) fn database_failed(&mut self, context: &mut Context<'_>, trouble: Trouble) {
        if !self.session.open {
            return;
        }
        self.session.open = false;
        match self.stage {
            RunStage::Connecting | RunStage::Locking { .. } => self.cannot_begin(context, trouble),
            RunStage::Sweeping => {
                let words = format!("what an earlier run left could not be looked at: {}", trouble.message);
                self.conclude(context, Verdict::of(VerdictKind::Unknown, &words));
            }
            RunStage::Running => self.unwatched(context, &trouble.message),
            RunStage::EndingBackends { .. } | RunStage::Verifying | RunStage::Reopening { .. } => {
                self.sight_lost(context, &trouble);
            }
            // Before the command runs, or runs again, it is asked for anew.
            _ => {}
        }
    }

    pub(super) fn open_limit(&self) -> Duration {
        open_limit(&self.migrate)
    }

    /// What was asked of the database side was not answered in time.
    pub(super) fn unanswered(&mut self, context: &mut Context<'_>, limit: Duration) {
        let message = format!("the database side did not answer within {} s", limit.as_secs());
        let trouble = Trouble { kind: TroubleKind::Broken, message, traceback: String::new() };
        if self.session.open {
            self.order(context, MigrationOrder::CloseDatabase);
        }
        self.database_failed(context, trouble);
    }

    pub(in crate::supervise) fn is_over(&self) -> bool {
        self.stage == RunStage::Over
    }

    /// Whether somebody, or something, wanted it to end.
    pub(in crate::supervise) fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// Whether it has ended because a database did not answer, with code that has run on all of them before with nothing
    /// pending. Whoever has asked for its end has it.
    pub(in crate::supervise) fn could_not_ask(&self) -> bool {
        let unharmed = self.past.dirty.is_none() && self.past.unfinished.is_none();
        let ended = matches!(self.total.kind, VerdictKind::Failed | VerdictKind::Retryable);
        self.past.current && unharmed && ended && !self.has_work && self.given_up.is_none()
    }

    /// What came of it; it is over.
    pub(in crate::supervise) fn outcome(&self) -> (String, Verdict) {
        (self.database(), self.total.clone())
    }

    /// What the app's Django has shown of itself.
    pub(in crate::supervise) fn seen(&self) -> &DjangoSeen {
        &self.seen
    }

    pub(super) fn order(&self, context: &mut Context<'_>, order: MigrationOrder) {
        context.actions.push(Action::Migrate { app: self.app.clone(), run: self.run, order });
    }

    pub(super) fn announce(&self, context: &mut Context<'_>, kind: AppEventKind) {
        context.actions.push(Action::Announce(AppEvent { app: self.app.clone(), kind }));
    }

    /// Says something that needs no action, and goes on showing it.
    pub(super) fn warn(&mut self, context: &mut Context<'_>, words: String) {
        self.announce(context, AppEventKind::MigrationWarned { words: words.clone() });
        self.warning = Some(words);
    }

    pub(super) fn vendor(&self) -> Vendor {
        self.session.record.opened.vendor
    }

    pub(super) fn sight(&self) -> Sight {
        let opened = &self.session.record.opened;
        match self.session.index {
            None => Sight::None,
            Some(_) if opened.unwatched.is_some() || opened.vendor == Vendor::Other => Sight::Blind,
            Some(_) if self.session.open && self.session.reopening.is_none() => Sight::Watched,
            Some(_) => Sight::Blind,
        }
    }

    /// The database at hand, by a name that may be shown.
    pub(super) fn database(&self) -> String {
        match self.session.index.and_then(|index| self.migrate.databases.get(index)) {
            Some(database) => database.to_string(),
            None => "none".to_owned(),
        }
    }
}
