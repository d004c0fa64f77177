//! How a process comes to be started, whatever it is for.

use crate::plan::{Hook, Preload};
use crate::supervise::action::{Action, Start};
use crate::supervise::app::{App, Generation, Mode, Turn};
use crate::supervise::event::{GenerationId, WorkerId};
use crate::supervise::hooks::DueHook;
use crate::supervise::news::Cause;
use crate::supervise::proof::Tolerance;

use super::process::Process;
use super::role::Role;

impl App {
    /// Starts a process of a generation that serves or is brought in.
    pub(super) fn start_process(
        &mut self,
        turn: &mut Turn<'_>,
        role: Role,
        generation: GenerationId,
        hold: bool,
    ) {
        let Some(found) = self.generation(generation) else { return };
        let (blueprint, policy) = (found.blueprint.clone(), found.policy.clone());
        let id = turn.next_process();
        let mut process = Process::booting((id, role.clone()), generation, (turn.now, hold), &policy);
        let (tolerate, from, first) = (Tolerance::NONE, None, None);
        let mut start = Start { process: id, role, generation, blueprint, hold, tolerate, from, first };
        match start.role {
            Role::Web => {
                let jitter = turn.random.up_to(policy.max_requests_jitter);
                process.most_requests =
                    if policy.max_requests > 0 { policy.max_requests + jitter } else { 0 };
                start.tolerate = self.tolerance(generation);
                start.from = self.zygote_of(generation);
            }
            Role::Zygote(_) => start.first = self.hook_before_forks(&start),
        }
        process.forking = start.from.is_some();
        let is_there = start.from.is_none();
        self.processes.insert(id, process);
        turn.actions.push(Action::StartProcess(start));
        if is_there {
            self.started(turn, id);
        }
    }

    /// The hook that a zygote runs before it forks, if the app sets it: what it computes is for the workers too.
    fn hook_before_forks(&self, start: &Start) -> Option<DueHook> {
        let rolling = self.rollout.as_ref().is_some_and(|it| it.generation.id == start.generation);
        let hook = Hook::first(self.serving.is_some() && rolling);
        let workers = self.policy(start.generation).map_or(0, |policy| self.wanted(policy));
        start.blueprint.hooks.contains(&hook).then(|| DueHook::new(hook, workers))
    }

    /// The zygote that forks the next worker of a generation, if the generation has one.
    pub(super) fn zygote_of(&self, generation: GenerationId) -> Option<WorkerId> {
        let is_it = |it: &&Process| it.generation == generation && it.is_ready() && it.role.forks();
        self.processes.values().find(is_it).map(|it| it.id)
    }

    /// Whether a worker of this generation can be started now. Sees to it that it soon can: a zygote is started if one has
    /// to be and none is.
    pub(super) fn can_start(&mut self, turn: &mut Turn<'_>, generation: GenerationId) -> bool {
        let preload = self.generation(generation).map_or(Preload::Nothing, |it| it.blueprint.preload);
        if preload == Preload::Nothing || self.zygote_of(generation).is_some() {
            return true;
        }
        let coming = |it: &Process| it.generation == generation && it.is_live() && it.role.forks();
        if !self.processes.values().any(coming) {
            self.start_process(turn, Role::Zygote(preload), generation, false);
        }
        false
    }

    /// Ends zygotes of generations that start no more workers, and one that has grown too large, to be started anew when
    /// one is needed. That one's successor is as large as it was itself at first: while workers are missing they are forked.
    pub(super) fn retire_zygotes(&mut self, turn: &mut Turn<'_>) {
        let calm = self.rollout.is_none() && self.serving.as_ref().is_some_and(|it| it.complete);
        let zygotes: Vec<(WorkerId, GenerationId, Option<Cause>)> = self
            .processes
            .values()
            .filter(|it| it.role.forks() && it.is_live())
            .map(|it| (it.id, it.generation, it.due.filter(|_| calm)))
            .collect();
        for (id, generation, worn) in zygotes {
            if self.mode != Mode::Running {
                self.end(turn, id, Cause::Stop);
            } else if !self.may_need_workers(generation) {
                self.end(turn, id, Cause::Rollout);
            } else if let Some(cause) = worn {
                self.end(turn, id, cause);
            }
        }
    }

    fn may_need_workers(&self, generation: GenerationId) -> bool {
        let serves = |it: &&Generation| it.id == generation;
        let serving = self.serving.as_ref().filter(serves);
        match &self.rollout {
            Some(rollout) if !rollout.is_rolling_back() => {
                rollout.generation.id == generation || serving.is_some_and(|it| it.served)
            }
            _ => serving.is_some(),
        }
    }
}
