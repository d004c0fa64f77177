//! Planted bugs of what the core takes a fact for.

use ostler::plan::{Blueprint, Plan};
use ostler::supervise::{Command, Event, LinkFact};

use crate::flaw::Flaw;

/// The event as the flaw takes it.
pub(crate) fn mutated_event(flaw: Option<Flaw>, mut event: Event) -> Event {
    if let Some(Flaw::Load(misjudged)) = flaw {
        misjudged.hears(&mut event);
    }
    match (flaw, &mut event) {
        (Some(Flaw::LooksOnce), Event::AppPrepared { prepared, .. }) => {
            if let Err(refusal) = &mut **prepared {
                refusal.passing = false;
            }
        }
        (Some(Flaw::LooksOnce), Event::ConfigRead { found }) => {
            let held = found.iter_mut().flat_map(|found| found.held.values_mut());
            held.for_each(|refusal| refusal.passing = false);
        }
        (
            Some(Flaw::ForgetsTheSwitch),
            Event::ReleaseLinkObserved { fact: LinkFact::Read { record, .. }, .. },
        ) => {
            record.unproven = None;
        }
        (Some(Flaw::RestartsTheStopped), Event::EndExplained { restart }) => *restart = true,
        (Some(Flaw::BecomesAnything), Event::SuccessorChecked { checked }) => {
            *checked = Ok("/bin/true".into())
        }
        _ => {}
    }
    if let Event::Requested { command, .. } = &mut event {
        match (flaw, &command) {
            (Some(Flaw::TakesADrainForAShutdown), Command::Drain { .. }) => *command = Command::Shutdown,
            (Some(Flaw::ShutsDownAtOnce), Command::Shutdown) => *command = Command::ShutdownNow,
            (Some(Flaw::TakesDryRunsForReloads), Command::DryRun) => {
                *command = Command::Reload;
            }
            _ => {}
        }
    }
    if let (Some(Flaw::ForgetsWhatRuns), Event::ConfigRead { found }) = (flaw, &mut event) {
        for plan in found.iter_mut().flat_map(|found| found.apps.values_mut()) {
            let mut other = Blueprint::clone(&plan.blueprint);
            other.release.newest += 1;
            plan.blueprint = other.into();
        }
    }
    event
}

/// The plan that it begins with, as the flaw takes it.
pub(crate) fn mutated_plan(flaw: Option<Flaw>, plan: &mut Plan) {
    if flaw == Some(Flaw::LooksOnce) {
        plan.apps.values_mut().filter_map(|it| it.as_mut().err()).for_each(|it| it.passing = false);
    }
}
