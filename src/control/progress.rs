//! What the news so far amounts to, for one app: the state behind the live picture.

use crate::supervise::{GenerationId, Happening};

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
    /// Whether it ended, and well.
    pub(super) ended: Option<bool>,
}

impl Progress {
    /// Takes in what happened next.
    pub(super) fn note(&mut self, happening: &Happening) {
        use Happening::{RolloutRequested, RolloutStarted, Scaled, Stopping};
        let begins =
            matches!(happening, RolloutRequested { .. } | RolloutStarted { .. } | Scaled { .. } | Stopping);
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
            Happening::WorkerStarted { worker, .. } => self.phase = format!("{worker} boots"),
            Happening::WorkerHeld { worker, .. } => self.phase = format!("{worker} proves itself"),
            Happening::WorkerReady { generation, ready, wanted, .. }
                if self.generation.is_none_or(|ours| ours == *generation) =>
            {
                (self.ready, self.wanted) = (*ready, *wanted);
                self.phase = "replacing".to_owned();
            }
            Happening::WorkerDraining { worker, .. } => self.phase = format!("{worker} drains"),
            Happening::WorkerDied { worker, .. } => self.phase = format!("{worker} died"),
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
            _ => {}
        }
    }

    fn end(&mut self, well: bool) {
        self.ended = Some(well);
        self.phase = if well { "done" } else { "failed" }.to_owned();
    }

    /// `g7 → g8  2 of 4 ready  w12 boots`
    pub(super) fn words(&self) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::WorkerId;
    use std::time::Duration;

    fn ready(generation: u64, ready: u32) -> Happening {
        Happening::WorkerReady {
            worker: WorkerId(9),
            generation: GenerationId(generation),
            ready,
            wanted: 4,
            took: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_rollout_counts_the_workers_of_its_own_generation() {
        let mut progress = Progress::default();
        progress.note(&Happening::RolloutRequested { joined: false });
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
        let (worker, generation) = (WorkerId(2), GenerationId(7));
        progress.note(&Happening::WorkerDraining {
            worker,
            generation,
            cause: crate::supervise::Cause::Rollout,
        });
        assert_eq!((progress.ended, progress.phase.as_str()), (Some(true), "done"));
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
