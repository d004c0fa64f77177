//! What commands and new plans do to one app.

use std::time::Duration;

use crate::config::{WORKERS_MOST, counted};
use crate::plan::{AppPlan, Effect, Prepared, effect};

use super::action::Action;
use super::app_event::AppEventKind;
use super::command::{Command, ScaleTo};
use super::context::Context;
use super::pool::Cause;
use super::request::{Outcome, RequestId};
use super::state::{App, Mode, Purpose, Target, Then, Waiting};

/// However many connections wait when an app stops, its workers take no more of them after this.
const EMPTYING_MOST: Duration = Duration::from_secs(10);

/// The shell does it, and has not.
pub(super) const NOT_FOR_THE_CORE: &str = "the core cannot do this; this is a fault of ostlerd";

impl App {
    /// Does what is asked of this app.
    pub(super) fn command(&mut self, context: &mut Context<'_>, id: RequestId, command: Command) {
        match command {
            Command::Restart { release: None, .. } => self.restart(context, id),
            Command::Restart { release: Some(release), .. } => {
                self.switch_release(context, id, Target::Release(release))
            }
            Command::Rollback { .. } => self.switch_release(context, id, Target::Before),
            Command::Start { .. } => self.start(context, id),
            Command::Stop { .. } => self.stop(context, Some(id), Then::Rest),
            Command::Scale { workers: ScaleTo::Count(workers), .. } => self.scale(context, id, workers),
            Command::Scale { workers: ScaleTo::Auto(_), .. } => self.scale_as_configured(context, id),
            Command::ScaleBy { step, .. } => self.scale_by(context, id, step),
            Command::Migrate { .. } => self.migrate(context, id),
            Command::AbortMigration { .. } => self.abort_migration(context, id),
            Command::ResolveMigration { .. } => self.resolve_migration(context, id),
            Command::MigrationPlan { .. } | Command::MigrationHistory { .. } => {
                self.not_for_the_core(context, id)
            }
            Command::Drain { .. } | Command::Undrain => self.not_for_the_core(context, id),
            Command::Reload | Command::Hangup | Command::DryRun | Command::Reexec => {
                self.not_for_the_core(context, id)
            }
            Command::Served | Command::Shutdown | Command::ShutdownNow => self.not_for_the_core(context, id),
        }
    }

    /// ostlerd ends, and the app may not have stopped yet: whoever waits for that is told.
    pub(super) fn give_up_stopping(&mut self, actions: &mut Vec<Action>) {
        actions
            .extend(self.release.give_up().into_iter().map(|(id, outcome)| Action::Answer { id, outcome }));
        let Mode::Stopping { waiters, .. } = &mut self.mode else { return };
        let reason = format!("ostlerd has ended before {} had stopped", self.name);
        let outcome = Outcome::Refused { reason };
        let waiters = std::mem::take(waiters).into_iter();
        actions.extend(waiters.map(|id| Action::Answer { id, outcome: outcome.clone() }));
    }

    fn not_for_the_core(&mut self, context: &mut Context<'_>, id: RequestId) {
        self.answer(context, id, Outcome::Invalid { reason: NOT_FOR_THE_CORE.to_owned() });
    }

    /// The app's first plan.
    pub(super) fn begin(&mut self, context: &mut Context<'_>, prepared: Prepared, waiter: Option<RequestId>) {
        let waiters: Vec<_> = waiter.into_iter().collect();
        match prepared {
            Ok(plan) if !waiters.is_empty() && context.links.read_too_early(&plan.blueprint.directory) => {
                self.prepare_for(context, waiters.into_iter().map(|id| (id, Purpose::Rollout)).collect());
            }
            Ok(plan) => self.roll_out(context, plan, waiters),
            Err(refusal) => self.refuse(context, refusal, waiters),
        }
    }

    /// A new configuration's plan for an app that is there already; whether an answer follows.
    pub(super) fn replan(&mut self, context: &mut Context<'_>, prepared: Prepared, id: RequestId) -> bool {
        if let Mode::Stopping { then, .. } = &mut self.mode
            && *then != Then::Rest
        {
            let earlier = match std::mem::replace(then, Then::Return(Box::new(prepared), id)) {
                Then::Return(_, earlier) => Some(earlier),
                Then::Rest | Then::Forget => None,
            };
            if let Some(id) = earlier {
                let reason = "overtaken by a later configuration".to_owned();
                self.answer(context, id, Outcome::Refused { reason });
            }
            return true;
        }
        let plan = match prepared {
            Ok(plan) => plan,
            Err(refusal) => {
                self.refuse(context, refusal, vec![id]);
                return true;
            }
        };
        if self.mode != Mode::Running {
            if self.mode == Mode::Stopped {
                // Its listeners were bound for this plan, and nobody serves them.
                context.actions.push(Action::ReleaseApp { app: self.name.clone() });
            }
            return false;
        }
        let effect = self.plan().map_or(Effect::Rollout, |running| effect(&running, &plan));
        if context.links.read_too_early(&plan.blueprint.directory) && effect == Effect::Rollout {
            self.prepare(context, id, Purpose::Rollout);
            return true;
        }
        let Some(running) = self.plan() else {
            self.roll_out(context, plan, vec![id]);
            return true;
        };
        match effect {
            Effect::Rollout => {
                self.roll_out(context, plan, vec![id]);
                return true;
            }
            Effect::Nothing => return self.join(id),
            _ => {}
        }
        let policy = &plan.policy;
        let from = self.wanted(&running.policy);
        if effect == Effect::Resize {
            self.scale = None;
            self.scaling.begin_with(Some(from));
            self.overtake_scaling(context, self.wanted(policy));
        }
        let to = self.wanted(policy);
        if from != to {
            self.announce(context, AppEventKind::Scaled { from, to });
            self.hooks_of_scaling(context, from, to);
        }
        // Both: what a rollback goes back to is the old code, kept by the numbers that are in force.
        let rolling = self.rollout.as_mut().map(|rollout| &mut rollout.generation);
        for generation in rolling.into_iter().chain(self.serving.as_mut()) {
            generation.policy = policy.clone();
            generation.migrate = plan.migrate.clone();
        }
        for wanted in self.databases.plans_mut() {
            // A run that is under way keeps the budgets that it began with.
            wanted.plan.policy = policy.clone();
            wanted.plan.migrate = plan.migrate.clone();
        }
        if self.rollout.is_none() && self.databases.wanted().is_none() {
            self.waiting.push(Waiting { id, done: "changed in place".to_owned(), scale: false });
            return true;
        }
        self.join(id)
    }

    /// What it should run, if there is anything.
    pub(super) fn plan(&self) -> Option<AppPlan> {
        match (&self.mode, self.databases.wanted()) {
            (Mode::Stopping { then: Then::Return(prepared, _), .. }, _) => {
                return prepared.as_ref().as_ref().ok().cloned();
            }
            // What was to be brought in by an app that stops is given up.
            (Mode::Running, Some(wanted)) => return Some(wanted.plan.clone()),
            _ => {}
        }
        let target = self.target()?;
        let (blueprint, policy) = (target.blueprint.clone(), target.policy.clone());
        Some(AppPlan { blueprint, policy, migrate: target.migrate.clone() })
    }

    /// Has `id` wait for what already brings in what was asked for: a rollout, a start, a resize. False where none does.
    fn join(&mut self, id: RequestId) -> bool {
        if let Some(wanted) = self.databases.wanted_mut() {
            wanted.waiters.push(id);
            return true;
        }
        match self.rollout.as_mut().filter(|rollout| !rollout.is_rolling_back()) {
            Some(rollout) => rollout.waiters.push(id),
            None if self.waiting.is_empty() => return false,
            None => self.waiting.push(Waiting { id, done: "runs already".to_owned(), scale: false }),
        }
        true
    }

    pub(super) fn restart(&mut self, context: &mut Context<'_>, id: RequestId) {
        match self.mode {
            Mode::Stopping { .. } => {
                let reason = format!("{} is stopping; try again when it has stopped", self.name);
                self.answer(context, id, Outcome::Refused { reason });
            }
            Mode::Running | Mode::Stopped | Mode::Removed => self.prepare(context, id, Purpose::Rollout),
        }
    }

    pub(super) fn migrate(&mut self, context: &mut Context<'_>, id: RequestId) {
        if self.mode == Mode::Running {
            return self.prepare(context, id, Purpose::Migration);
        }
        let name = &self.name;
        let reason =
            format!("{name} does not run; `ostler start {name}` migrates its databases and starts it");
        self.answer(context, id, Outcome::Refused { reason });
    }

    pub(super) fn start(&mut self, context: &mut Context<'_>, id: RequestId) {
        match &self.serving {
            Some(_) if self.mode == Mode::Running => {
                self.waiting.push(Waiting { id, done: "runs already".to_owned(), scale: false })
            }
            _ => self.restart(context, id),
        }
    }

    pub(super) fn stop(&mut self, context: &mut Context<'_>, id: Option<RequestId>, then: Then) {
        let preparing = self.preparing.take().unwrap_or_default();
        let rollout = self.rollout.take().map(|rollout| rollout.waiters).unwrap_or_default();
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.id);
        let preparing = preparing.waiters.into_iter().chain(preparing.again).map(|(id, _)| id);
        let databases = self.stop_databases(context);
        let interrupted = preparing.chain(rollout).chain(waiting).chain(databases).chain(self.release.stop());
        for waiter in interrupted {
            let reason = format!("{} is being stopped", self.name);
            self.answer(context, waiter, Outcome::Refused { reason });
        }
        match &mut self.mode {
            Mode::Stopping { waiters, then: before, .. } => {
                waiters.extend(id);
                let overtaken = match std::mem::replace(before, then) {
                    Then::Return(_, earlier) => Some(earlier),
                    Then::Forget => {
                        *before = Then::Forget;
                        None
                    }
                    Then::Rest => None,
                };
                if let Some(id) = overtaken {
                    let reason = format!("{} is being stopped", self.name);
                    self.answer(context, id, Outcome::Refused { reason });
                }
                return;
            }
            Mode::Stopped if then == Then::Rest => {
                if let Some(id) = id {
                    let message = format!("{} is stopped already", self.name);
                    self.answer(context, id, Outcome::Done { message, generation: None });
                }
                return;
            }
            Mode::Running | Mode::Stopped | Mode::Removed => {}
        }
        self.scale = None;
        self.scaling.begin_with(None);
        let patience = self.serving.as_ref().map_or(EMPTYING_MOST, |serving| serving.policy.drain_timeout);
        let emptying = (self.ready_workers() > 0).then_some(context.now + patience.min(EMPTYING_MOST));
        self.mode = Mode::Stopping { waiters: id.into_iter().collect(), then, emptying };
        self.announce(context, AppEventKind::Stopping);
        if emptying.is_some() {
            context.actions.push(Action::StopAccepting { app: self.name.clone() });
        }
    }

    /// Nobody waits for a worker any more.
    pub(super) fn queue_emptied(&mut self) {
        if let Mode::Stopping { emptying, .. } = &mut self.mode {
            *emptying = None;
        }
    }

    pub(super) fn kill_all(&mut self, context: &mut Context<'_>) {
        self.queue_emptied();
        self.kill_processes(context, Cause::Stop);
        self.kill_databases(context);
    }

    pub(super) fn scale_by(&mut self, context: &mut Context<'_>, id: RequestId, step: i32) {
        let now = self.target().map_or(0, |target| self.wanted(&target.policy));
        self.scale(context, id, i64::from(now) + i64::from(step));
    }

    pub(super) fn scale(&mut self, context: &mut Context<'_>, id: RequestId, workers: i64) {
        let Some(target) = self.target().filter(|_| self.mode == Mode::Running) else {
            let reason = format!("{} does not run; `ostler start {}` first", self.name, self.name);
            return self.answer(context, id, Outcome::Refused { reason });
        };
        let from = self.wanted(&target.policy);
        let wanted = match u32::try_from(workers) {
            Ok(wanted @ 1..=WORKERS_MOST) => wanted,
            _ => {
                let most = WORKERS_MOST;
                let reason = format!(
                    "{workers} workers are not possible: between 1 and {most}; to run none, `ostler stop {}`",
                    self.name
                );
                return self.answer(context, id, Outcome::Invalid { reason });
            }
        };
        self.scale = Some(wanted);
        self.overtake_scaling(context, wanted);
        self.waiting.push(Waiting { id, done: format!("scaled from {from} to {wanted}"), scale: true });
        self.announce(context, AppEventKind::Scaled { from, to: wanted });
        self.hooks_of_scaling(context, from, wanted);
    }

    /// Takes back what a command asked for: the configuration's number counts, or the load does, from where it is now.
    pub(super) fn scale_as_configured(&mut self, context: &mut Context<'_>, id: RequestId) {
        let Some(policy) = self.target().filter(|_| self.mode == Mode::Running).map(|it| it.policy.clone())
        else {
            let reason = format!("{} does not run; `ostler start {}` first", self.name, self.name);
            return self.answer(context, id, Outcome::Refused { reason });
        };
        let from = self.wanted(&policy);
        if self.scale.take().is_some() {
            self.scaling.begin_with(Some(from));
        }
        let to = self.wanted(&policy);
        self.overtake_scaling(context, to);
        let done = match policy.range {
            Some(range) => format!("{} to {} workers, as the load needs", range.min, range.max),
            None => format!("scaled from {from} to {to}, as configured"),
        };
        self.waiting.push(Waiting { id, done, scale: true });
        if from != to {
            self.announce(context, AppEventKind::Scaled { from, to });
            self.hooks_of_scaling(context, from, to);
        }
    }

    /// Whoever waits for another number of workers will not get it.
    fn overtake_scaling(&mut self, context: &mut Context<'_>, wanted: u32) {
        let (overtaken, others) = std::mem::take(&mut self.waiting).into_iter().partition(|it| it.scale);
        self.waiting = others;
        for Waiting { id, .. } in overtaken {
            let reason = format!("overtaken by a later request for {}", counted(wanted, "worker"));
            self.answer(context, id, Outcome::Refused { reason });
        }
    }
}
