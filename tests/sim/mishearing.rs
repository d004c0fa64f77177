//! Planted bugs of what the core takes a fact for.

use ostler::plan::Blueprint;
use ostler::supervise::{Command, Event};

use crate::flaw::Flaw;

/// The event as the flaw takes it.
pub(crate) fn misheard(flaw: Option<Flaw>, mut event: Event) -> Event {
    if let Some(Flaw::Load(misjudged)) = flaw {
        misjudged.hears(&mut event);
    }
    if let Event::Requested { command, .. } = &mut event {
        match (flaw, &command) {
            (Some(Flaw::TakesADrainForAShutdown), Command::Drain { .. }) => *command = Command::Shutdown,
            (Some(Flaw::ShutsDownAtOnce), Command::Shutdown) => *command = Command::ShutdownNow,
            _ => {}
        }
    }
    if let (Some(Flaw::ForgetsWhatRuns), Event::PlanMade { plan, .. }) = (flaw, &mut event) {
        for plan in plan.apps.values_mut().filter_map(|it| it.as_mut().ok()) {
            let mut other = Blueprint::clone(&plan.blueprint);
            other.release.newest += 1;
            plan.blueprint = other.into();
        }
    }
    event
}
