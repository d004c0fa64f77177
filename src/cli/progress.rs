//! What the news so far amounts to, for one app: the state behind the live picture.

use crate::supervise::{GenerationId, Happening, ProcessChange, ProcessNews, Role};

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
    fn note_process(&mut self, ProcessNews { process, role, generation, change }: &ProcessNews) {
        let phase = match (change, role) {
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
    pub(super) fn note(&mut self, happening: &Happening) {
        use Happening::{MigrationStarted, RolloutRequested, RolloutStarted, Scaled, Stopping};
        let begins = matches!(
            happening,
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
        match happening {
            Happening::RolloutRequested { .. } => self.phase = "preparing".to_owned(),
            Happening::RolloutStarted { generation, from, workers } => {
                *self = Progress {
                    phase: "booting".to_owned(),
                    generation: Some(*generation),
                    from: *from,
                    wanted: *workers,
                    ..Progress::default()
                };
            }
            Happening::Process(news) => self.note_process(news),
            Happening::BackingOff { .. } => self.phase = "waiting before the next try".to_owned(),
            Happening::RolloutSettling { .. } => self.phase = "watching the new workers".to_owned(),
            Happening::RollingBack { .. } => self.phase = "rolling back".to_owned(),
            Happening::Scaled { to, .. } => (self.wanted, self.phase) = (*to, "scaling".to_owned()),
            Happening::Stopping => self.phase = "stopping".to_owned(),
            Happening::RolloutCommitted { .. } | Happening::Serving { .. } | Happening::Stopped => {
                self.end(true)
            }
            Happening::RolledBack { .. } | Happening::PrepareFailed { .. } => self.end(false),
            Happening::Removed => self.end(true),
            Happening::NotRolledOut { .. } => self.end(false),
            Happening::MigrationEnded { verdict, .. } if !verdict.kind.is_good() => self.end(false),
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

/// What a migration does, as far as its news says; `None` for other news.
fn migrating(happening: &Happening) -> Option<String> {
    Some(match happening {
        Happening::MigrationStarted { database, .. } => format!("migrating {database}"),
        Happening::MigrationQueued => "waits for its databases".to_owned(),
        Happening::MigrationBusy { .. } => "waits for another server that migrates".to_owned(),
        Happening::StartDelayed { .. } => "it is tried again".to_owned(),
        Happening::MigrationBegins { name, number, of } => format!("applies {name} ({number} of {of})"),
        Happening::MigrationApplied { name, .. } => format!("applied {name}"),
        Happening::MigrationBlocked { .. } => "the migration waits for a lock".to_owned(),
        Happening::MigrationAborting { .. } | Happening::MigrationRung { .. } => {
            "ends the migration".to_owned()
        }
        Happening::MigrationRetry { .. } => "waits before the next try of the migration".to_owned(),
        Happening::ServingTried { failure: None, .. } => "the code that serves goes on with it".to_owned(),
        Happening::ServingTried { .. } => "the code that serves does not go on with it".to_owned(),
        Happening::MigrationEnded { .. } => "migrated".to_owned(),
        Happening::PostDeployStarted => "runs post_deploy".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::ProcessId;
    use std::time::Duration;

    fn of_worker(generation: u64, change: ProcessChange) -> Happening {
        let (process, generation) = (ProcessId(9), GenerationId(generation));
        Happening::Process(ProcessNews { process, role: Role::Web, generation, change })
    }

    fn ready(generation: u64, ready: u32) -> Happening {
        let (ready, wanted, took) = (Some(ready), Some(4), Duration::from_secs(1));
        of_worker(generation, ProcessChange::Ready { ready, wanted, took })
    }

    #[test]
    fn a_rollout_counts_the_workers_of_its_own_generation() {
        let mut progress = Progress::default();
        progress.note(&Happening::RolloutRequested { joined: false, more: None });
        assert_eq!(progress.words(), "preparing");
        progress.note(&Happening::RolloutStarted {
            generation: GenerationId(8),
            from: Some(GenerationId(7)),
            workers: 4,
        });
        progress.note(&ready(7, 4));
        assert_eq!(progress.words(), "g7 → g8  0 of 4 ready  booting");
        progress.note(&ready(8, 2));
        assert_eq!(progress.words(), "g7 → g8  2 of 4 ready  replacing");
        progress.note(&Happening::RolloutCommitted { generation: GenerationId(8), took: Duration::ZERO });
        let cause = crate::supervise::Cause::Rollout;
        progress.note(&of_worker(7, ProcessChange::Draining { cause }));
        assert_eq!((progress.ended, progress.phase.as_str()), (Some(true), "done"));
    }

    #[test]
    fn a_migration_is_shown_as_it_is_and_goes_on_to_the_rollout() {
        let mut progress = Progress::default();
        progress.note(&Happening::RolloutRequested { joined: false, more: None });
        progress.note(&Happening::MigrationBegins { name: "shop.0007_price".into(), number: 1, of: 2 });
        assert_eq!(progress.words(), "applies shop.0007_price (1 of 2)");
        progress.migration = Some("applies shop.0007_price since 3.0 s".into());
        assert_eq!(progress.words(), "migration: applies shop.0007_price since 3.0 s");
        progress.migration = None;
        let ended = |kind| Happening::MigrationEnded {
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
        progress.note(&Happening::RolloutStarted { generation: GenerationId(9), from: None, workers: 2 });
        assert_eq!((progress.ready, progress.wanted, progress.ended), (0, 2, None));
    }
}
