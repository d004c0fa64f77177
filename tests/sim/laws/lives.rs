//! Laws about single workers: admission and the ways of ending.

use std::time::Duration;

use ostler::supervise::{
    Action, AppEvent, AppEventKind, AppState, AppView, Cause, MigrationOrder, Moment, ProcessChange,
    ProcessEvent, StopSignal,
};

use super::{Step, Verdict, seconds};
use crate::ledger::Ledger;

/// Whatever patience the core has after a drain, it ends within this.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// A process that serves nobody has nothing to finish.
const NOTHING_TO_FINISH: Duration = Duration::from_secs(10);

/// Who has failed by its own word ends by itself within this, or is killed.
const FAILED_PATIENCE: Duration = Duration::from_secs(5);

/// Every signal at most once, each harder than the one before: of a process, and of each try of a migration.
pub(super) fn signals_harden_once(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let (who, before, signal) = match action {
        Action::SignalProcess { process, signal } => {
            let Some(known) = ledger.processes.get(process) else { return Ok(()) };
            (process.to_string(), &known.signals, signal)
        }
        Action::Migrate { app, run, order: MigrationOrder::Abort(signal) } => {
            let Some(book) = ledger.books.get(run) else { return Ok(()) };
            (format!("the migration of {app}"), &book.signals, signal)
        }
        _ => return Ok(()),
    };
    let Some((_, last)) = before.last().filter(|(_, last)| last >= signal) else { return Ok(()) };
    // A new database side is asked again to end what is left.
    let again = *signal == StopSignal::EndBackends && last == signal;
    match before.iter().filter(|(_, it)| it == signal).count() {
        times if again && times <= 40 => Ok(()),
        times => Err(format!("{who} got {signal:?} after {last:?}, and {times} times before")),
    }
}

/// A healthy worker is asked to drain before anything harder; only ShutdownNow kills at once. One that drains and has
/// a request that is too old is ended as one that hangs.
pub(super) fn only_the_hung_are_aborted(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::SignalProcess { process: worker, signal: rung } = action else { return Ok(()) };
    let Some(known) = ledger.processes.get(worker).filter(|known| known.serves()) else { return Ok(()) };
    let Some(entry) = ledger.apps.get(&known.app) else { return Ok(()) };
    let first = known.signals.is_empty();
    let stuck_in_boot =
        known.ready.is_none() && now.since(known.spawned) >= entry.policy.rollout.boot_timeout;
    match (known.signals.first().map(|(_, rung)| *rung), rung) {
        (None, StopSignal::Terminate) => Ok(()),
        (None, StopSignal::Stacks) if known.hung || stuck_in_boot => Ok(()),
        (None, StopSignal::Kill) if ledger.machine.stopping || known.failed.is_some() => Ok(()),
        (Some(StopSignal::Terminate), StopSignal::Abort | StopSignal::Stacks) if !known.hung => {
            Err(format!("{worker} drains and got {rung:?}; that is for the hung"))
        }
        (Some(_), _) => Ok(()),
        (None, _) => {
            Err(format!("{worker} is neither hung nor stuck in its boot, and got {rung:?} (first: {first})"))
        }
    }
}

/// A worker that is seen to hang is ended in the same step.
pub(super) fn the_hung_are_ended(step: &Step<'_>) -> Verdict {
    for (worker, known) in &step.ledger.processes {
        if known.hung && (known.signals.is_empty() || known.drains()) {
            return Err(format!("{worker} hangs ({:?}) and nothing is done", known.seen));
        }
    }
    Ok(())
}

/// Whoever is being ended and stays is killed in the end.
pub(super) fn escalation_ends_in_kill(step: &Step<'_>) -> Verdict {
    for (worker, known) in &step.ledger.processes {
        let Some((since, _)) = known.signals.first() else { continue };
        let killed = known.signals.iter().any(|(_, rung)| *rung == StopSignal::Kill);
        let entry = step.ledger.apps.get(&known.app).filter(|_| known.serves());
        let patience = entry.map_or(Duration::ZERO, |entry| entry.policy.drain_timeout);
        let last_patience = if known.serves() { LAST_PATIENCE } else { NOTHING_TO_FINISH };
        let waited = step.now.since(*since);
        if !killed && waited > patience + last_patience {
            return Err(format!("{worker} is being ended for {} and was not killed", seconds(waited)));
        }
    }
    for book in step.ledger.books.values().filter(|book| book.open && book.command) {
        let Some(waited) = book.signals.first().map(|(since, _)| step.now.since(*since)) else { continue };
        let killed = book.signals.iter().any(|(_, signal)| *signal >= StopSignal::Kill);
        if !killed && waited > NOTHING_TO_FINISH {
            let waited = seconds(waited);
            return Err(format!(
                "the migration of {} is being ended for {waited} and was not killed",
                book.app
            ));
        }
    }
    Ok(())
}

/// Where an app stops, every worker of it that drains has been told so, whatever it drains for.
pub(super) fn a_stop_hurries_who_drains(step: &Step<'_>) -> Verdict {
    let stops = |app: &&AppView| app.state == AppState::Stopping;
    for app in step.view.apps.iter().filter(stops).map(|app| &app.name) {
        let drains =
            |known: &crate::entry::ProcessEntry| matches!(known.signals[..], [(_, StopSignal::Terminate)]);
        let patient = step.ledger.of(app).find(|(_, known)| drains(known) && !known.hurried);
        if let Some((worker, _)) = patient {
            return Err(format!("{app} stops, and {worker} waits for its keep-alive"));
        }
    }
    Ok(())
}

/// Whoever has said that it failed, and stays (a thread of the app's may keep it), is killed soon.
pub(super) fn the_failed_are_ended(step: &Step<'_>) -> Verdict {
    for (id, known) in &step.ledger.processes {
        let Some(failed) = known.failed.filter(|_| known.signals.is_empty()) else { continue };
        if step.now.since(failed) > FAILED_PATIENCE {
            return Err(format!("{id} failed {} ago, and was not ended", seconds(step.now.since(failed))));
        }
    }
    Ok(())
}

/// Signals go to those that may live.
pub(super) fn the_dead_are_left_alone(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let (Action::SignalProcess { process: worker, .. }
    | Action::AskWhere { process: worker }
    | Action::AdmitWorker { worker }
    | Action::HurryWorker { worker }) = action
    else {
        return Ok(());
    };
    if ledger.processes.contains_key(worker) {
        return Ok(());
    }
    Err(format!(
        "{worker} is {}, and is still dealt with",
        if ledger.names.contains(worker) { "gone" } else { "unknown" }
    ))
}

/// A worker is asked where it stands while it boots, and only once that has taken half of its time.
pub(super) fn only_the_slow_are_asked(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::AskWhere { process: worker } = action else { return Ok(()) };
    let Some(known) = ledger.processes.get(worker) else { return Ok(()) };
    let waits = known.ready.is_none() && known.is_live() && (known.loaded.is_none() || known.admitted);
    match known.asked.len() {
        _ if !waits => Err(format!("{worker} is asked where it stands, and boots no more: {known:?}")),
        // Once admitted it begins anew.
        0..4 => Ok(()),
        asked => Err(format!("{worker} is asked for the {asked}th time, {now}")),
    }
}

/// One that was given up for its time was asked before where it stands.
pub(super) fn nobody_is_given_up_unasked(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Announce(AppEvent {
        kind:
            AppEventKind::Process(ProcessEvent {
                process: worker, change: ProcessChange::Hung { cause, .. }, ..
            }),
        ..
    }) = action
    else {
        return Ok(());
    };
    match ledger.processes.get(worker) {
        Some(known) if *cause == Cause::BootTimeout && known.born && known.asked.is_empty() => {
            Err(format!("{worker} was not asked where it stands before it was given up"))
        }
        _ => Ok(()),
    }
}

/// A worker is admitted once, when it has been loaded for `settle`.
pub(super) fn admission_waits_for_settle(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::AdmitWorker { worker } = action else { return Ok(()) };
    let Some(known) = ledger.processes.get(worker) else { return Ok(()) };
    let Some(entry) = ledger.apps.get(&known.app) else { return Ok(()) };
    let wrong = |what: &str| Err(format!("{worker} was admitted {what}"));
    match known.loaded {
        _ if !known.hold => wrong("and was never held"),
        _ if known.admitted => wrong("twice"),
        _ if !known.is_live() => wrong("while it ends"),
        None => wrong("before it had loaded the app"),
        Some(loaded) if now.since(loaded) < entry.policy.rollout.settle && entry.rollout_on() => {
            wrong(&format!("{} after it had loaded the app", seconds(now.since(loaded))))
        }
        Some(_) => Ok(()),
    }
}
