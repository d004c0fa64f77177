//! Laws about the commands that run beside the workers.

use std::time::Duration;

use ostler::supervise::{Action, AppState, Moment, Role, Start};

use super::{Step, Verdict, seconds};
use crate::ledger::Ledger;

/// Half of the first delay.
const PAUSE: Duration = Duration::from_millis(250);

/// A command that has ended by itself is not started again at once.
pub(super) fn commands_back_off(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(start @ Start { role: Role::Background(name), .. }) = action else {
        return Ok(());
    };
    match ledger.ended.before(start) {
        Some(ended) if now.since(ended) < PAUSE => {
            Err(format!("{name} is started {} after it has ended", seconds(now.since(ended))))
        }
        _ => Ok(()),
    }
}

/// One process of each command of the generation that serves lives, and none of another generation's.
pub(super) fn commands_run_with_their_generation(step: &Step<'_>) -> Verdict {
    for (id, known) in step.ledger.processes.iter().filter(|(_, it)| it.is_live()) {
        let Role::Background(name) = &known.role else { continue };
        let view = step.view.apps.iter().find(|view| view.name == known.app);
        let runs = view.filter(|it| !matches!(it.state, AppState::Stopping | AppState::Stopped));
        if runs.and_then(|it| it.generation) != Some(known.generation) {
            return Err(format!("{id} runs {name} of {}, which does not serve", known.generation));
        }
        let same =
            |it: &&crate::entry::ProcessEntry| it.app == known.app && it.role == known.role && it.is_live();
        if step.ledger.processes.values().filter(same).count() > 1 {
            return Err(format!("{name} of {} runs twice", known.app));
        }
    }
    Ok(())
}
