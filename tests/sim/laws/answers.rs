//! Laws about requests and what is last: releases and the exit.

use ostler::config::AppName;
use ostler::supervise::{Action, AppState, Command, CommandRow, GenerationId, Moment, Outcome, ScaleTo};

use super::{Step, Verdict};
use crate::ledger::Ledger;

/// Every request is answered at most once, and only requests are.
pub(super) fn answers_come_once(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Answer { id, outcome } = action else { return Ok(()) };
    match ledger.asked.get(id) {
        None if id.is_own() => Ok(()),
        None => Err(format!("{id:?} was never asked and is answered: {outcome}")),
        Some(asked) if asked.answers > 0 => {
            Err(format!("{id:?} ({:?}) is answered again: {outcome}", asked.request))
        }
        Some(_) => Ok(()),
    }
}

/// A command ends with an exit status that the table of commands names.
pub(super) fn statuses_stand_in_the_table(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Answer { id, outcome } = action else { return Ok(()) };
    let Some(request) = ledger.asked.get(id).and_then(|asked| asked.request.as_ref()) else { return Ok(()) };
    let status = outcome.exit_status();
    match CommandRow::of(request) {
        Some(row) if !row.exits.contains(&status) => {
            Err(format!("{request:?} ends with {status} ({outcome}), and its row has {:?}", row.exits))
        }
        _ => Ok(()),
    }
}

/// What is said to be done is done.
pub(super) fn answers_are_true(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::Answer { id, outcome: Outcome::Done { message, .. } } = action else { return Ok(()) };
    let Some(request) = ledger.asked.get(id).and_then(|asked| asked.request.as_ref()) else { return Ok(()) };
    let wrong = |what: String| Err(format!("{request:?} is done ({message}), but {what}"));
    match request {
        // What is started in the same step belongs to what came after the stop.
        Command::Stop { app } if ledger.of(app).any(|(_, known)| known.spawned < now) => {
            wrong(format!("{app} has workers"))
        }
        Command::Shutdown | Command::ShutdownNow if !ledger.processes.is_empty() => {
            wrong(format!("{} workers are left", ledger.processes.len()))
        }
        _ => Ok(()),
    }
}

/// What is said to serve serves, at the strength that is wanted when the step is over.
pub(super) fn strength_is_as_answered(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::Answer { id, outcome: Outcome::Done { generation, message } } = action else { continue };
        let request = step.ledger.asked.get(id).and_then(|asked| asked.request.as_ref());
        if let Some(request) = request
            && let Err(what) = strength(step, request, *generation)
        {
            return Err(format!("{request:?} is done ({message}), but {what}"));
        }
    }
    Ok(())
}

fn strength(step: &Step<'_>, request: &Command, generation: Option<GenerationId>) -> Verdict {
    let wanted =
        |app: &AppName| step.view.apps.iter().find(|view| view.name == *app).map_or(0, |view| view.wanted);
    match request {
        Command::Restart { app, release: None, .. } => {
            let Some(generation) = generation else { return Err("no generation is named".to_owned()) };
            let (ready, wanted) = (step.ledger.ready_of(app, generation), wanted(app));
            if ready < wanted {
                return Err(format!("{ready} of {wanted} workers of {generation} are ready"));
            }
            Ok(())
        }
        // It was at full strength when it was kept; a worker may have died while that was written down.
        Command::Restart { app, .. } | Command::Rollback { app, .. } => {
            let view = step.view.apps.iter().find(|view| view.name == *app);
            match view.and_then(|view| view.generation).max(generation) {
                newest if newest == generation => Ok(()),
                newest => Err(format!("{newest:?} serves")),
            }
        }
        Command::Scale { app, workers: ScaleTo::Count(asked) } => {
            let asked = u32::try_from(*asked).unwrap_or_default();
            let (ready, wanted) = (step.ledger.count(app).ready, wanted(app));
            if ready < asked || wanted != asked {
                return Err(format!("{ready} workers are ready and {wanted} wanted"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An app is released when it runs no more and none of its workers is left.
pub(super) fn release_comes_last(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::ReleaseApp { app } = action else { return Ok(()) };
    let left = ledger.of(app).count();
    if left > 0 {
        return Err(format!("{app} is released with {left} workers left"));
    }
    // What was prepared for an app that is not there is released as well.
    let Some(entry) = ledger.apps.get(app) else { return Ok(()) };
    let state = entry.view.as_ref().map(|view| view.state);
    let down = matches!(state, Some(AppState::Stopping | AppState::Stopped));
    if entry.should_run() && !down && !ledger.machine.stopping {
        return Err(format!("{app} is released and should run"));
    }
    Ok(())
}

/// A listener is closed when no worker is left that serves it.
pub(super) fn listeners_outlive_their_workers(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::KeepOnly { app, blueprint } = action else { return Ok(()) };
    let Some(entry) = ledger.apps.get(app) else { return Err(format!("{app} is unknown")) };
    for (worker, known) in ledger.of(app) {
        let from = entry.generations.get(&known.generation);
        if known.signals.is_empty() && from.is_some_and(|from| from.listen != blueprint.listen) {
            return Err(format!("the listeners of {worker} are closed"));
        }
    }
    Ok(())
}

/// The daemon exits when it was asked to, everything has ended and everybody has an answer.
pub(super) fn exit_comes_last(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Exit = action else { return Ok(()) };
    if !ledger.machine.stopping {
        return Err("nobody asked for a shutdown, or the edge has not noticed it".to_owned());
    }
    if !ledger.processes.is_empty() {
        return Err(format!("{} workers are left", ledger.processes.len()));
    }
    if ledger.exited {
        return Err("it is the second exit".to_owned());
    }
    match ledger.asked.iter().find(|(_, asked)| asked.answers == 0) {
        Some((id, asked)) => Err(format!("{id:?} ({:?}) has no answer", asked.request)),
        None => Ok(()),
    }
}
