//! Laws about who is let in.

use ostler::supervise::{Action, AppState, Moment, WorkerState};

use super::{Step, Verdict};
use crate::ledger::Ledger;

/// An app that serves refuses nobody; one that stops lets nobody in any more.
pub(super) fn who_serves_refuses_nobody(step: &Step<'_>) -> Verdict {
    for app in step.view.apps.iter().filter(|app| app.state != AppState::Stopping) {
        let serves = app.workers().any(|worker| worker.state == WorkerState::Ready);
        if serves && step.ledger.accepting.told.contains(&app.name) {
            return Err(format!("{} serves, and its listeners refuse connections", app.name));
        }
    }
    Ok(())
}

/// Connections to an app that has failed are refused, unless a worker is on its way.
pub(super) fn the_failed_refuse(step: &Step<'_>) -> Verdict {
    for app in step.view.apps.iter().filter(|app| app.state == AppState::Failed) {
        let comes = |state| matches!(state, WorkerState::Booting | WorkerState::Held | WorkerState::Ready);
        let any = app.workers().any(|worker| comes(worker.state));
        if !any && !step.ledger.accepting.refusing.contains(&app.name) {
            return Err(format!("{} has failed, and whoever connects waits for nobody", app.name));
        }
    }
    Ok(())
}

/// A worker that comes finds its listeners as it needs them: they are not taken from it.
pub(super) fn who_comes_is_not_shut_out(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::RefuseConnections { app } = action else { return Ok(()) };
    match ledger.of(app).find(|(_, known)| known.is_live()) {
        Some((worker, _)) => Err(format!("the listeners of {app} were told to refuse, and {worker} comes")),
        None => Ok(()),
    }
}
