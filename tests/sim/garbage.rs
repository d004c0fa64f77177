//! Facts that are none.

use ostler::plan::Refusal;
use ostler::supervise::{Event, Exit, LastWords, ProcessFact, ProcessId};

use crate::process::Stage;
use crate::world::World;

impl World {
    /// A fact that is none: about nobody, about the dead, or said already.
    pub(crate) fn garbage(&mut self) -> Event {
        let nobody = ProcessId(u64::MAX - self.rng.below(3));
        let dead = self.gone.get(self.rng.below(self.gone.len() as u64) as usize).copied().unwrap_or(nobody);
        let serving =
            self.processes.values().find(|process| process.stage == Stage::Serving && !process.is_command);
        let again = serving.map_or(dead, |process| process.worker);
        let somebody = if self.rng.chance(0.5) { nobody } else { dead };
        match self.rng.below(8) {
            0 => ProcessFact::Ready.of(somebody),
            1 => ProcessFact::Exited(Exit::Unknown).of(somebody),
            2 => ProcessFact::Loaded.of(somebody),
            3 => ProcessFact::NotStarted("nobody".to_owned()).of(nobody),
            4 => ProcessFact::Failed(LastWords::default()).of(somebody),
            5 => Event::WorkersObserved { seen: vec![(somebody, Default::default())] },
            6 => ProcessFact::Ready.of(again),
            _ => Event::AppPrepared {
                app: "ghost".parse().expect("a valid name"),
                prepared: Box::new(Err(Refusal::default())),
            },
        }
    }
}
