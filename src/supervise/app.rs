//! One app: its generations and workers, and what facts do to them. What follows from the facts is in `converge`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::config::AppName;
use crate::plan::{AppPlan, Policy};

use super::action::Action;
use super::app_event::{AppEvent, AppEventKind};
use super::context::Context;
use super::ids::GenerationId;
use super::pool::{Backoff, Bucket};
use super::request::{Outcome, RequestId};
use super::state::{
    Accepting, AnotherLook, App, Databases, Generation, Hooks, Joins, Mode, ReleaseState, Scaling, Then,
};

impl App {
    pub(super) fn new(name: AppName) -> Self {
        App {
            name,
            mode: Mode::Running,
            serving: None,
            rollout: None,
            preparing: None,
            release: ReleaseState::default(),
            databases: Databases::default(),
            processes: BTreeMap::new(),
            hooks: Hooks::default(),
            bucket: Bucket::default(),
            scale: None,
            scaling: Scaling::default(),
            generations: 0,
            waiting: Vec::new(),
            refusal: None,
            another_look: AnotherLook::default(),
            last_rollout: None,
            last_words: None,
            limited: None,
            settled: true,
            accepting: Accepting::default(),
            joins: Joins::default(),
            wake: None,
        }
    }

    pub(super) fn announce(&self, context: &mut Context<'_>, kind: AppEventKind) {
        context.actions.push(Action::Announce(AppEvent { app: self.name.clone(), kind }));
    }

    pub(super) fn answer(&self, context: &mut Context<'_>, id: RequestId, outcome: Outcome) {
        context.answers.push((id, self.name.clone(), outcome));
    }

    pub(super) fn next_generation(&mut self, plan: AppPlan) -> Generation {
        self.follow_load_from_here();
        self.generations += 1;
        Generation {
            id: GenerationId(self.generations),
            blueprint: plan.blueprint,
            policy: plan.policy,
            owes_post_deploy: plan.migrate.is_some(),
            migrate: plan.migrate,
            backoff: Backoff::default(),
            command_backoffs: BTreeMap::new(),
            served: false,
            complete: false,
            proof: None,
        }
    }

    /// The policy of a generation; of one that is neither served nor rolled out any more, the serving one's.
    pub(super) fn policy(&self, generation: GenerationId) -> Option<&Policy> {
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        rolling
            .filter(|it| it.id == generation)
            .or(self.serving.as_ref())
            .or(rolling)
            .map(|generation| &generation.policy)
    }

    /// One that serves or is brought in.
    pub(super) fn generation(&self, id: GenerationId) -> Option<&Generation> {
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        rolling.into_iter().chain(&self.serving).find(|generation| generation.id == id)
    }

    pub(super) fn generation_mut(&mut self, id: GenerationId) -> Option<&mut Generation> {
        let rolling = self.rollout.as_mut().map(|rollout| &mut rollout.generation);
        rolling.into_iter().chain(self.serving.as_mut()).find(|generation| generation.id == id)
    }

    /// How many workers of a generation with this policy are wanted.
    pub(super) fn wanted(&self, policy: &Policy) -> u32 {
        let by_load = policy.range.map(|range| self.scaling.wanted(range));
        self.scale.or(by_load).unwrap_or(policy.workers)
    }

    /// Whether it was configured again while it stops.
    pub(super) fn returns(&self) -> bool {
        matches!(self.mode, Mode::Stopping { then: Then::Return(..), .. })
    }

    pub(super) fn ready_workers(&self) -> usize {
        self.workers().filter(|worker| worker.is_ready()).count()
    }

    /// The generation that answers clients now, where one does.
    pub(super) fn answering(&self) -> Option<GenerationId> {
        let serving = self.serving.as_ref().map(|serving| serving.id);
        let mut ready: Vec<GenerationId> =
            self.workers().filter(|worker| worker.is_ready()).map(|worker| worker.generation).collect();
        // Where several do, it is the one that should, or else the newest: the others are replaced before it.
        ready.sort_by_key(|generation| (Some(*generation) != serving, Reverse(*generation)));
        ready.first().copied()
    }

    /// What time alone does to it.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        self.tell_joins(context);
        self.look_again(context);
        self.expire_databases(context);
        self.expire_processes(context);
    }
}
