//! Laws about the start of workers.

use std::time::Duration;

use ostler::supervise::{Action, Moment, Role, Start};

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
    let Some(crew) = ledger.crews.get(&blueprint.app) else { return Ok(()) };
    let unknown = !crew.generations.contains_key(generation);
    if unknown && crew.newest.is_some_and(|newest| newest > *generation) {
        return Err(format!("generation {generation} comes after {:?}", crew.newest));
    }
    Ok(())
}

/// All workers of a generation are started from the same blueprint.
pub(super) fn generations_are_pinned(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { generation, blueprint, .. }) = action else { return Ok(()) };
    let first = ledger.crews.get(&blueprint.app).and_then(|crew| crew.generations.get(generation));
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
    match ledger.crews.get(&blueprint.app) {
        Some(crew) if !crew.planned => {
            Err(format!("{worker} is started for {}, which is not planned", blueprint.app))
        }
        Some(crew) if crew.stopped => {
            Err(format!("{worker} is started for {}, which is stopped", blueprint.app))
        }
        Some(_) => Ok(()),
        None => Err(format!("{worker} is started for {}, which is unknown", blueprint.app)),
    }
}

/// Nothing is started once the daemon is on its way out.
pub(super) fn shutdown_starts_nothing(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match action {
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
    let Some(crew) = ledger.crews.get(&blueprint.app) else { return Ok(()) };
    let Some(serving) = crew.view.as_ref().and_then(|view| view.generation) else { return Ok(()) };
    let has_served = |generation| crew.admitted_since_start.contains(&generation);
    let errors = tolerate.errors;
    match errors {
        true if asked => Err(format!("{worker} is borne with, and its probe was asked for")),
        true if serving != *generation
            && has_served(serving)
            && !has_served(*generation)
            && crew.answers_well.get(&serving) == Some(&true) =>
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
    let Some(crew) = ledger.crews.get(&blueprint.app) else { return Ok(()) };
    let proven = crew.admitted_since_start.contains(generation);
    let serves = ledger.of(&blueprint.app).any(|(_, known)| known.is_ready());
    let others =
        ledger.of(&blueprint.app).any(|(_, known)| known.generation == *generation && known.is_live());
    let is_new = crew.newest <= Some(*generation);
    match hold {
        true if proven => Err(format!("{worker} is held, and a worker of {generation} has served")),
        true if others => Err(format!("{worker} is held, and it is not the first of {generation}")),
        false if !proven && serves && crew.rollout_on() && is_new => {
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
        let Some(crew) = step.ledger.crews.get(app) else { continue };
        let view = step.view.apps.iter().find(|view| view.name == *app);
        let wanted = view.map_or(0, |view| view.wanted).max(crew.wanted()).max(crew.peak);
        let mixed =
            step.ledger.of(app).any(|(_, known)| known.is_live() && Some(known.generation) != crew.newest);
        let rollout = mixed || crew.rollout_on() || view.is_some_and(|view| view.rollout.is_some());
        let surge = if rollout { crew.policy.rollout.max_surge.of(wanted) } else { 1 };
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
        let Some(crew) = step.ledger.crews.get(&blueprint.app) else { continue };
        let recent = |at: &Moment| step.now.since(*at) <= MINUTE;
        let spawns = crew.spawns.iter().rev().take_while(|(at, _)| recent(at)).count() as u32;
        let changes: u32 =
            crew.allowances.iter().rev().take_while(|(at, _)| recent(at)).map(|(_, allowed)| allowed).sum();
        let allowed = changes + 2 * crew.policy.restarts_per_minute + 10 * crew.wanted().max(crew.peak);
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
        let Some(crew) = step.ledger.crews.get(&blueprint.app) else { continue };
        let wanted = crew.wanted().max(crew.peak).max(1);
        let failures = crew.failed_boots.get(generation).copied().unwrap_or(0);
        if failures < A_ROW * wanted {
            continue;
        }
        let lately = |at: &Moment| step.now.since(*at) <= Duration::from_secs(2);
        let recent = crew.spawns.iter().rev().take_while(|(at, _)| lately(at));
        let count = recent.filter(|(_, of)| of == generation).count() as u32;
        let changed = crew.allowances.iter().any(|(at, _)| lately(at));
        if count > 2 * wanted + 2 && !changed {
            return Err(format!(
                "{generation}: {count} starts in 2 s after {failures} boot failures in a row"
            ));
        }
    }
    Ok(())
}
