//! The processes of which a generation has one each, beside its workers: who is wanted, who is there, and what follows.

use super::budget::Backoff;
use super::cause::Cause;
use super::process::Process;
use super::role::Role;
use crate::plan::Preload;
use crate::supervise::context::Context;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::state::{App, Generation, Mode};
use crate::supervise::time::Moment;
use crate::supervise::view::BackgroundView;

impl App {
    /// Who may be there now.
    fn singles(&self) -> Vec<(GenerationId, Role)> {
        // Hooks are due until the last worker of an app that stops has ended.
        let hooks = self.generations_with_hooks().map(|generation| (generation, Role::Hooks));
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        let generations = self.serving.iter().chain(rolling).filter(|_| self.mode == Mode::Running);
        let others = generations.flat_map(|it| self.singles_of(it).into_iter().map(|role| (it.id, role)));
        hooks.chain(others).collect()
    }

    fn singles_of(&self, generation: &Generation) -> Vec<Role> {
        let preload = generation.blueprint.preload;
        let forks = preload != Preload::Nothing && self.may_need_workers(generation.id);
        let zygote = forks.then_some(Role::Zygote(preload));
        // The new ones begin when the rollout is committed, and the old ones end then.
        let serves = generation.served && self.serving.as_ref().is_some_and(|it| it.id == generation.id);
        let commands = generation.blueprint.processes.keys().filter(|_| serves);
        zygote.into_iter().chain(commands.cloned().map(Role::Background)).collect()
    }

    /// Those that are started without being asked for, and are not there; with the moment from which they may be.
    fn missing(&self) -> Vec<(GenerationId, Role, Moment)> {
        let is_there = |(generation, role): &(GenerationId, Role)| {
            let is_it = |it: &Process| it.generation == *generation && it.role == *role && it.is_live();
            self.processes.values().any(is_it)
        };
        let wanted =
            self.singles().into_iter().filter(|it| matches!(it.1, Role::Background(_)) && !is_there(it));
        let due = |backoff: Option<&Backoff>| backoff.map_or(Moment::ZERO, Backoff::not_before);
        wanted.map(|it| (it.0, it.1.clone(), due(self.command_backoff(it.0, &it.1)))).collect()
    }

    fn command_backoff(&self, generation: GenerationId, role: &Role) -> Option<&Backoff> {
        let Role::Background(name) = role else { return None };
        self.generation(generation)?.command_backoffs.get(name)
    }

    /// The commands of the generation that serves, there or not.
    pub(in crate::supervise) fn background(&self, now: Moment) -> Vec<BackgroundView> {
        let missing = self.missing();
        let shown = |(generation, role): (GenerationId, Role)| {
            let Role::Background(name) = &role else { return None };
            let missing = missing.iter().find(|it| (it.0, &it.1) == (generation, &role));
            let next_start = missing.map(|(.., due)| due.since(now));
            let name = name.clone();
            let ends = self.command_backoff(generation, &role).map_or(0, Backoff::ends);
            let restarts = ends.saturating_sub(u32::from(missing.is_some()));
            Some(BackgroundView { name, generation, restarts, next_start })
        };
        self.singles().into_iter().filter_map(shown).collect()
    }

    /// When the next of them may be started.
    pub(super) fn missing_deadline(&self) -> Option<Moment> {
        self.missing().into_iter().map(|(.., due)| due).min()
    }

    /// Starts those that are missing. Ends those that nobody needs any more, and those that have grown too large, to be
    /// started anew when they are needed. A zygote's successor is as large as it was itself at first: while workers are
    /// missing, they are forked.
    pub(super) fn keep_singles(&mut self, context: &mut Context<'_>) {
        let wanted = self.singles();
        let calm = self.rollout.is_none() && self.serving.as_ref().is_some_and(|it| it.complete);
        let not_wanted = if self.mode == Mode::Running { Cause::Rollout } else { Cause::Stop };
        let cause = |it: &Process| match wanted.contains(&(it.generation, it.role.clone())) {
            true => it.due.filter(|_| calm),
            false => Some(not_wanted),
        };
        let there = self.processes.values().filter(|it| !it.role.serves() && it.is_live());
        let ends: Vec<(ProcessId, Cause)> = there.filter_map(|it| Some((it.id, cause(it)?))).collect();
        for (id, cause) in ends {
            self.end(context, id, cause);
        }
        for (generation, role, due) in self.missing() {
            if due <= context.now {
                self.start_process(context, role, generation, false);
            }
        }
    }

    /// Whether a worker of this generation can be started now. Sees to it that it soon can: a zygote is started if one has
    /// to be and none is.
    pub(super) fn can_start(&mut self, context: &mut Context<'_>, generation: GenerationId) -> bool {
        let preload = self.generation(generation).map_or(Preload::Nothing, |it| it.blueprint.preload);
        if preload == Preload::Nothing || self.zygote_of(generation).is_some() {
            return true;
        }
        let role = Role::Zygote(preload);
        let coming = |it: &Process| it.generation == generation && it.role == role && it.is_live();
        if !self.processes.values().any(coming) {
            self.start_process(context, role, generation, false);
        }
        false
    }

    /// The zygote that forks the next worker of a generation, if the generation has one.
    pub(super) fn zygote_of(&self, generation: GenerationId) -> Option<ProcessId> {
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
