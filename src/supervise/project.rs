//! The core's state, as the world may see it.

use std::time::Duration;

use crate::plan::Policy;

use super::state::{App, Mode, Purpose, RolloutPhase};
use super::time::Moment;
use super::view::{AppState, AppView, PhaseView, RolloutView};

impl App {
    pub(super) fn view(&self, now: Moment) -> AppView {
        let policy = self.policy_wanted();
        let wanted = policy.map_or(0, |policy| self.wanted(policy));
        let state = self.state();
        AppView {
            name: self.name.clone(),
            state,
            generation: self.serving.as_ref().map(|serving| serving.id),
            blueprint: self.serving.as_ref().map(|serving| serving.blueprint.clone()),
            proof: self.serving.as_ref().and_then(|serving| serving.proof.clone()),
            wanted,
            scaling: self.scaling_view(),
            readiness: policy.map(|policy| policy.readiness),
            migrations: self.migrations(),
            unmigrated: self.unmigrated(),
            migration: self.databases.migration_view(now),
            last_migration: self.databases.last.clone(),
            rollout: self.rollout_view(),
            last_rollout: self.last_rollout.clone(),
            before: self.serving.as_ref().and_then(|_| self.release.before()),
            problem: self.problem(state),
            last_words: self.last_words.clone().filter(|_| state != AppState::Serving),
            backoff: self
                .wake
                .or_else(|| self.begins_again())
                .or_else(|| self.looks_again())
                .map(|wake| wake.since(now))
                .filter(|wait| *wait > Duration::ZERO),
            background: self.background(now),
            processes: self.processes.values().map(|it| it.view(now, self.policy(it.generation))).collect(),
        }
    }

    /// That of the target; before the first generation, of the one that is about to be.
    fn policy_wanted(&self) -> Option<&Policy> {
        let coming = self.databases.wanted().map(|wanted| &wanted.plan.policy);
        self.target().map(|target| &target.policy).or(coming)
    }

    /// How it is, in one word.
    pub(super) fn state(&self) -> AppState {
        let wanted = self.policy_wanted().map_or(0, |policy| self.wanted(policy));
        let (ready, wanted) = (self.ready_workers(), self.strength(wanted as usize));
        match &self.mode {
            Mode::Stopped | Mode::Removed => return AppState::Stopped,
            Mode::Stopping { .. } => return AppState::Stopping,
            Mode::Running => {}
        }
        if let Some(rollout) = &self.rollout {
            return if rollout.is_rolling_back() { AppState::RollingBack } else { AppState::RollingOut };
        }
        let Some(serving) = &self.serving else {
            let starts = self.databases.wanted().is_some() && self.databases.problem.is_none();
            return match starts || self.prepares_rollout() {
                true => AppState::Starting,
                false => AppState::Failed,
            };
        };
        if self.databases.wanted().is_some() {
            return AppState::RollingOut;
        }
        let given_up = serving.is_given_up();
        match ready {
            _ if ready >= wanted => AppState::Serving,
            0 if given_up || serving.served => AppState::Failed,
            // A start is under way until all have come up, or it has failed as often as a rollout may.
            _ if !serving.complete && !given_up => AppState::Starting,
            _ => AppState::Degraded,
        }
    }

    /// Whether a release is looked at for more than its migration.
    pub(super) fn prepares_rollout(&self) -> bool {
        let looks = self.preparing.iter().flat_map(|it| it.waiters.iter().chain(&it.again));
        let mut purposes = looks.map(|(_, purpose)| *purpose);
        self.release.leads_to_a_rollout() || purposes.any(|it| it == Purpose::Rollout)
    }

    /// Whether a release is on its way in, or back out.
    pub(super) fn shows_a_rollout(&self) -> bool {
        self.rollout_view().is_some()
    }

    fn rollout_view(&self) -> Option<RolloutView> {
        let Some(rollout) = &self.rollout else {
            let phase = match self.databases.wanted() {
                Some(_) => PhaseView::Migrating,
                None if self.prepares_rollout() => PhaseView::Preparing,
                None => return None,
            };
            return Some(RolloutView { generation: None, phase, ready: 0, wanted: 0, failures: 0 });
        };
        let of =
            |worker: &&super::pool::Process| worker.generation == rollout.generation.id && worker.is_ready();
        Some(RolloutView {
            generation: Some(rollout.generation.id),
            phase: match rollout.phase {
                RolloutPhase::Replacing => PhaseView::Replacing,
                RolloutPhase::Settling { .. } => PhaseView::Settling,
                RolloutPhase::RollingBack { .. } => PhaseView::RollingBack,
            },
            ready: self.workers().filter(of).count() as u32,
            wanted: self.wanted(&rollout.generation.policy),
            failures: rollout.failures,
        })
    }

    fn problem(&self, state: AppState) -> Option<String> {
        if let Some(refusal) = &self.refusal {
            return Some(refusal.reason.clone());
        }
        if let Some(problem) = &self.databases.problem {
            return Some(problem.clone());
        }
        if let Some(problem) = self.release.problem() {
            return Some(problem);
        }
        match state {
            AppState::Failed | AppState::Degraded | AppState::RollingBack | AppState::Starting => {
                self.last_words.as_ref().map(|words| words.message.clone())
            }
            _ => None,
        }
    }

    /// The next moment at which time alone changes something.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let settle = self.rollout.as_ref().and_then(|rollout| match rollout.phase {
            RolloutPhase::Settling { until } => Some(until),
            _ => None,
        });
        self.process_deadline()
            .into_iter()
            .chain(settle)
            .chain(self.wake)
            .chain(self.databases.deadline())
            .chain(self.begins_again())
            .chain(self.looks_again())
            .chain(self.release.deadline())
            .chain(self.joins.deadline())
            .min()
    }
}
