//! An app's migration and what hangs on it: the rollout that follows, those who wait, the next plan, post_deploy.
//!
//! ```text
//! roll_out ─┬─ no [migrate] ────────────────────────────────────────────────► bring_in (`rollout`)
//!           ├─ the same plan is being migrated ─► joined                         ▲
//!           ├─ another is ─► queued: the newest plan is what is wanted           │ nothing, applied
//!           └─ else ─► Migration (`migration`) ─────────────────────────────────┤
//!                           ▲                                                    │ anything else
//!                           └── queued ◄─────────────────────────────────────────┴─► NotMigrated, old workers stay
//! ```
//!
//! One thing at a time is done to an app's databases: a migration, a person's resolution, post_deploy.

use crate::plan::AppPlan;

use super::app_event::AppEventKind;
use super::context::Context;
use super::migration::{
    AbortReason, FollowUp, LastMigration, Migration, MigrationFact, Task, Verdict, VerdictKind,
};
use super::request::{Outcome, RequestId};
use super::state::{App, Migrating, Mode, Preparing, WantedPlan};
use super::view::LastRollout;

impl App {
    /// Has `plan` run: its databases first, then its workers. The one entry by which a generation is brought in.
    pub(super) fn roll_out(&mut self, context: &mut Context<'_>, plan: AppPlan, waiters: Vec<RequestId>) {
        self.refusal = None;
        self.mode = Mode::Running;
        // A look that nobody has asked for was to find what is brought in now.
        let is_nobodys = |it: &Preparing| it.by_itself && it.waiters.is_empty() && it.again.is_empty();
        self.preparing.take_if(|it| is_nobodys(it));
        self.want(context, WantedPlan { plan, rolls_out: true, waiters, only: Vec::new() });
    }

    /// Has the databases brought up to date with `plan`, and nothing else.
    pub(super) fn migrate_only(&mut self, context: &mut Context<'_>, plan: AppPlan, only: Vec<RequestId>) {
        // What the shell holds for this plan is not needed by the workers that serve.
        self.settled = false;
        let outcome = if plan.migrate.is_none() {
            let reason = format!("{} has no migrations: {}", self.name, plan.migrations());
            Outcome::Invalid { reason }
        } else if self.databases.is_idle() && self.databases.queued.is_none()
            || self.databases.migrating.as_ref().is_some_and(|it| it.wanted.has(&plan))
            || self.databases.queued.as_ref().is_some_and(|it| it.has(&plan))
        {
            return self.want(context, WantedPlan { plan, rolls_out: false, waiters: Vec::new(), only });
        } else {
            let reason = format!("the databases of {} are being worked on; try again then", self.name);
            Outcome::Refused { reason }
        };
        self.answer_all(context, only, &outcome);
    }

    fn want(&mut self, context: &mut Context<'_>, wanted: WantedPlan) {
        let accepts = self.accepts_breakage(&wanted);
        if let Some(queued) = self.databases.queued.as_mut().filter(|it| it.has(&wanted.plan)) {
            queued.join(wanted);
            return self.joined(context);
        }
        if let Some(running) = self.databases.migrating.as_mut().filter(|it| it.wanted.has(&wanted.plan)) {
            running.migration.accepts_breakage |= accepts;
            if wanted.rolls_out {
                // This one is what is wanted again.
                running.wanted.join(wanted);
                self.overtake_queued(context);
            } else {
                running.wanted.join(wanted);
            }
            return self.joined(context);
        }
        if !self.databases.is_idle() {
            self.overtake_queued(context);
            self.databases.queued = Some(wanted);
            return self.announce(context, AppEventKind::MigrationQueued);
        }
        let rolling = self.rollout.as_ref().filter(|it| !it.is_rolling_back()).map(|it| &it.generation);
        let brought_in = rolling
            .is_some_and(|it| it.blueprint == wanted.plan.blueprint && it.migrate == wanted.plan.migrate);
        // Whoever asked for the migration alone is answered by one.
        let brought_in = brought_in && wanted.only.is_empty();
        if wanted.rolls_out && (brought_in || wanted.plan.migrate.is_none()) {
            self.databases.problem = None;
            if wanted.plan.migrate.is_none() {
                // What has no migrations any more has none that failed.
                self.databases.last = None;
            }
            return self.bring_in(context, wanted.plan, wanted.waiters);
        }
        self.begin_migration(context, wanted);
    }

    /// Whether somebody who waits for it wants it although it breaks the code that serves.
    fn accepts_breakage(&self, wanted: &WantedPlan) -> bool {
        wanted.waiters.iter().chain(&wanted.only).any(|id| self.databases.accepting.contains(id))
    }

    pub(super) fn begin_migration(&mut self, context: &mut Context<'_>, wanted: WantedPlan) {
        let Some(migrate) = wanted.plan.migrate.clone() else { return };
        if self.databases.unasked.is_none() {
            self.databases.problem = None;
        }
        (self.databases.again, self.databases.failures) = (None, 0);
        self.databases.last_plan = Some(wanted.plan.clone());
        let run = context.next_run();
        let serving = self.serving.as_ref().map(|it| it.id);
        let mut migration = Migration::begin(context, run, &wanted.plan, migrate, serving);
        migration.accepts_breakage = self.accepts_breakage(&wanted);
        migration.serving_code = self.serving_code(&wanted.plan);
        self.databases.migrating = Some(Migrating { migration, wanted, aborters: Vec::new() });
    }

    fn overtake_queued(&mut self, context: &mut Context<'_>) {
        let Some(queued) = self.databases.queued.take() else { return };
        let reason = "overtaken by a later request for another release".to_owned();
        let both = queued.waiters.into_iter().chain(queued.only).collect();
        self.answer_all(context, both, &Outcome::Refused { reason });
    }

    /// Something has become known about what is done to its databases.
    pub(super) fn migration_heard(&mut self, context: &mut Context<'_>, fact: MigrationFact) {
        if let Some(migrating) = &mut self.databases.migrating {
            migrating.migration.heard(context, fact);
        } else if let Some(follow_up) = &mut self.databases.follow_up {
            follow_up.heard(context, fact);
        }
        self.follow_databases(context);
    }

    pub(super) fn expire_databases(&mut self, context: &mut Context<'_>) {
        if let Some(migrating) = &mut self.databases.migrating {
            migrating.migration.expire(context);
        }
        if let Some(follow_up) = &mut self.databases.follow_up {
            follow_up.expire(context);
        }
        self.follow_databases(context);
        self.begin_again(context);
    }

    /// What has ended has consequences.
    pub(super) fn follow_databases(&mut self, context: &mut Context<'_>) {
        if let Some(over) = self.databases.migrating.take_if(|it| it.migration.is_over()) {
            self.migrated(context, over);
        }
        if let Some(over) = self.databases.follow_up.take_if(|it| it.ended().is_some()) {
            self.follow_up_ended(context, over);
        }
        self.begin_what_waits(context);
    }

    pub(super) fn begin_what_waits(&mut self, context: &mut Context<'_>) {
        if self.mode != Mode::Running || !self.databases.is_idle() {
            return;
        }
        if let Some(queued) = self.databases.queued.take() {
            self.want(context, queued);
        } else if let Some(opening) = self.databases.post_deploy.take() {
            self.announce(context, AppEventKind::PostDeployStarted);
            let run = context.next_run();
            self.databases.follow_up = Some(FollowUp::begin(context, run, opening, Task::PostDeploy, vec![]));
        }
    }

    fn migrated(&mut self, context: &mut Context<'_>, over: Migrating) {
        let Migrating { migration, mut wanted, aborters } = over;
        let (database, verdict) = migration.outcome();
        self.databases.last =
            Some(LastMigration { database, verdict: verdict.clone(), seen: migration.seen().clone() });
        let good = verdict.kind.is_good();
        let words = format!("migration {}: {}", verdict.kind, verdict.reason);
        self.databases.problem = (!good).then(|| words.clone());
        let ended = Outcome::Done { message: format!("{}: ended; {words}", self.name), generation: None };
        self.answer_all(context, aborters, &ended);
        if !good {
            // What the shell holds for its plan is not needed by the workers that stay.
            self.settled = false;
            let outcome = self.not_migrated(&verdict);
            self.answer_all(context, std::mem::take(&mut wanted.only), &outcome);
            if self.starts_unasked(&wanted, &migration) {
                return self.start_unasked(context, wanted, words);
            }
            self.still_unasked(context, &wanted, &migration);
            if wanted.rolls_out {
                self.last_rollout =
                    Some(LastRollout { generation: None, committed: false, reason: Some(words.clone()) });
                let serving = self.answering();
                self.announce(context, AppEventKind::NotRolledOut { reason: words, serving });
                self.begin_again_later(context, wanted.plan, &migration);
            }
            return self.answer_all(context, wanted.waiters, &outcome);
        }
        self.databases.unasked = None;
        self.serving_shown(&migration);
        let message = match verdict.kind {
            VerdictKind::Nothing => match &migration.seen().none {
                Some(why) => format!("{}: nothing to do: {why}", self.name),
                None => format!("{}: nothing to do", self.name),
            },
            _ => format!("{}: {}", self.name, verdict.reason),
        };
        let message =
            std::iter::once(message).chain(migration.seen().warnings()).collect::<Vec<_>>().join("; ");
        let generation = self.answering();
        self.answer_all(context, wanted.only, &Outcome::Done { message, generation });
        if !wanted.rolls_out || self.mode != Mode::Running {
            return;
        }
        if self.databases.queued.as_ref().is_some_and(|it| it.rolls_out) {
            let reason = "its databases are migrated, and a newer release was asked for meanwhile".to_owned();
            return self.answer_all(context, wanted.waiters, &Outcome::Refused { reason });
        }
        self.bring_in(context, wanted.plan, wanted.waiters);
    }

    fn not_migrated(&self, verdict: &Verdict) -> Outcome {
        Outcome::NotMigrated { verdict: verdict.clone(), serving: self.answering() }
    }

    /// Somebody wants the migration to end, or what is run after the rollout.
    pub(super) fn abort_migration(&mut self, context: &mut Context<'_>, id: RequestId) {
        if let Some(migrating) = &mut self.databases.migrating {
            migrating.aborters.push(id);
            migrating.migration.abort(context, AbortReason::Asked);
        } else if let Some(follow_up) = self.databases.follow_up.as_mut().filter(|it| it.is_post_deploy()) {
            follow_up.waiters.push(id);
            follow_up.abort(context);
        } else if self.databases.again.take().is_some() {
            let message = match self.databases.unasked.take() {
                Some(_) => format!("{}: its databases are not asked again until the next rollout", self.name),
                None => format!("{}: its start is not tried again", self.name),
            };
            return self.answer(context, id, Outcome::Done { message, generation: None });
        } else {
            let reason = format!("no migration of {} is under way", self.name);
            return self.answer(context, id, Outcome::Refused { reason });
        }
        self.follow_databases(context);
    }

    /// The app stops: what is under way for its databases ends; those who waited for it are told.
    pub(super) fn stop_databases(&mut self, context: &mut Context<'_>) -> Vec<RequestId> {
        let databases = &mut self.databases;
        (databases.post_deploy, databases.again, databases.unasked) = (None, None, None);
        let mut interrupted = Vec::new();
        for mut wanted in databases.queued.take().into_iter() {
            interrupted.append(&mut wanted.waiters);
            interrupted.append(&mut wanted.only);
        }
        if let Some(migrating) = &mut databases.migrating {
            interrupted.append(&mut migrating.wanted.waiters);
            interrupted.append(&mut migrating.wanted.only);
            migrating.migration.abort(context, AbortReason::Stopping);
        }
        if let Some(follow_up) = &mut databases.follow_up {
            follow_up.abort(context);
        }
        interrupted
    }

    /// The daemon leaves at once.
    pub(super) fn kill_databases(&mut self, context: &mut Context<'_>) {
        if let Some(migrating) = &mut self.databases.migrating {
            migrating.migration.kill(context);
        }
        if let Some(follow_up) = &mut self.databases.follow_up {
            follow_up.kill(context);
        }
        self.follow_databases(context);
    }

    pub(super) fn answer_all(&self, context: &mut Context<'_>, ids: Vec<RequestId>, outcome: &Outcome) {
        for id in ids {
            self.answer(context, id, outcome.clone());
        }
    }
}
