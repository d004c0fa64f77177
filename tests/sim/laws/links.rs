//! Laws about the links that lead to releases.

use ostler::supervise::{Action, Command, LinkOrder, Outcome};

use super::{Step, Verdict};

/// A link is kept where it leads to what serves, and put back to what serves.
pub(super) fn links_follow_what_serves(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::MoveLink { app, order } = action else { continue };
        let (LinkOrder::Keep(to) | LinkOrder::PutBack(Some(to))) = order else { continue };
        let view = step.view.apps.iter().find(|view| view.name == *app);
        let serving = view.and_then(|view| Some(&view.blueprint.as_ref()?.directory));
        if serving != Some(to) {
            return Err(format!("{app}: {order:?}, and what serves is {serving:?}"));
        }
    }
    Ok(())
}

/// Who named a release hears how it went when the link is where it belongs, or is known to be stuck.
pub(super) fn answers_wait_for_the_link(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::Answer { id, outcome } = action else { continue };
        let Some(Command::Restart { app, release: Some(_), .. } | Command::Rollback { app, .. }) =
            step.ledger.asked.get(id).and_then(|it| it.request.as_ref())
        else {
            continue;
        };
        let open = step.ledger.crews.get(app).is_some_and(|crew| crew.unproven);
        let goes_on = step.view.apps.iter().any(|view| view.name == *app && view.rollout.is_some());
        // Neither has done anything to the link.
        let untouched = matches!(outcome, Outcome::Refused { .. } | Outcome::Invalid { .. });
        if open && !goes_on && !untouched {
            return Err(format!("{id:?} is answered ({outcome}), and the link of {app} is not settled"));
        }
    }
    Ok(())
}
