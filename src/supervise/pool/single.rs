//! The processes of which a generation has one each, beside its workers: who is wanted, who is there, and what follows.

use crate::plan::Preload;
use crate::supervise::app::{App, Generation, Mode, Turn};
use crate::supervise::event::{GenerationId, WorkerId};
use crate::supervise::news::Cause;

use super::process::Process;
use super::role::Role;

impl App {
    /// Who may be there now.
    fn singles(&self) -> Vec<(GenerationId, Role)> {
        if self.mode != Mode::Running {
            return Vec::new();
        }
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        let generations = self.serving.iter().chain(rolling);
        generations.flat_map(|it| self.singles_of(it).into_iter().map(|role| (it.id, role))).collect()
    }

    fn singles_of(&self, generation: &Generation) -> Vec<Role> {
        let preload = generation.blueprint.preload;
        let forks = preload != Preload::Nothing && self.may_need_workers(generation.id);
        forks.then_some(Role::Zygote(preload)).into_iter().collect()
    }

    /// Ends those that nobody needs any more, and those that have grown too large, to be started anew when they are needed. A
    /// zygote's successor is as large as it was itself at first: while workers are missing, they are forked.
    pub(super) fn keep_singles(&mut self, turn: &mut Turn<'_>) {
        let wanted = self.singles();
        let calm = self.rollout.is_none() && self.serving.as_ref().is_some_and(|it| it.complete);
        let not_wanted = if self.mode == Mode::Running { Cause::Rollout } else { Cause::Stop };
        let cause = |it: &Process| match wanted.contains(&(it.generation, it.role.clone())) {
            true => it.due.filter(|_| calm),
            false => Some(not_wanted),
        };
        let there = self.processes.values().filter(|it| !it.role.serves() && it.is_live());
        let ends: Vec<(WorkerId, Cause)> = there.filter_map(|it| Some((it.id, cause(it)?))).collect();
        for (id, cause) in ends {
            self.end(turn, id, cause);
        }
    }

    /// Whether a worker of this generation can be started now. Sees to it that it soon can: a zygote is started if one has
    /// to be and none is.
    pub(super) fn can_start(&mut self, turn: &mut Turn<'_>, generation: GenerationId) -> bool {
        let preload = self.generation(generation).map_or(Preload::Nothing, |it| it.blueprint.preload);
        if preload == Preload::Nothing || self.zygote_of(generation).is_some() {
            return true;
        }
        let role = Role::Zygote(preload);
        let coming = |it: &Process| it.generation == generation && it.role == role && it.is_live();
        if !self.processes.values().any(coming) {
            self.start_process(turn, role, generation, false);
        }
        false
    }

    /// The zygote that forks the next worker of a generation, if the generation has one.
    pub(super) fn zygote_of(&self, generation: GenerationId) -> Option<WorkerId> {
        let forks = |it: &&Process| matches!(it.role, Role::Zygote(_)) && it.is_ready();
        self.processes.values().filter(forks).find(|it| it.generation == generation).map(|it| it.id)
    }

    fn may_need_workers(&self, generation: GenerationId) -> bool {
        let serving = self.serving.as_ref().filter(|it| it.id == generation);
        match &self.rollout {
            Some(rollout) if !rollout.is_rolling_back() => {
                rollout.generation.id == generation || serving.is_some_and(|it| it.served)
            }
            _ => serving.is_some(),
        }
    }
}
