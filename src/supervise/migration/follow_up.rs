//! What else is done with an app's history and commands: a person's word that the database is put right, and what is
//! run after a rollout has committed.
//!
//! ```text
//! Opening ─ PastRead ─┬─ resolve ─► Connecting ─ Opened ─► Asking ─ Resolved ─► the next database, or Writing
//!                     │                └─ what was left stands in no database ─► Writing ─ Recorded ─► Over
//!                     └─ post_deploy ─► Running ─ timeout_total ─► Terminate ─ `pool::ladder` ─► Over
//!                                          └─ PostDeployEnded ─────────┴──────────────────► Over
//! ```

use super::fact::{MigrationFact, Past, RunId};
use super::order::{MigrationOrder, Opening};
use super::record::Record;
use super::run::{ANSWER, open_limit};
use super::view::{MigrationPhase, MigrationView};
use crate::config::AppName;
use crate::supervise::action::Action;
use crate::supervise::context::Context;
use crate::supervise::pool::{Climb, Ending, Ladder, StopSignal};
use crate::supervise::process_fact::Exit;
use crate::supervise::request::RequestId;
use crate::supervise::time::Moment;

/// A follow-up under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FollowUp {
    app: AppName,
    pub(in crate::supervise) run: RunId,
    pub(in crate::supervise) task: Task,
    /// Who waits for its end.
    pub(in crate::supervise) waiters: Vec<RequestId>,
    pub(in crate::supervise) opening: Opening,
    began: Moment,
    stage: FollowUpStage,
    due: Moment,
    given_up: bool,
    /// Whether the history has something that no database keeps.
    unmarked: bool,
    /// Whether there was anything to resolve.
    found: bool,
    /// The database that was asked last.
    asked: Option<usize>,
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Task {
    /// `known`: whether ostlerd itself saw a run that needs a person.
    Resolve {
        known: bool,
    },
    PostDeploy,
}

#[derive(Clone, Debug, PartialEq)]
enum FollowUpStage {
    Opening,
    /// The database side of the database with this index is started.
    Connecting(usize),
    /// It takes away what the database keeps.
    Asking(usize),
    Writing,
    Running,
    Ending(Ending<()>),
    Over(FollowUpEnd),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::supervise) enum FollowUpEnd {
    Well,
    /// There is nothing that a person could have put right.
    NothingToResolve,
    Badly {
        words: String,
    },
}

impl FollowUp {
    pub(in crate::supervise) fn begin(
        context: &mut Context<'_>,
        run: RunId,
        opening: Opening,
        task: Task,
        waiters: Vec<RequestId>,
    ) -> FollowUp {
        let app = opening.blueprint.app.clone();
        let due = context.now + ANSWER;
        let (began, stage) = (context.now, FollowUpStage::Opening);
        let given_up = false;
        let (unmarked, found, asked) = (false, false, None);
        let follow_up = FollowUp {
            app,
            run,
            task,
            waiters,
            opening,
            began,
            stage,
            due,
            given_up,
            unmarked,
            found,
            asked,
        };
        follow_up.order(context, MigrationOrder::Open(follow_up.opening.clone()));
        follow_up
    }

    pub(in crate::supervise) fn is_post_deploy(&self) -> bool {
        self.task == Task::PostDeploy
    }

    pub(in crate::supervise) fn heard(&mut self, context: &mut Context<'_>, fact: MigrationFact) {
        match (&self.stage, fact) {
            (FollowUpStage::Opening, MigrationFact::PastRead(past)) => self.past_read(context, &past),
            (FollowUpStage::Opening, MigrationFact::DatabaseFailed(trouble)) => {
                self.end(context, bad(trouble.message))
            }
            (FollowUpStage::Connecting(index), MigrationFact::Opened(_)) => {
                let index = *index;
                self.order(context, MigrationOrder::ResolveDatabase);
                (self.stage, self.due) = (FollowUpStage::Asking(index), context.now + ANSWER);
            }
            (FollowUpStage::Connecting(_), MigrationFact::Opening) => {
                self.due = context.now + open_limit(&self.opening.migrate);
            }
            (FollowUpStage::Asking(index), MigrationFact::Resolved { holder, cleared }) => {
                let index = *index;
                self.order(context, MigrationOrder::CloseDatabase);
                self.resolved(context, index, holder, cleared.is_empty());
            }
            (
                FollowUpStage::Connecting(_) | FollowUpStage::Asking(_),
                MigrationFact::DatabaseFailed(trouble),
            ) => {
                self.unasked(context, &trouble.message);
            }
            (FollowUpStage::Writing, MigrationFact::Recorded) => self.end(context, FollowUpEnd::Well),
            (FollowUpStage::Writing, MigrationFact::RecordFailed { reason }) => {
                self.end(context, bad(format!("it could not be written to the history: {reason}")));
            }
            (FollowUpStage::Running, MigrationFact::PostDeployEnded { exit: Exit::Code(0), .. }) => {
                self.end(context, FollowUpEnd::Well);
            }
            (
                FollowUpStage::Running | FollowUpStage::Ending(_),
                MigrationFact::PostDeployEnded { exit, words },
            ) => {
                self.end(context, bad(format!("{exit}: {words}")));
            }
            (FollowUpStage::Running | FollowUpStage::Ending(_), MigrationFact::SpawnFailed { reason }) => {
                self.end(context, bad(format!("it could not be started: {reason}")));
            }
            _ => {}
        }
    }

    fn past_read(&mut self, context: &mut Context<'_>, past: &Past) {
        match self.task {
            Task::Resolve { known } => {
                self.found = known || past.dirty.is_some();
                self.unmarked = past.dirty.is_some() && past.marked.is_none();
                self.ask_database(context, 0);
            }
            Task::PostDeploy => {
                self.order(context, MigrationOrder::PostDeploy);
                let limit = self.opening.migrate.budgets.timeout_total;
                (self.stage, self.due) = (FollowUpStage::Running, context.now + limit);
            }
        }
    }

    /// Another server's run may be what is resolved: only the database knows of it.
    fn ask_database(&mut self, context: &mut Context<'_>, index: usize) {
        let migrate = &self.opening.migrate;
        let keeps = migrate.marker && migrate.command.is_django();
        if keeps && index < migrate.databases.len() {
            self.order(context, MigrationOrder::OpenDatabase { index });
            (self.stage, self.due) = (FollowUpStage::Connecting(index), context.now + open_limit(migrate));
            self.asked = Some(index);
        } else if self.found {
            self.write(context);
        } else {
            self.end(context, FollowUpEnd::NothingToResolve);
        }
    }

    fn resolved(&mut self, context: &mut Context<'_>, index: usize, holder: Option<String>, nothing: bool) {
        match holder {
            Some(holder) => {
                let words = format!("{holder} migrates right now; try again when that has ended");
                self.end(context, bad(words));
            }
            None => {
                self.found |= !nothing;
                self.ask_database(context, index + 1);
            }
        }
    }

    /// What stands in no database needs none to be resolved.
    fn unasked(&mut self, context: &mut Context<'_>, why: &str) {
        if self.unmarked {
            return self.write(context);
        }
        let words = format!("what the database keeps of it could not be taken away: {why}");
        self.end(context, bad(words));
    }

    fn write(&mut self, context: &mut Context<'_>) {
        let database = self.opening.migrate.databases.first().map_or("none".to_owned(), ToString::to_string);
        let record = Record { database, resolved: true, ..Record::default() };
        self.order(context, MigrationOrder::RecordMigration(Box::new(record)));
        (self.stage, self.due) = (FollowUpStage::Writing, context.now + ANSWER);
    }

    /// It is to end: the app stops, or somebody asks.
    pub(in crate::supervise) fn abort(&mut self, context: &mut Context<'_>) {
        self.given_up = true;
        match self.stage {
            FollowUpStage::Running => self.begin_end(context, StopSignal::Terminate),
            FollowUpStage::Opening | FollowUpStage::Connecting(_) | FollowUpStage::Asking(_) => {
                self.end(context, bad("it was ended before it began".to_owned()));
            }
            FollowUpStage::Writing | FollowUpStage::Ending(_) | FollowUpStage::Over(_) => {}
        }
    }

    /// The daemon leaves at once.
    pub(in crate::supervise) fn kill(&mut self, context: &mut Context<'_>) {
        match self.stage {
            FollowUpStage::Running => self.begin_end(context, StopSignal::Kill),
            FollowUpStage::Ending(ref ending) if ending.signal < StopSignal::Kill => {
                self.begin_end(context, StopSignal::Kill);
            }
            FollowUpStage::Opening
            | FollowUpStage::Connecting(_)
            | FollowUpStage::Asking(_)
            | FollowUpStage::Writing => {
                self.end(context, bad("ostlerd was ended at once".to_owned()));
            }
            FollowUpStage::Ending(_) | FollowUpStage::Over(_) => {}
        }
    }

    fn begin_end(&mut self, context: &mut Context<'_>, first: StopSignal) {
        self.order(context, MigrationOrder::Abort(first));
        self.stage = FollowUpStage::Ending(Ending::at(context.now, (), first, Ladder::COMMAND));
    }

    fn climb(&mut self, context: &mut Context<'_>) {
        let FollowUpStage::Ending(ending) = &mut self.stage else { return };
        match ending.climb(context.now, Ladder::COMMAND) {
            None => {}
            Some(Climb::To(signal)) => self.order(context, MigrationOrder::Abort(signal)),
            Some(Climb::GivenUp) => self.end(context, bad("it is still there after SIGKILL".to_owned())),
        }
    }

    pub(in crate::supervise) fn expire(&mut self, context: &mut Context<'_>) {
        if self.deadline().is_none_or(|due| context.now < due) {
            return;
        }
        match self.stage {
            FollowUpStage::Opening | FollowUpStage::Writing => {
                let words = format!("the history did not answer within {} s", ANSWER.as_secs());
                self.end(context, bad(words));
            }
            FollowUpStage::Connecting(_) | FollowUpStage::Asking(_) => {
                self.unasked(context, "the database side did not answer in time")
            }
            FollowUpStage::Running => self.begin_end(context, StopSignal::Terminate),
            FollowUpStage::Ending(_) => self.climb(context),
            FollowUpStage::Over(_) => {}
        }
    }

    pub(in crate::supervise) fn deadline(&self) -> Option<Moment> {
        match &self.stage {
            FollowUpStage::Over(_) => None,
            FollowUpStage::Ending(ending) => ending.next,
            _ => Some(self.due),
        }
    }

    /// As a migration is shown; a resolution only once a database is asked.
    pub(in crate::supervise) fn view(&self, now: Moment) -> Option<MigrationView> {
        if !self.is_post_deploy() && self.asked.is_none() {
            return None;
        }
        let database = self.asked.and_then(|index| self.opening.migrate.databases.get(index));
        Some(MigrationView {
            run: self.run,
            database: database.map_or("none".to_owned(), ToString::to_string),
            phase: match self.task {
                Task::PostDeploy => MigrationPhase::PostDeploy,
                Task::Resolve { .. } => MigrationPhase::Opening,
            },
            since: now.since(self.began),
            attempt: 1,
            migration: None,
            number: 0,
            of: 0,
            migration_since: None,
            usually: None,
            operation: None,
            doing: None,
            blockers: Vec::new(),
            harm: None,
            aborting: None,
            warning: None,
        })
    }

    pub(in crate::supervise) fn began(&self) -> Moment {
        self.began
    }

    /// What came of it, where it is over.
    pub(in crate::supervise) fn ended(&self) -> Option<&FollowUpEnd> {
        match &self.stage {
            FollowUpStage::Over(ended) => Some(ended),
            _ => None,
        }
    }

    fn end(&mut self, context: &mut Context<'_>, ended: FollowUpEnd) {
        self.order(context, MigrationOrder::Close);
        let ended = match ended {
            FollowUpEnd::Badly { words } if self.given_up => bad(format!("{words} (it was to end)")),
            ended => ended,
        };
        self.stage = FollowUpStage::Over(ended);
    }

    fn order(&self, context: &mut Context<'_>, order: MigrationOrder) {
        context.actions.push(Action::Migrate { app: self.app.clone(), run: self.run, order });
    }
}

fn bad(words: String) -> FollowUpEnd {
    FollowUpEnd::Badly { words }
}
