//! How a process comes to be started, whatever it is for.

use super::process::Process;
use super::role::Role;
use crate::plan::Hook;
use crate::supervise::action::{Action, Start};
use crate::supervise::context::Context;
use crate::supervise::due_hook::DueHook;
use crate::supervise::ids::GenerationId;
use crate::supervise::proof::Tolerance;
use crate::supervise::state::App;

impl App {
    /// Starts a process of a generation that serves or is brought in.
    pub(super) fn start_process(
        &mut self,
        context: &mut Context<'_>,
        role: Role,
        generation: GenerationId,
        hold: bool,
    ) {
        let Some(found) = self.generation(generation) else { return };
        let (blueprint, policy) = (found.blueprint.clone(), found.policy.clone());
        let id = context.next_process();
        let mut process = Process::booting((id, role.clone()), generation, (context.now, hold), &policy);
        let (tolerate, from, first) = (Tolerance::NONE, None, None);
        let mut start = Start { process: id, role, generation, blueprint, hold, tolerate, from, first };
        match start.role {
            Role::Web => {
                let jitter = context.random.up_to(policy.max_requests_jitter);
                process.most_requests =
                    if policy.max_requests > 0 { policy.max_requests + jitter } else { 0 };
                start.tolerate = self.tolerance(generation);
                start.from = self.zygote_of(generation);
            }
            Role::Zygote(_) => start.first = self.hook_before_forks(&start),
            Role::Hooks => {
                start.from = self.zygote_of(generation);
                start.first = Some(self.hooks.begin(generation, id, context.now));
            }
            Role::Background(_) => {}
        }
        process.forking = start.from.is_some();
        let is_there = start.from.is_none();
        self.processes.insert(id, process);
        context.actions.push(Action::StartProcess(start));
        if is_there {
            self.started(context, id);
        }
    }

    /// The hook that a zygote runs before it forks, if the app sets it: what it computes is for the workers too.
    fn hook_before_forks(&self, start: &Start) -> Option<DueHook> {
        let rolling = self.rollout.as_ref().is_some_and(|it| it.generation.id == start.generation);
        let hook = Hook::first(self.serving.is_some() && rolling);
        let workers = self.policy(start.generation).map_or(0, |policy| self.wanted(policy));
        start.blueprint.hooks.contains(&hook).then(|| DueHook::new(hook, workers))
    }

    /// Whether a worker of `generation` may be started now; where not, `wake` is when.
    pub(super) fn may_start(
        &mut self,
        context: &Context<'_>,
        generation: GenerationId,
        replacement: bool,
    ) -> bool {
        let Some(found) = self.generation(generation) else { return false };
        let failing = found.backoff.failures() > 0;
        let mut not_before = found.backoff.not_before();
        if replacement {
            not_before = not_before.max(self.bucket.not_before());
        }
        if context.now < not_before {
            self.wake = Some(self.wake.map_or(not_before, |wake| wake.min(not_before)));
            return false;
        }
        // After a failure one worker at a time tries, until one has come up.
        !failing || self.count(|it| it.generation == generation && it.is_live() && !it.is_ready()) == 0
    }
}
