//! What hangs on two commands of an app's database side: a person's word that its database is put right, and `post_deploy`.

use super::app_event::AppEventKind;
use super::context::Context;
use super::migration::{FollowUp, FollowUpEnd, LastMigration, Opening, Task, VerdictKind};
use super::request::{Outcome, RequestId};
use super::state::App;

impl App {
    /// A follow-up is over.
    pub(super) fn follow_up_ended(&mut self, context: &mut Context<'_>, follow_up: FollowUp) {
        let Some(ended) = follow_up.ended().cloned() else { return };
        let took = context.now.since(follow_up.began());
        let outcome = match (follow_up.task, ended) {
            (Task::PostDeploy, FollowUpEnd::Well) => {
                self.announce(context, AppEventKind::PostDeployEnded { took });
                self.done("post_deploy had ended well already")
            }
            (Task::PostDeploy, FollowUpEnd::Badly { words }) => {
                self.databases.problem = Some(format!("post_deploy failed: {words}"));
                self.announce(context, AppEventKind::PostDeployFailed { words });
                self.done("post_deploy was ended")
            }
            (Task::Resolve { .. }, FollowUpEnd::Well) => {
                (self.databases.problem, self.databases.last) = (None, None);
                self.announce(context, AppEventKind::MigrationResolved);
                self.done("resolved: migrations run again")
            }
            (Task::Resolve { .. }, FollowUpEnd::Badly { words }) => Outcome::Refused { reason: words },
            (_, FollowUpEnd::NothingToResolve) => {
                let reason = format!("the last migration of {} left nothing to resolve", self.name);
                Outcome::Invalid { reason }
            }
        };
        self.answer_all(context, follow_up.waiters, &outcome);
    }

    fn done(&self, words: &str) -> Outcome {
        Outcome::Done { message: format!("{}: {words}", self.name), generation: self.answering() }
    }

    /// A generation brought in with a migration serves: what is to follow may.
    pub(super) fn deployed(&mut self) {
        let Some(serving) = &mut self.serving else { return };
        let owes = std::mem::replace(&mut serving.owes_post_deploy, false);
        let Some(migrate) = serving.migrate.clone().filter(|it| owes && !it.post_deploy.is_empty()) else {
            return;
        };
        self.databases.post_deploy =
            Some(Opening { blueprint: serving.blueprint.clone(), migrate, serving: None });
    }

    /// A person says that the database is put right.
    pub(super) fn resolve_migration(&mut self, context: &mut Context<'_>, id: RequestId) {
        let databases = &mut self.databases;
        if let Some(follow_up) = databases.follow_up.as_mut().filter(|it| !it.is_post_deploy()) {
            return follow_up.waiters.push(id);
        }
        if !databases.is_idle() {
            let reason = format!("{}: a migration is under way; try again when it has ended", self.name);
            return self.answer(context, id, Outcome::Refused { reason });
        }
        let needs_a_person =
            |it: &LastMigration| matches!(it.verdict.kind, VerdictKind::Dirty | VerdictKind::Unknown);
        let known = databases.last.as_ref().is_some_and(needs_a_person);
        let serving = self.serving.as_ref().map(|it| (it.blueprint.clone(), it.migrate.clone()));
        let last = databases.last_plan.as_ref().map(|it| (it.blueprint.clone(), it.migrate.clone()));
        let both = last.into_iter().chain(serving);
        let mut openings = both
            .filter_map(|(blueprint, migrate)| Some(Opening { blueprint, migrate: migrate?, serving: None }));
        let Some(opening) = openings.next() else {
            let reason = format!("{} has no migrations: there is nothing to resolve", self.name);
            return self.answer(context, id, Outcome::Invalid { reason });
        };
        let run = context.next_run();
        self.databases.follow_up =
            Some(FollowUp::begin(context, run, opening, Task::Resolve { known }, vec![id]));
    }
}
