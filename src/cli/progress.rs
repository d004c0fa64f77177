//! What the events so far amount to, for one app: the state behind the live picture.

use crate::supervise::{AppEventKind, GenerationId, ProcessChange, ProcessEvent, Role};

/// How far a change of one app has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// What it is doing, in a few words.
    pub(super) phase: String,
    /// The new generation.
    pub(super) generation: Option<GenerationId>,
    /// The one before it.
    pub(super) from: Option<GenerationId>,
    /// Workers of the new generation that are ready.
    pub(super) ready: u32,
    /// Workers of it that are wanted; 0 as long as that is unknown.
    pub(super) wanted: u32,
    /// What the migration before it does, where one is under way.
    pub(super) migration: Option<String>,
    /// Whether it ended, and well.
    pub(super) ended: Option<bool>,
}

impl Progress {
    fn note_process(&mut self, ProcessEvent { process, role, generation, change }: &ProcessEvent) {
        let phase = match (change, role) {
            (_, Role::Hooks) => return,
            (ProcessChange::Started {}, Role::Zygote(loads)) => format!("loading {}", loads.what()),
            (ProcessChange::Started {}, _) => format!("{process} boots"),
            (ProcessChange::Held { .. }, _) => format!("{process} proves itself"),
            (ProcessChange::Ready { ready: Some(ready), wanted: Some(wanted), .. }, _)
                if self.generation.is_none_or(|ours| ours == *generation) =>
            {
                (self.ready, self.wanted) = (*ready, *wanted);
                "replacing".to_owned()
            }
            (ProcessChange::Draining { .. }, Role::Web) => format!("{process} drains"),
            (ProcessChange::Died { .. }, _) => format!("{process} died"),
            (ProcessChange::Waits { at, .. }, _) => format!("{process} waits in {at}"),
            (ProcessChange::Failed { .. }, _) => format!("{process} failed"),
            _ => return,
        };
        self.phase = phase;
    }

    /// Takes in what happened next.
    pub(super) fn note(&mut self, kind: &AppEventKind) {
        use AppEventKind::{MigrationStarted, RolloutRequested, RolloutStarted, Scaled, Stopping};
        let begins = matches!(
            kind,
            RolloutRequested { .. }
                | RolloutStarted { .. }
                | Scaled { .. }
                | Stopping
                | MigrationStarted { .. }
        );
        if begins {
            self.ended = None;
        } else if self.ended.is_some() {
            // What the old workers still do is no part of the change.
            return;
        }
        match kind {
            AppEventKind::RolloutRequested { .. } => self.phase = "preparing".to_owned(),
            AppEventKind::RolloutStarted { generation, from, workers } => {
                *self = Progress {
                    phase: "booting".to_owned(),
                    generation: Some(*generation),
                    from: *from,
                    wanted: *workers,
                    ..Progress::default()
                };
            }
            AppEventKind::Process(event) => self.note_process(event),
            AppEventKind::BackingOff { .. } => self.phase = "waiting before the next try".to_owned(),
            AppEventKind::RolloutSettling { .. } => self.phase = "watching the new workers".to_owned(),
            AppEventKind::RollingBack { .. } => self.phase = "rolling back".to_owned(),
            AppEventKind::Scaled { to, .. } => (self.wanted, self.phase) = (*to, "scaling".to_owned()),
            AppEventKind::Stopping => self.phase = "stopping".to_owned(),
            AppEventKind::RolloutCommitted { .. } | AppEventKind::Serving { .. } | AppEventKind::Stopped => {
                self.end(true)
            }
            AppEventKind::RolledBack { .. } | AppEventKind::PrepareFailed { .. } => self.end(false),
            AppEventKind::Removed => self.end(true),
            AppEventKind::NotRolledOut { .. } => self.end(false),
            AppEventKind::MigrationEnded { verdict, .. } if !verdict.kind.is_good() => self.end(false),
            migration => {
                if let Some(phase) = migrating(migration) {
                    self.phase = phase;
                }
            }
        }
    }

    fn end(&mut self, well: bool) {
        self.ended = Some(well);
        self.phase = if well { "done" } else { "failed" }.to_owned();
    }

    /// `g7 → g8  2 of 4 ready  w12 boots`
    pub(super) fn words(&self) -> String {
        if let (Some(migration), None) = (&self.migration, self.ended) {
            return format!("migration: {migration}");
        }
        let mut parts = Vec::new();
        match (self.from, self.generation) {
            (Some(from), Some(to)) => parts.push(format!("{from} → {to}")),
            (None, Some(to)) => parts.push(to.to_string()),
            _ => {}
        }
        if self.wanted > 0 {
            parts.push(format!("{} of {} ready", self.ready, self.wanted));
        }
        if !self.phase.is_empty() {
            parts.push(self.phase.clone());
        }
        parts.join("  ")
    }
}

/// What a migration does, as far as an event says; `None` for other events.
fn migrating(kind: &AppEventKind) -> Option<String> {
    Some(match kind {
        AppEventKind::MigrationStarted { database, .. } => format!("migrating {database}"),
        AppEventKind::MigrationQueued => "waits for its databases".to_owned(),
        AppEventKind::MigrationBusy { .. } => "waits for another server that migrates".to_owned(),
        AppEventKind::StartDelayed { .. } => "it is tried again".to_owned(),
        AppEventKind::MigrationBegins { name, number, of } => format!("applies {name} ({number} of {of})"),
        AppEventKind::MigrationApplied { name, .. } => format!("applied {name}"),
        AppEventKind::MigrationBlocked { .. } => "the migration waits for a lock".to_owned(),
        AppEventKind::MigrationAborting { .. } | AppEventKind::MigrationRung { .. } => {
            "ends the migration".to_owned()
        }
        AppEventKind::MigrationRetry { .. } => "waits before the next try of the migration".to_owned(),
        AppEventKind::ServingTried { failure: None, .. } => "the code that serves goes on with it".to_owned(),
        AppEventKind::ServingTried { .. } => "the code that serves does not go on with it".to_owned(),
        AppEventKind::MigrationEnded { .. } => "migrated".to_owned(),
        AppEventKind::PostDeployStarted => "runs post_deploy".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::ProcessId;
    use std::time::Duration;

    fn of_worker(generation: u64, change: ProcessChange) -> AppEventKind {
        let (process, generation) = (ProcessId(9), GenerationId(generation));
        AppEventKind::Process(ProcessEvent { process, role: Role::Web, generation, change })
    }

    fn ready(generation: u64, ready: u32) -> AppEventKind {
        let (ready, wanted, took) = (Some(ready), Some(4), Duration::from_secs(1));
        of_worker(generation, ProcessChange::Ready { ready, wanted, took })
    }

    #[test]
    fn a_rollout_counts_the_workers_of_its_own_generation() {
        let mut progress = Progress::default();
        progress.note(&AppEventKind::RolloutRequested { joined: false, more: None });
        assert_eq!(progress.words(), "preparing");
        progress.note(&AppEventKind::RolloutStarted {
            generation: GenerationId(8),
            from: Some(GenerationId(7)),
            workers: 4,
        });
        progress.note(&ready(7, 4));
        assert_eq!(progress.words(), "g7 → g8  0 of 4 ready  booting");
        progress.note(&ready(8, 2));
        assert_eq!(progress.words(), "g7 → g8  2 of 4 ready  replacing");
        progress.note(&AppEventKind::RolloutCommitted { generation: GenerationId(8), took: Duration::ZERO });
        let cause = crate::supervise::Cause::Rollout;
        progress.note(&of_worker(7, ProcessChange::Draining { cause }));
        assert_eq!((progress.ended, progress.phase.as_str()), (Some(true), "done"));
    }

    #[test]
    fn a_migration_is_shown_as_it_is_and_goes_on_to_the_rollout() {
        let mut progress = Progress::default();
        progress.note(&AppEventKind::RolloutRequested { joined: false, more: None });
        progress.note(&AppEventKind::MigrationBegins { name: "shop.0007_price".into(), number: 1, of: 2 });
        assert_eq!(progress.words(), "applies shop.0007_price (1 of 2)");
        progress.migration = Some("applies shop.0007_price since 3.0 s".into());
        assert_eq!(progress.words(), "migration: applies shop.0007_price since 3.0 s");
        progress.migration = None;
        let ended = |kind| AppEventKind::MigrationEnded {
            database: "default".into(),
            verdict: crate::supervise::Verdict::of(kind, ""),
        };
        progress.note(&ended(crate::supervise::VerdictKind::Applied));
        assert_eq!((progress.words().as_str(), progress.ended), ("migrated", None));
        progress.note(&ended(crate::supervise::VerdictKind::Failed));
        assert_eq!(progress.ended, Some(false));
    }

    #[test]
    fn a_new_rollout_begins_from_nothing() {
        let mut progress = Progress::default();
        progress.note(&ready(8, 3));
        progress.end(false);
        progress.note(&AppEventKind::RolloutStarted { generation: GenerationId(9), from: None, workers: 2 });
        assert_eq!((progress.ready, progress.wanted, progress.ended), (0, 2, None));
    }
}
