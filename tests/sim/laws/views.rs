//! Laws about the picture that the rest of the daemon is given.

use ostler::supervise::{AppState, AppView, Command, ProcessView, Role, StopSignal, WorkerState};

use super::{Step, Verdict};
use crate::commands::Asked;
use crate::entry::Count;
use crate::entry::ProcessEntry;

/// The view names exactly the processes there are, each as it is.
pub(super) fn views_are_true(step: &Step<'_>) -> Verdict {
    let shown: usize = step.view.apps.iter().map(|app| app.processes.len()).sum();
    if shown != step.ledger.processes.len() {
        return Err(format!("{shown} processes are shown of {}", step.ledger.processes.len()));
    }
    for app in &step.view.apps {
        for worker in &app.processes {
            let Some(known) = step.ledger.processes.get(&worker.id) else {
                return Err(format!("{} is shown and gone", worker.id));
            };
            if known.app != app.name || (known.generation, &known.role) != (worker.generation, &worker.role) {
                return Err(format!("{} is shown in {} of {}", worker.id, worker.generation, app.name));
            }
            worker_is_true(worker, known)?;
        }
        background_is_true(step, app)?;
        rollout_is_true(step, app)?;
    }
    Ok(())
}

fn worker_is_true(worker: &ProcessView, known: &ProcessEntry) -> Verdict {
    let right = match known.signals.last().map(|(_, rung)| rung) {
        Some(StopSignal::Terminate) => worker.state == WorkerState::Draining,
        Some(_) => matches!(worker.state, WorkerState::Ending | WorkerState::Draining),
        None if known.failed.is_some() => worker.state == WorkerState::Ending,
        None if known.ready.is_some() => worker.state == WorkerState::Ready,
        None if known.hold && known.loaded.is_some() && !known.admitted => worker.state == WorkerState::Held,
        None => worker.state == WorkerState::Booting,
    };
    if right { Ok(()) } else { Err(format!("{} is shown as {:?}: {known:?}", worker.id, worker.state)) }
}

/// A command is shown as running exactly if a process of it lives.
fn background_is_true(step: &Step<'_>, app: &AppView) -> Verdict {
    let live = step.ledger.processes.values().filter(|it| it.app == app.name && it.is_live());
    let mut run: Vec<_> = live
        .filter_map(|it| match &it.role {
            Role::Background(name) => Some((name, it.generation)),
            _ => None,
        })
        .collect();
    let shown = app.background.iter().filter(|it| it.next_start.is_none());
    let mut shown: Vec<_> = shown.map(|it| (&it.name, it.generation)).collect();
    run.sort();
    shown.sort();
    if run == shown { Ok(()) } else { Err(format!("{}: {shown:?} is shown, and {run:?} run", app.name)) }
}

fn rollout_is_true(step: &Step<'_>, app: &AppView) -> Verdict {
    let Some(rollout) = &app.rollout else { return Ok(()) };
    let Some(generation) = rollout.generation else { return Ok(()) };
    let ready = step.ledger.ready_of(&app.name, generation);
    if rollout.ready != ready {
        return Err(format!("{} workers of {generation} are shown as ready, {ready} are", rollout.ready));
    }
    Ok(())
}

/// The one word for an app agrees with the number of its workers.
pub(super) fn states_are_true(step: &Step<'_>) -> Verdict {
    for app in &step.view.apps {
        let Count { live, ready } = step.ledger.count(&app.name);
        let right = match app.state {
            AppState::Starting => ready == 0 || ready < app.wanted,
            // Those that the load has just asked for may boot.
            AppState::Serving => match &app.scaling {
                Some(scaling) if !scaling.by_hand => ready >= scaling.min,
                _ => ready >= app.wanted,
            },
            AppState::RollingOut | AppState::RollingBack => app.rollout.is_some(),
            AppState::Degraded => ready > 0 && ready < app.wanted,
            AppState::Failed => ready == 0,
            // Until nobody waits any more, who is ready goes on.
            AppState::Stopping => {
                live == 0 || (live == ready && step.ledger.accepting.is_emptying(&app.name, step.now))
            }
            AppState::Stopped => step.ledger.of(&app.name).next().is_none(),
        };
        if !right {
            let wanted = app.wanted;
            return Err(format!(
                "{} is {:?} with {ready} of {wanted} workers ready, {live} live",
                app.name, app.state
            ));
        }
    }
    Ok(())
}

/// Who has asked for a restart and waits sees it under way: else somebody who looks takes what serves for the new code.
pub(super) fn what_is_coming_is_shown(step: &Step<'_>) -> Verdict {
    for app in step.view.apps.iter().filter(|app| app.state == AppState::Serving && app.rollout.is_none()) {
        let restarts = |request: &Command| matches!(request, Command::Restart { app: it, release: None, .. } if *it == app.name);
        let waits = |asked: &&Asked| {
            let is_old = asked.served.is_some() && asked.served == app.generation;
            is_old && asked.answers == 0 && asked.request.as_ref().is_some_and(restarts)
        };
        if let Some(asked) = step.ledger.asked.values().find(waits) {
            return Err(format!("{} is shown as serving, and {:?} has no answer", app.name, asked.request));
        }
    }
    Ok(())
}
