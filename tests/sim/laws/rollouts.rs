//! Laws about the course of a rollout.

use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Action, AppEvent, AppEventKind, Event, GenerationId, Moment, PhaseView};

use super::{Step, Verdict, seconds};

/// A rollback is over when the old generation is at full strength again, or does not boot any more.
pub(super) fn rollback_restores_the_old(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::Announce(AppEvent { app, kind }) = action else { continue };
        if let AppEventKind::RolledBack { generation, serving, .. } = kind {
            rolled_back(step, app, *generation, *serving)?;
        }
    }
    Ok(())
}

fn rolled_back(
    step: &Step<'_>,
    app: &AppName,
    generation: GenerationId,
    serving: Option<GenerationId>,
) -> Verdict {
    let Some(entry) = step.ledger.apps.get(app) else { return Err(format!("{app} is unknown")) };
    match serving {
        Some(serving) if step.ledger.ready_of(app, serving) == 0 => {
            return Err(format!("{serving} is said to serve and has no ready worker"));
        }
        None if step.ledger.count(app).ready > 0 => {
            return Err("nothing is said to serve, and something does".to_owned());
        }
        _ => {}
    }
    let Some(old) = entry.view.as_ref().and_then(|view| view.generation) else { return Ok(()) };
    let view = step.view.apps.iter().find(|view| view.name == *app);
    let wanted = entry.wanted().min(view.map_or(0, |view| view.wanted));
    let ready = step.ledger.ready_of(app, old);
    let boots = !entry.failed_boots.contains_key(&old);
    if ready < wanted && boots && !entry.given_up.contains(&generation) {
        return Err(format!("{ready} of {wanted} workers of {old} are ready, and the rollback is over"));
    }
    Ok(())
}

/// A restart from the blueprint that is being rolled out already joins that rollout.
pub(super) fn equal_blueprints_join(step: &Step<'_>) -> Verdict {
    let Event::AppPrepared { app, prepared } = step.fact else { return Ok(()) };
    let (Ok(plan), Some(entry)) = (&**prepared, step.ledger.apps.get(app)) else { return Ok(()) };
    let Some(rollout) = entry.view.as_ref().and_then(|view| view.rollout.as_ref()) else { return Ok(()) };
    let blueprint = rollout.generation.and_then(|generation| entry.generations.get(&generation));
    if rollout.phase == PhaseView::RollingBack || blueprint != Some(&plan.blueprint) {
        return Ok(());
    }
    let anew = step.actions.iter().any(|action| match action {
        Action::Announce(event) => matches!(event.kind, AppEventKind::RolloutSuperseded { .. }),
        _ => false,
    });
    if anew { Err(format!("{app}: an equal rollout was begun anew")) } else { Ok(()) }
}

/// A plan that names what an app runs already starts no rollout of it: not after a reload, not after a fall of ostlerd.
pub(super) fn the_same_plan_rolls_nothing_out(step: &Step<'_>) -> Verdict {
    let Event::ConfigRead { found } = step.fact else { return Ok(()) };
    let Ok(found) = &**found else { return Ok(()) };
    for action in step.actions {
        let Action::Announce(AppEvent { app, kind: AppEventKind::RolloutStarted { from: Some(_), .. } }) =
            action
        else {
            continue;
        };
        let (Some(wanted), Some(entry)) = (found.apps.get(app), step.ledger.apps.get(app)) else {
            continue;
        };
        let Some(view) = &entry.view else { continue };
        let target = view.rollout.as_ref().map_or(view.generation, |rollout| rollout.generation);
        let runs = target.and_then(|generation| entry.generations.get(&generation));
        if runs == Some(&wanted.blueprint) && view.rollout.is_none() {
            return Err(format!("{app}: {target:?} is rolled out again, and nothing of it has changed"));
        }
    }
    Ok(())
}

/// An app that was refused for what may pass by itself is looked at again, whether anybody asks or not.
pub(super) fn what_passes_is_looked_at_again(step: &Step<'_>) -> Verdict {
    if step.ledger.machine.shutdown {
        return Ok(());
    }
    let late = |since: &Moment| step.now.since(*since) > Duration::from_secs(75);
    match step.ledger.refused.since.iter().find(|(_, since)| late(since)) {
        Some((app, since)) => Err(format!("{app} was refused {} ago", seconds(step.now.since(*since)))),
        None => Ok(()),
    }
}
