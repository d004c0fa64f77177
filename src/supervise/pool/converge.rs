//! From what is to what is wanted: the decisions about one app, made anew after every fact.
//!
//! The *target* is the generation that should serve: the new one in a rollout, the serving one else (also while rolling
//! back). Every other worker is *old*. Three numbers keep clients safe and memory bounded:
//!
//! - `cap`: so many workers may live at once (wanted + surge);
//! - `floor`: our decisions never leave fewer ready workers than this;
//! - `reserve`: so many workers of the old generation are kept for those the new one does not have ready yet.

use super::cause::Cause;
use super::process::Process;
use super::role::Role;
use crate::supervise::action::Action;
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::request::Outcome;
use crate::supervise::state::{Accepting, App, Generation, Mode, RolloutPhase, Then};

impl App {
    /// Brings the app nearer to what is wanted.
    pub(in crate::supervise) fn converge(&mut self, context: &mut Context<'_>) {
        self.wake = None;
        if let Mode::Stopping { .. } = self.mode {
            self.finish_stop(context);
        }
        if self.mode != Mode::Running {
            return;
        }
        self.advance_rollout(context);
        self.limit(context);
        self.retire_old(context);
        self.recycle(context);
        self.fill_target(context);
        self.refill_serving(context);
        self.shrink(context);
        self.answer_waiting(context);
        self.keep_singles(context);
        self.drop_what_is_not_needed(context);
        self.begin_what_waits(context);
    }

    fn advance_rollout(&mut self, context: &mut Context<'_>) {
        let Some(rollout) = &self.rollout else { return };
        let target = &rollout.generation;
        let wanted = self.wanted(&target.policy) as usize;
        let full = self.count(|it| it.generation == target.id && it.is_ready()) >= wanted;
        match (&rollout.phase, full) {
            (RolloutPhase::Replacing, true) => {
                let (generation, settle) = (target.id, target.policy.rollout.settle);
                self.set_phase(RolloutPhase::Settling { until: context.now + settle });
                self.announce(context, AppEventKind::RolloutSettling { generation, settle });
            }
            (RolloutPhase::Settling { .. }, false) => self.set_phase(RolloutPhase::Replacing),
            (RolloutPhase::Settling { until }, true) if context.now >= *until => self.commit(context),
            (RolloutPhase::RollingBack { .. }, _) if self.is_back() => self.finish_rollback(context),
            _ => {}
        }
    }

    /// Before anything is started within the bounds. The first generation may have a migration before it.
    fn limit(&mut self, context: &mut Context<'_>) {
        let coming = self.databases.wanted().map(|wanted| &wanted.plan.policy);
        let policy = self.target().map(|target| &target.policy).or(coming);
        let Some(resources) = policy.map(|policy| policy.resources) else { return };
        if self.limited != Some(resources) {
            self.limited = Some(resources);
            context.actions.push(Action::Limit { app: self.name.clone(), resources });
        }
    }

    fn set_phase(&mut self, phase: RolloutPhase) {
        if let Some(rollout) = &mut self.rollout {
            rollout.phase = phase;
        }
    }

    /// Whether a rollback is over: the old generation is at full strength, or cannot get there.
    fn is_back(&self) -> bool {
        let Some(serving) = &self.serving else { return true };
        let wanted = self.wanted(&serving.policy) as usize;
        let ready = self.count(|it| it.generation == serving.id && it.is_ready());
        ready >= wanted || serving.is_given_up()
    }

    /// Old workers that nobody needs any more.
    fn retire_old(&mut self, context: &mut Context<'_>) {
        let Some(target) = self.target() else { return };
        let (id, wanted) = (target.id, self.wanted(&target.policy) as usize);
        if self.is_rolling_out() {
            return;
        }
        let full = self.count(|it| it.generation == id && it.is_ready()) >= wanted;
        for old in self.select(|it| it.generation != id && it.is_live() && (full || !it.is_ready())) {
            self.end(context, old, Cause::Rollout);
        }
    }

    /// A worn worker goes once there is one more ready than wanted: one at a time.
    fn recycle(&mut self, context: &mut Context<'_>) {
        let Some(serving) = self.serving.as_ref().filter(|_| self.rollout.is_none()) else { return };
        let (id, wanted) = (serving.id, self.wanted(&serving.policy) as usize);
        if self.count(|it| it.generation == id && it.is_ready()) <= wanted {
            return;
        }
        let worn = self.worn().map(|(worker, cause)| (worker.id, cause));
        if let Some((worker, cause)) = worn {
            self.end(context, worker, cause);
        }
    }

    /// Starts what the target generation lacks, and makes room for it.
    fn fill_target(&mut self, context: &mut Context<'_>) {
        let Some(target) = self.target() else { return };
        let id = target.id;
        let goal = self.goal();
        let hold = self.needs_canary();
        while self.count(|it| it.generation == id && it.is_live()) < goal {
            if !self.may_start(context, id, !self.is_rolling_out()) || !self.can_start(context, id) {
                return;
            }
            let worn = self.rollout.is_none() && self.worn().is_some();
            let cap = self.cap().max(if worn { goal } else { 0 });
            if self.count(Process::is_live) >= cap && !self.make_room(context, id) {
                return;
            }
            self.start_process(context, Role::Web, id, hold);
        }
    }

    /// Ends one old worker for a new one's sake: one that does not serve yet rather than one that does.
    fn make_room(&mut self, context: &mut Context<'_>, target: GenerationId) -> bool {
        let old = self.select(|it| it.generation != target && it.is_live());
        if self.is_rolling_out() && old.len() <= self.reserve() {
            return false;
        }
        let idle = old.iter().copied().find(|id| !self.processes[id].is_ready());
        let spare = (self.ready_workers() > self.floor()).then(|| old.first().copied()).flatten();
        let Some(victim) = idle.or(spare) else { return false };
        self.end(context, victim, Cause::Rollout);
        true
    }

    /// During a rollout, makes good what the serving generation has lost meanwhile.
    fn refill_serving(&mut self, context: &mut Context<'_>) {
        if !self.is_rolling_out() {
            return;
        }
        let Some(serving) = self.serving.as_ref().filter(|serving| serving.served) else { return };
        let (id, target) = (serving.id, self.target().map(|it| it.id));
        while self.count(|it| Some(it.generation) != target && it.is_live()) < self.reserve()
            && self.count(Process::is_live) < self.cap()
            && self.may_start(context, id, true)
            && self.can_start(context, id)
        {
            self.start_process(context, Role::Web, id, false);
        }
    }

    /// Ends workers of the target that are too many: those that boot first, then the oldest that serve.
    fn shrink(&mut self, context: &mut Context<'_>) {
        let Some(target) = self.target() else { return };
        let (id, wanted) = (target.id, self.wanted(&target.policy) as usize);
        while self.count(Process::is_live) > self.cap() && self.make_room(context, id) {}
        let goal = if self.rollout.is_some() { wanted.max(self.goal()) } else { self.goal() };
        let live = self.select(|it| it.generation == id && it.is_live());
        let mut excess = live.len().saturating_sub(goal);
        for booting in
            live.iter().rev().filter(|worker| !self.processes[worker].is_ready()).copied().collect::<Vec<_>>()
        {
            if excess > 0 {
                self.end(context, booting, Cause::Resize);
                excess -= 1;
            }
        }
        for ready in live {
            if excess > 0 && self.processes[&ready].is_ready() && self.ready_workers() > wanted {
                self.end(context, ready, Cause::Resize);
                excess -= 1;
            }
        }
    }

    /// Once only the serving generation is left, the shell may close what only others used.
    fn drop_what_is_not_needed(&mut self, context: &mut Context<'_>) {
        let Some(serving) = self.serving.as_ref().filter(|_| self.rollout.is_none()) else { return };
        let others = self.processes.values().any(|process| process.generation != serving.id);
        // A plan that waits for its migration has its listeners bound already.
        if !self.settled && !others && self.databases.wanted().is_none() {
            let blueprint = serving.blueprint.clone();
            context.actions.push(Action::KeepOnly { app: self.name.clone(), blueprint });
            self.settled = true;
        }
    }

    fn finish_stop(&mut self, context: &mut Context<'_>) {
        let emptying = match self.mode {
            Mode::Stopping { emptying, .. } if self.ready_workers() > 0 => emptying,
            _ => None,
        };
        self.wake = emptying.filter(|until| context.now < *until);
        let stays = |worker: &Process| self.wake.is_some() && worker.is_ready();
        for worker in self.select(|worker| worker.is_live() && !stays(worker)) {
            self.end(context, worker, Cause::Stop);
        }
        self.hurry(context);
        if !self.processes.values().any(|it| it.role != Role::Hooks) {
            self.hooks_of_stop(context);
        }
        self.keep_singles(context);
        if !self.processes.is_empty() || !self.databases.is_idle() || self.release.is_open() {
            return;
        }
        let Mode::Stopping { waiters, then, .. } = std::mem::replace(&mut self.mode, Mode::Stopped) else {
            return;
        };
        // What somebody has stopped has neither failed nor a problem; the next start is judged by itself.
        self.serving = None;
        (self.last_words, self.last_rollout, self.refusal) = (None, None, None);
        self.databases.problem = None;
        self.announce(
            context,
            if then == Then::Forget { AppEventKind::Removed } else { AppEventKind::Stopped },
        );
        for waiter in waiters {
            let message = format!("{}: stopped", self.name);
            self.answer(context, waiter, Outcome::Done { message, generation: None });
        }
        let release = Action::ReleaseApp { app: self.name.clone() };
        match then {
            Then::Rest => {
                (self.limited, self.accepting) = (None, Accepting::Open);
                context.actions.push(release);
            }
            Then::Forget => {
                self.mode = Mode::Removed;
                context.actions.push(release);
            }
            // What the shell holds for it is what it will need.
            Then::Return(prepared, id) => {
                self.mode = Mode::Running;
                self.begin(context, *prepared, Some(id));
            }
        }
    }

    fn is_rolling_out(&self) -> bool {
        self.rollout.as_ref().is_some_and(|rollout| !rollout.is_rolling_back())
    }

    /// Whether the next new worker is the first that would serve, beside others that do: it goes ahead alone, held.
    fn needs_canary(&self) -> bool {
        let unproven = self.rollout.as_ref().is_some_and(|rollout| !rollout.canary_ready);
        unproven && self.is_rolling_out() && self.ready_workers() > 0
    }

    pub(in crate::supervise) fn target(&self) -> Option<&Generation> {
        match &self.rollout {
            Some(rollout) if !rollout.is_rolling_back() => Some(&rollout.generation),
            _ => self.serving.as_ref(),
        }
    }

    /// How many workers of the target should live now.
    fn goal(&self) -> usize {
        let Some(target) = self.target() else { return 0 };
        let wanted = self.wanted(&target.policy) as usize;
        match &self.rollout {
            Some(_) if self.needs_canary() => wanted.min(1),
            Some(_) => wanted,
            None => wanted + usize::from(self.worn().is_some()),
        }
    }

    /// The first worker that should be replaced when there is room.
    fn worn(&self) -> Option<(&Process, Cause)> {
        let serving = self.serving.as_ref().map(|serving| serving.id);
        let its = self.workers().filter(|it| Some(it.generation) == serving && it.is_live());
        its.filter_map(|worker| Some((worker, worker.due?))).next()
    }

    /// How many workers the target should have, and the other generation of a rollout.
    fn wanted_of_both(&self) -> (usize, usize) {
        let wanted = |generation: &Generation| self.wanted(&generation.policy) as usize;
        let target = self.target().map_or(0, wanted);
        let other = match &self.rollout {
            Some(rollout) if rollout.is_rolling_back() => wanted(&rollout.generation),
            _ => self.serving.as_ref().map_or(target, wanted),
        };
        (target, other)
    }

    fn cap(&self) -> usize {
        let (target, other) = self.wanted_of_both();
        let most = target.max(other);
        let in_rollout = self.rollout.as_ref().map(|rollout| &rollout.generation);
        let surge =
            in_rollout.or(self.serving.as_ref()).map_or(1, |it| it.policy.rollout.max_surge.of(most as u32));
        most + surge as usize
    }

    fn floor(&self) -> usize {
        let (target, other) = self.wanted_of_both();
        let before = self.rollout.as_ref().map_or(0, |rollout| rollout.ready_before);
        target.min(other.max(before))
    }

    /// How many of the serving generation a rollout still needs.
    fn reserve(&self) -> usize {
        let Some(serving) = &self.serving else { return 0 };
        let wanted = self.wanted(&serving.policy) as usize;
        let target = self.target().map(|target| target.id);
        wanted.saturating_sub(self.count(|it| Some(it.generation) == target && it.is_ready()))
    }

    /// The processes that serve clients, or are to.
    pub(in crate::supervise) fn workers(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(|process| process.role == Role::Web)
    }

    pub(in crate::supervise) fn count(&self, which: impl Fn(&Process) -> bool) -> usize {
        self.workers().filter(|worker| which(worker)).count()
    }

    pub(in crate::supervise) fn select(&self, which: impl Fn(&Process) -> bool) -> Vec<ProcessId> {
        self.workers().filter(|worker| which(worker)).map(|worker| worker.id).collect()
    }
}
