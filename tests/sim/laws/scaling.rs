//! Laws about the number of workers where the load decides it.

use std::time::Duration;

use ostler::supervise::{Action, AppEvent, AppEventKind, AppState, AppView, Event, Moment, View};

use super::{Step, Verdict, seconds};
use crate::entry::AppEntry;
use crate::ledger::Ledger;

/// So long nobody may have time before more workers are asked for.
const IN_TIME: Duration = Duration::from_millis(3500);

fn by_load(app: &AppView) -> bool {
    app.scaling.as_ref().is_some_and(|scaling| !scaling.by_hand)
}

/// What the load has just changed: the app, and from how many to how many.
fn change<'a>(ledger: &'a Ledger, action: &'a Action) -> Option<(&'a AppEntry, u32, u32)> {
    let Action::Announce(AppEvent { app, kind: AppEventKind::ScaledByLoad { from, to, .. } }) = action else {
        return None;
    };
    Some((ledger.apps.get(app)?, *from, *to))
}

/// As many workers are wanted as the range allows.
pub(super) fn wanted_is_within_the_range(step: &Step<'_>) -> Verdict {
    for app in step.view.apps.iter().filter(|app| by_load(app)) {
        let Some(range) = &app.scaling else { continue };
        if !(range.min..=range.max).contains(&app.wanted) {
            let (name, wanted, min, max) = (&app.name, app.wanted, range.min, range.max);
            return Err(format!("{name}: {wanted} workers are wanted, and {min} to {max} allowed"));
        }
    }
    Ok(())
}

/// One less at a time, and at most as many more as there are.
pub(super) fn steps_are_bounded(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match change(ledger, action) {
        Some((_, from, to)) if to + 1 < from || to > 2 * from || to == from => {
            Err(format!("from {from} to {to} workers in one step"))
        }
        _ => Ok(()),
    }
}

/// Fewer only a good while after there were more.
pub(super) fn scaling_is_steady(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Some((entry, from, to)) = change(ledger, action).filter(|(_, from, to)| to < from) else {
        return Ok(());
    };
    let idle = entry.policy.range.map_or(Duration::ZERO, |range| range.idle);
    match entry.load.grown {
        Some(grown) if now.since(grown) < idle => {
            Err(format!("from {from} to {to} workers {} after there were more", seconds(now.since(grown))))
        }
        _ => Ok(()),
    }
}

/// Nobody goes while all have been busy for long, or were so a moment ago.
pub(super) fn the_busy_are_left_alone(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Some((entry, from, to)) = change(ledger, action).filter(|(_, from, to)| to < from) else {
        return Ok(());
    };
    let idle = entry.policy.range.map_or(Duration::ZERO, |range| range.idle);
    match entry.load.long_pressed {
        Some(at) if now.since(at) < idle => {
            Err(format!("from {from} to {to} workers {} after nobody had time", seconds(now.since(at))))
        }
        _ => Ok(()),
    }
}

/// Nobody is started for the load where memory is short.
pub(super) fn nothing_grows_without_memory(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match change(ledger, action) {
        Some((_, from, to)) if to > from && ledger.memory_is_tight => {
            Err(format!("from {from} to {to} workers without memory for them"))
        }
        _ => Ok(()),
    }
}

/// Where nobody has time and everything else allows it, there are more soon.
pub(super) fn the_load_is_followed(step: &Step<'_>) -> Verdict {
    let Event::LoadObserved { apps, .. } = step.fact else { return Ok(()) };
    // One that stops has as many as the load needs no more.
    let looked = |app: &&AppView| {
        let stops = matches!(app.state, AppState::Stopping | AppState::Stopped);
        by_load(app) && !stops && apps.iter().any(|load| load.app == app.name)
    };
    for app in step.view.apps.iter().filter(looked) {
        let (Some(entry), Some(range)) = (step.ledger.apps.get(&app.name), &app.scaling) else { continue };
        let Some(stuck) = entry.load.stuck.filter(|_| app.wanted < range.max) else { continue };
        // A new range, or a number that is taken back, begins anew.
        let so_long = step.now.since(stuck.max(entry.changed));
        if so_long > IN_TIME {
            let (name, wanted) = (&app.name, app.wanted);
            return Err(format!("{name}: all of {wanted} have been busy for {}", seconds(so_long)));
        }
    }
    Ok(())
}

/// Whoever takes over wants as many workers as whoever was there before.
pub(crate) fn the_load_is_remembered(before: &View, after: &View) -> Verdict {
    for old in before.apps.iter().filter(|app| by_load(app)) {
        // Where what was brought in has failed meanwhile, another generation's range is meant.
        let range = |app: &AppView| app.scaling.as_ref().map(|it| (it.min, it.max));
        let meant = |app: &&AppView| app.name == old.name && range(app) == range(old);
        let new = after.apps.iter().filter(meant).find(|app| app.wanted > 0);
        if let Some(new) = new.filter(|new| by_load(new) && new.wanted != old.wanted) {
            return Err(format!("{}: {} workers were wanted, and now {}", old.name, old.wanted, new.wanted));
        }
    }
    Ok(())
}
