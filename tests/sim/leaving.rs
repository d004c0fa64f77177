//! How ostlerd makes room for the next one: what the binary on disk and systemd say, and what comes of it.

use std::path::PathBuf;
use std::time::Duration;

use ostler::supervise::{Action, Event, HandoverBy, Moment, Stayed};

use crate::crash::Crash;
use crate::rng::Rng;
use crate::world::{Due, World};

/// Drawn aside, so that what a seed stands for otherwise stays as it was.
pub(crate) struct Leavings {
    pub(crate) rng: Rng,
    /// How it has just left.
    pub(crate) left: Option<HandoverBy>,
}

impl Leavings {
    pub(crate) fn drawn(rng: &Rng) -> Leavings {
        let mut rng = rng.clone();
        // The generator's first numbers are spoken for.
        (0..71).for_each(|_| _ = rng.below(2));
        Leavings { rng, left: None }
    }

    /// When somebody wants the binary on disk to take over.
    pub(crate) fn asks(&mut self, calm_from: Duration) -> Vec<Duration> {
        let count = if self.rng.chance(0.4) { self.rng.within(1, 3) } else { 0 };
        let last = calm_from.as_millis() as u64 - 1;
        (0..count).map(|_| self.rng.millis(0, last)).collect()
    }

    /// It has left in order: how long nobody is there.
    pub(crate) fn crash(&mut self, now: Moment, way: &HandoverBy) -> Crash {
        let downtime = self.rng.millis(20, 500);
        Crash { at: now, half_done: false, downtime, restart: *way == HandoverBy::Restart }
    }
}

pub(crate) fn perform(world: &mut World, action: &Action) {
    let rng = &mut world.leavings.rng;
    match action {
        Action::CheckSuccessor => {
            let checked = match rng.chance(0.2) {
                true => Err("it cannot take over".to_owned()),
                false => Ok(PathBuf::from("/usr/bin/ostlerd")),
            };
            let delay = rng.millis(50, 2000);
            world.after(delay, Due::Fact(Box::new(Event::SuccessorChecked { checked })));
        }
        Action::Leave(way) => {
            let delay = rng.millis(0, 40);
            world.after(delay, Due::Leaves(way.clone()));
        }
        _ => {}
    }
}

/// It leaves, or is still there for some reason.
pub(crate) fn leave(world: &mut World, way: HandoverBy) -> Option<Event> {
    let (calm, rng) = (world.is_calm(), &mut world.leavings.rng);
    if calm || rng.chance(0.8) {
        world.leavings.left = Some(way);
        return None;
    }
    let unwritten = Stayed::Unwritten(PathBuf::from("/run/ostler/state.json"));
    let why = match way {
        HandoverBy::Reexec { .. } => {
            [unwritten, Stayed::Ending, Stayed::NotExecuted][rng.below(3) as usize].clone()
        }
        HandoverBy::Restart => unwritten,
    };
    Some(Event::Stayed { why })
}
