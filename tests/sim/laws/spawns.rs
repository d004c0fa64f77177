//! Laws about the start of workers.

use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Action, AppState, Moment, Role, Start};

use super::{Step, Verdict};
use crate::ledger::Ledger;

const MINUTE: Duration = Duration::from_secs(60);
/// So many boot failures in a row are certainly backed off from.
pub(crate) const A_ROW: u32 = 8;

/// No worker's name is used again, no generation's number goes back.
pub(super) fn names_are_never_reused(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { process: worker, generation, blueprint, .. }) = action else {
        return Ok(());
    };
    if ledger.names.contains(worker) {
        return Err(format!("{worker} is used again"));
    }
    let Some(entry) = ledger.apps.get(&blueprint.app) else { return Ok(()) };
    let unknown = !entry.generations.contains_key(generation);
    if unknown && entry.newest.is_some_and(|newest| newest > *generation) {
        return Err(format!("generation {generation} comes after {:?}", entry.newest));
    }
    Ok(())
}

/// All workers of a generation are started from the same blueprint.
pub(super) fn generations_are_pinned(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { generation, blueprint, .. }) = action else { return Ok(()) };
    let first = ledger.apps.get(&blueprint.app).and_then(|entry| entry.generations.get(generation));
    match first {
        Some(first) if first != blueprint => {
            Err(format!("{generation} was made from {:?} and now {:?}", first.release, blueprint.release))
        }
        _ => Ok(()),
    }
}

/// A stopped app starts nothing until it is started.
pub(super) fn stopped_stays_stopped(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { process: worker, blueprint, .. }) = action else { return Ok(()) };
    match ledger.apps.get(&blueprint.app) {
        Some(entry) if !entry.planned => {
            Err(format!("{worker} is started for {}, which is not planned", blueprint.app))
        }
        Some(entry) if entry.stopped => {
            Err(format!("{worker} is started for {}, which is stopped", blueprint.app))
        }
        Some(_) => Ok(()),
        None => Err(format!("{worker} is started for {}, which is unknown", blueprint.app)),
    }
}

/// Whether the app was not stopping before this step.
fn is_up(ledger: &Ledger, app: &AppName) -> bool {
    let view = ledger.apps.get(app).and_then(|entry| entry.view.as_ref());
    view.is_some_and(|view| !matches!(view.state, AppState::Stopping | AppState::Stopped))
}

/// Nothing is started once the daemon is on its way out.
pub(super) fn shutdown_starts_nothing(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match action {
        // Beside a worker that was forked while ostlerd was about to leave, in the very step in which the app has to stop.
        Action::StartProcess(Start { role: Role::Hooks, blueprint, .. }) if is_up(ledger, &blueprint.app) => {
            Ok(())
        }
        Action::StartProcess(Start { process: worker, .. }) if ledger.machine.stopping => {
            Err(format!("{worker} is started in a shutdown"))
        }
        _ => Ok(()),
    }
}

/// Where nobody has asked for the probe, a new generation may answer no worse than the one that serves, and the one that
/// serves may answer as it likes.
pub(super) fn nothing_worse_comes_in(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start {
        process: worker, role: Role::Web, generation, blueprint, tolerate, ..
    }) = action
    else {
        return Ok(());
    };
    let asked = blueprint.probe.as_ref().is_some_and(|probe| probe.asked);
    let Some(entry) = ledger.apps.get(&blueprint.app) else { return Ok(()) };
    let Some(serving) = entry.view.as_ref().and_then(|view| view.generation) else { return Ok(()) };
    let has_served = |generation| entry.admitted_since_start.contains(&generation);
    let errors = tolerate.errors;
    match errors {
        true if asked => Err(format!("{worker} is borne with, and its probe was asked for")),
        true if serving != *generation
            && has_served(serving)
            && !has_served(*generation)
            && entry.answers_well.get(&serving) == Some(&true) =>
        {
            Err(format!("{worker} is borne with, and {serving} answers well"))
        }
        false if !asked && serving == *generation && has_served(serving) => {
            Err(format!("{worker} is not borne with, and its generation {serving} serves"))
        }
        _ => Ok(()),
    }
}

/// In a rollout the first worker of the new generation is held back, and only one at a time.
pub(super) fn only_the_first_is_held(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { process: worker, role: Role::Web, generation, blueprint, hold, .. }) =
        action
    else {
        return Ok(());
    };
    let Some(entry) = ledger.apps.get(&blueprint.app) else { return Ok(()) };
    let proven = entry.admitted_since_start.contains(generation);
    let serves = ledger.of(&blueprint.app).any(|(_, known)| known.is_ready());
    let others =
        ledger.of(&blueprint.app).any(|(_, known)| known.generation == *generation && known.is_live());
    let is_new = entry.newest <= Some(*generation);
    match hold {
        true if proven => Err(format!("{worker} is held, and a worker of {generation} has served")),
        true if others => Err(format!("{worker} is held, and it is not the first of {generation}")),
        false if !proven && serves && entry.rollout_on() && is_new => {
            Err(format!("{worker} is not held, and no worker of {generation} has served"))
        }
        _ => Ok(()),
    }
}

/// No more workers live than the wanted ones and the surge.
pub(super) fn live_workers_are_bounded(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::StartProcess(Start { role: Role::Web, blueprint, .. }) = action else { continue };
        let app = &blueprint.app;
        let Some(entry) = step.ledger.apps.get(app) else { continue };
        let view = step.view.apps.iter().find(|view| view.name == *app);
        let wanted = view.map_or(0, |view| view.wanted).max(entry.wanted()).max(entry.peak);
        let mixed =
            step.ledger.of(app).any(|(_, known)| known.is_live() && Some(known.generation) != entry.newest);
        let rollout = mixed || entry.rollout_on() || view.is_some_and(|view| view.rollout.is_some());
        let surge = if rollout { entry.policy.rollout.max_surge.of(wanted) } else { 1 };
        let live = step.ledger.count(app).live;
        let grown = live > step.before.get(app).map_or(0, |before| before.live);
        if grown && live > wanted + surge {
            return Err(format!("{app}: {live} workers live; {wanted} are wanted and {surge} more allowed"));
        }
    }
    Ok(())
}

/// In a minute no more workers are started than changes and the budget of restarts account for.
pub(super) fn no_spawn_storm(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::StartProcess(Start { role: Role::Web, blueprint, .. }) = action else { continue };
        let Some(entry) = step.ledger.apps.get(&blueprint.app) else { continue };
        let recent = |at: &Moment| step.now.since(*at) <= MINUTE;
        let spawns = entry.spawns.iter().rev().take_while(|(at, _)| recent(at)).count() as u32;
        let changes: u32 =
            entry.allowances.iter().rev().take_while(|(at, _)| recent(at)).map(|(_, allowed)| allowed).sum();
        let allowed = changes + 2 * entry.policy.restarts_per_minute + 10 * entry.wanted().max(entry.peak);
        if spawns > allowed {
            return Err(format!(
                "{}: {spawns} starts in a minute, {allowed} can be accounted for",
                blueprint.app
            ));
        }
    }
    Ok(())
}

/// Where nothing boots, starts become rare.
pub(super) fn boot_failures_back_off(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::StartProcess(Start { role: Role::Web, generation, blueprint, .. }) = action else {
            continue;
        };
        let Some(entry) = step.ledger.apps.get(&blueprint.app) else { continue };
        let wanted = entry.wanted().max(entry.peak).max(1);
        let failures = entry.failed_boots.get(generation).copied().unwrap_or(0);
        if failures < A_ROW * wanted {
            continue;
        }
        let lately = |at: &Moment| step.now.since(*at) <= Duration::from_secs(2);
        let recent = entry.spawns.iter().rev().take_while(|(at, _)| lately(at));
        let count = recent.filter(|(_, of)| of == generation).count() as u32;
        let changed = entry.allowances.iter().any(|(at, _)| lately(at));
        if count > 2 * wanted + 2 && !changed {
            return Err(format!(
                "{generation}: {count} starts in 2 s after {failures} boot failures in a row"
            ));
        }
    }
    Ok(())
}
