//! An app's databases: what is done to them, and what is wanted.

use serde::{Deserialize, Serialize};

use super::again::Again;
use crate::plan::AppPlan;
use crate::supervise::migration::{FollowUp, LastMigration, Migration, MigrationView, Opening, RunId};
use crate::supervise::request::RequestId;
use crate::supervise::time::Moment;

/// A plan whose databases are to be brought up to date, and for whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WantedPlan {
    pub(crate) plan: AppPlan,
    /// Whether the plan is rolled out then.
    pub(crate) rolls_out: bool,
    /// Who waits for the rollout.
    #[serde(skip)]
    pub(crate) waiters: Vec<RequestId>,
    /// Who waits for the migration alone.
    #[serde(skip)]
    pub(crate) only: Vec<RequestId>,
}

/// A migration under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Migrating {
    pub(crate) migration: Migration,
    pub(crate) wanted: WantedPlan,
    /// Who asked for its end.
    pub(crate) aborters: Vec<RequestId>,
}

/// All that an app keeps about migrations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Databases {
    #[serde(skip)]
    pub(crate) migrating: Option<Migrating>,
    /// What is wanted once nothing is done to the databases.
    pub(crate) queued: Option<WantedPlan>,
    #[serde(skip)]
    pub(crate) follow_up: Option<FollowUp>,
    /// What is tried again, if nothing serves.
    #[serde(skip)]
    pub(crate) again: Option<Again>,
    /// What serves although its databases have not answered since it was started: they are asked until they do.
    pub(crate) unasked: Option<AppPlan>,
    /// What is to be run now that its rollout has committed.
    pub(crate) post_deploy: Option<Opening>,
    pub(crate) last: Option<LastMigration>,
    /// How often a first start has failed so, one after the other.
    #[serde(skip)]
    pub(crate) failures: u32,
    /// What is wrong since then, in one sentence.
    pub(crate) problem: Option<String>,
    /// Who wants his migration to run although it breaks the code that serves.
    #[serde(skip)]
    pub(crate) accepting: Vec<RequestId>,
    /// The plan of the last migration: where nothing serves, nothing else knows how the history is reached.
    pub(crate) last_plan: Option<AppPlan>,
}

impl WantedPlan {
    /// What nobody waits for.
    pub(crate) fn of(plan: AppPlan, rolls_out: bool) -> WantedPlan {
        WantedPlan { plan, rolls_out, waiters: Vec::new(), only: Vec::new() }
    }

    /// The same for the next ostlerd: who waits goes with the one that they asked.
    pub(crate) fn left(self) -> WantedPlan {
        WantedPlan::of(self.plan, self.rolls_out)
    }

    pub(crate) fn has(&self, plan: &AppPlan) -> bool {
        self.plan.blueprint == plan.blueprint && self.plan.migrate == plan.migrate
    }

    pub(crate) fn join(&mut self, other: WantedPlan) {
        self.plan.policy = other.plan.policy;
        self.rolls_out |= other.rolls_out;
        self.waiters.extend(other.waiters);
        self.only.extend(other.only);
    }
}

impl Databases {
    /// The same for the next ostlerd: what is under way waits, to be begun anew; the newest plan does not if it is given up.
    pub(crate) fn left(self, gives_up: bool) -> Databases {
        let queued = self.newest().filter(|_| !gives_up).cloned().map(WantedPlan::left);
        let post_deploy = self.owed_post_deploy().cloned();
        let (migrating, follow_up, again, failures, accepting) = Default::default();
        Databases { migrating, queued, follow_up, again, post_deploy, failures, accepting, ..self }
    }

    /// Whether nothing is done to the databases now.
    pub(crate) fn is_idle(&self) -> bool {
        self.migrating.is_none() && self.follow_up.is_none()
    }

    /// The newest plan that will be rolled out after a migration.
    pub(crate) fn wanted(&self) -> Option<&WantedPlan> {
        let running = self.migrating.as_ref().map(|it| &it.wanted);
        self.queued.as_ref().or(running).filter(|it| it.rolls_out)
    }

    /// The newest plan that waits for a migration, rolled out after it or not.
    pub(crate) fn newest(&self) -> Option<&WantedPlan> {
        self.queued.as_ref().or(self.migrating.as_ref().map(|it| &it.wanted))
    }

    /// The same, to be joined.
    pub(crate) fn wanted_mut(&mut self) -> Option<&mut WantedPlan> {
        let running = self.migrating.as_mut().map(|it| &mut it.wanted);
        self.queued.as_mut().or(running).filter(|it| it.rolls_out)
    }

    /// Every plan that waits for a migration.
    pub(crate) fn plans_mut(&mut self) -> impl Iterator<Item = &mut WantedPlan> {
        self.migrating.as_mut().map(|it| &mut it.wanted).into_iter().chain(self.queued.as_mut())
    }

    /// What is to be run after the rollout, also where it runs already.
    pub(crate) fn owed_post_deploy(&self) -> Option<&Opening> {
        let runs = self.follow_up.as_ref().filter(|it| it.is_post_deploy());
        self.post_deploy.as_ref().or(runs.map(|it| &it.opening))
    }

    /// The run that is under way.
    pub(crate) fn run(&self) -> Option<RunId> {
        let migration = self.migrating.as_ref().map(|it| it.migration.run);
        migration.or(self.follow_up.as_ref().map(|it| it.run))
    }

    pub(crate) fn migration_view(&self, now: Moment) -> Option<MigrationView> {
        let migration = self.migrating.as_ref().map(|it| it.migration.view(now));
        migration.or_else(|| self.follow_up.as_ref().and_then(|it| it.view(now)))
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        let migration = self.migrating.as_ref().and_then(|it| it.migration.deadline());
        let follow_up = self.follow_up.as_ref().and_then(FollowUp::deadline);
        migration.into_iter().chain(follow_up).min()
    }
}
