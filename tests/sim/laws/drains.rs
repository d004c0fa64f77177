//! Laws about the machine's drain: readiness fails first, and nothing else is touched before its time.

use ostler::supervise::{Action, AppEventKind, Cause, Command, Moment, Outcome, ProcessChange, ProcessEvent};

use super::{Step, Verdict};
use crate::ledger::Ledger;

/// Readiness fails from the first moment of a drain or a shutdown to its end, and the view says for how long.
pub(super) fn readiness_fails_while_drained(step: &Step<'_>) -> Verdict {
    let machine = &step.ledger.machine;
    let (draining, drain) = (step.view.draining, step.view.drain);
    if draining != machine.drained.is_some() || draining != drain.is_some() {
        return Err(format!("draining is {draining} ({drain:?}), and it should be {:?}", machine.drained));
    }
    let (Some(since), Some(drain)) = (machine.drained, drain) else { return Ok(()) };
    let ends_in = machine.ends_at().map(|at| at.since(step.now));
    let edge_wait = (since + machine.delay).since(step.now);
    let right = drain.since == step.now.since(since)
        && drain.edge_wait == edge_wait
        && drain.ends_in == ends_in
        && drain.stopping == machine.shutdown;
    if right { Ok(()) } else { Err(format!("{drain:?} is shown of {machine:?}")) }
}

/// An app is stopped because somebody asked for that, never because the machine drains.
pub(super) fn a_drain_ends_nobody(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    if ledger.machine.shutdown { Ok(()) } else { stops_for_a_reason(ledger, action) }
}

/// A shutdown lets every app go on until the edge has had its delay.
pub(super) fn a_shutdown_waits_for_the_edge(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let waits = ledger.machine.shutdown && !ledger.machine.stopping;
    if waits { stops_for_a_reason(ledger, action) } else { Ok(()) }
}

fn stops_for_a_reason(ledger: &Ledger, action: &Action) -> Verdict {
    let Action::Announce(event) = action else { return Ok(()) };
    let Some(entry) = ledger.apps.get(&event.app) else { return Ok(()) };
    // Somebody may have asked for a stop, and then for a start, while ostlerd could do neither.
    let waits = ledger.asked.values().any(|it| it.answers == 0 && it.stops(&event.app));
    let asked = entry.stopped || !entry.planned || waits;
    // A stop goes on to its end though the app is wanted again meanwhile.
    let begun = ledger.stopping.contains(&event.app);
    let stops = match event.kind {
        AppEventKind::Stopping => !asked,
        AppEventKind::Process(ProcessEvent {
            change: ProcessChange::Draining { cause: Cause::Stop },
            ..
        }) => !asked && !begun,
        _ => false,
    };
    if stops {
        return Err(format!("{}: {}, and nobody asked for it", event.app, event.kind));
    }
    Ok(())
}

/// Whoever drains hears that it is done when the edge has had its delay, whoever ends it when it has ended.
pub(super) fn a_drain_is_answered_in_its_time(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::Answer { id, outcome: Outcome::Done { message, .. } } = action else { return Ok(()) };
    let machine = &ledger.machine;
    match ledger.asked.get(id).and_then(|asked| asked.request.as_ref()) {
        Some(Command::Drain { .. }) if now < machine.noticed_at() => {
            Err(format!("at {now}, before {}: {message}", machine.noticed_at()))
        }
        Some(Command::Undrain) if machine.drained.is_some() => Err(format!("still drained: {message}")),
        _ => Ok(()),
    }
}
