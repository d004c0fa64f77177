//! Laws about the workers that clients have.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Cause, GenerationId, Moment, ProcessChange, ProcessEvent, Role,
};

use super::{Step, Verdict, seconds};
use crate::entry::AppEntry;
use crate::ledger::Ledger;

/// The apps of which ready workers were taken away in this step, with the ready ones before and after.
fn taken<'a>(step: &'a Step<'_>) -> impl Iterator<Item = (&'a AppName, &'a AppEntry, u32, u32)> {
    step.before.iter().filter_map(|(app, before)| {
        let entry = step.ledger.apps.get(app)?;
        let after = step.ledger.count(app).ready;
        // A stop goes on to its end though the app is wanted again meanwhile.
        let free = step.ledger.machine.stopping || !entry.should_run() || step.ledger.stopping.contains(app);
        (!free && after < before.ready).then_some((app, entry, before.ready, after))
    })
}

/// No decision takes the last ready worker of an app away while it should run.
pub(super) fn last_ready_worker_is_kept(step: &Step<'_>) -> Verdict {
    for (app, entry, before, after) in taken(step) {
        if after == 0 && wanted_after(step, app, entry) > 0 {
            return Err(format!("{app} had {before} ready workers, and the last of them was taken away"));
        }
    }
    Ok(())
}

/// Our decisions leave as many ready workers as are wanted, or, in a rollout, as there were.
pub(super) fn ready_never_falls_under_the_floor(step: &Step<'_>) -> Verdict {
    for (app, entry, before, after) in taken(step) {
        let wanted = wanted_after(step, app, entry);
        let on = entry.rollout_on();
        let rollout = view_of(step, app).and_then(|view| view.rollout.as_ref());
        let floor = match rollout.filter(|_| on) {
            Some(rollout) => wanted.min(rollout.wanted).min(entry.old_count.unwrap_or(wanted)),
            None => wanted,
        };
        if after < floor {
            return Err(format!(
                "{app}: ready workers fell from {before} to {after}, under the floor of {floor}"
            ));
        }
    }
    Ok(())
}

fn view_of<'a>(step: &'a Step<'_>, app: &AppName) -> Option<&'a ostler::supervise::AppView> {
    step.view.apps.iter().find(|view| view.name == *app)
}

fn wanted_after(step: &Step<'_>, app: &AppName, entry: &AppEntry) -> u32 {
    view_of(step, app).map_or(entry.wanted(), |view| view.wanted)
}

/// A generation is committed when all its workers have been ready for `settle` without a crash.
pub(super) fn commit_only_at_full_strength(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        if let Action::Announce(AppEvent { app, kind: AppEventKind::RolloutCommitted { generation, .. } }) =
            action
        {
            let Some(entry) = step.ledger.apps.get(app) else { return Err(format!("{app} is unknown")) };
            let wanted = entry.wanted().min(wanted_after(step, app, entry)) as usize;
            committed_at_full_strength(step, app, entry, *generation, wanted)?;
        }
    }
    Ok(())
}

fn committed_at_full_strength(
    step: &Step<'_>,
    app: &AppName,
    entry: &AppEntry,
    generation: GenerationId,
    wanted: usize,
) -> Verdict {
    let mut since = ready_since(step.ledger, app, generation);
    if since.len() < wanted {
        return Err(format!("{generation} was committed with {} of {wanted} workers ready", since.len()));
    }
    since.sort();
    let full = since.get(wanted.saturating_sub(1)).copied().unwrap_or(Moment::ZERO);
    let crash = entry.crashes.get(&generation).copied().unwrap_or(Moment::ZERO);
    let calm = step.now.since(full.max(crash));
    let settle = entry.policy.rollout.settle;
    if calm < settle {
        return Err(format!(
            "{generation} was committed after {} instead of {}",
            seconds(calm),
            seconds(settle)
        ));
    }
    Ok(())
}

fn ready_since(ledger: &Ledger, app: &AppName, generation: GenerationId) -> Vec<Moment> {
    let processes = ledger.of(app).filter(|(_, known)| known.generation == generation && known.is_ready());
    processes.filter_map(|(_, known)| known.ready).collect()
}

/// Recycling takes one worker at a time, and only when its replacement is ready.
pub(super) fn recycling_keeps_strength(step: &Step<'_>) -> Verdict {
    let mut recycled: BTreeMap<&AppName, u32> = BTreeMap::new();
    for action in step.actions {
        if let Action::Announce(AppEvent {
            app,
            kind:
                AppEventKind::Process(ProcessEvent {
                    role: Role::Web,
                    change: ProcessChange::Draining { cause },
                    ..
                }),
        }) = action
            && matches!(cause, Cause::MaxRequests | Cause::MaxAge | Cause::MaxRss)
        {
            *recycled.entry(app).or_default() += 1;
        }
    }
    for (app, count) in recycled {
        let Some(entry) = step.ledger.apps.get(app) else { continue };
        let (ready, wanted) = (step.ledger.count(app).ready, wanted_after(step, app, entry));
        if count > 1 {
            return Err(format!("{app}: {count} workers were recycled at once"));
        }
        if ready < wanted {
            return Err(format!("{app}: recycling left {ready} of {wanted} workers ready"));
        }
    }
    Ok(())
}

/// Workers are too many only where something was changed: a resize, a plan, a rollout.
pub(super) fn resize_follows_a_change(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::Announce(AppEvent { app, kind }) = action else { return Ok(()) };
    let AppEventKind::Process(ProcessEvent {
        process: worker,
        change: ProcessChange::Draining { cause: Cause::Resize },
        ..
    }) = kind
    else {
        return Ok(());
    };
    let Some(entry) = ledger.apps.get(app) else { return Ok(()) };
    let calm = now.since(entry.changed);
    if calm > entry.policy.rollout.boot_timeout + Duration::from_secs(30) && !entry.rollout_on() {
        return Err(format!("{worker} is one too many, and nothing has changed for {}", seconds(calm)));
    }
    Ok(())
}

/// Only a worker that is due is recycled.
pub(super) fn only_the_due_are_recycled(ledger: &Ledger, now: Moment, action: &Action) -> Verdict {
    let Action::Announce(AppEvent {
        app,
        kind:
            AppEventKind::Process(ProcessEvent {
                process: worker,
                role: Role::Web,
                change: ProcessChange::Draining { cause },
                ..
            }),
    }) = action
    else {
        return Ok(());
    };
    let (Some(known), Some(entry)) = (ledger.processes.get(worker), ledger.apps.get(app)) else {
        return Err(format!("{worker} of {app} is said to drain and is not there"));
    };
    let age = now.since(known.spawned);
    let due = match cause {
        Cause::MaxRequests => {
            known.seen.requests >= entry.policy.max_requests && entry.policy.max_requests > 0
        }
        Cause::MaxAge => age >= entry.policy.max_age.unwrap_or(Duration::MAX),
        Cause::MaxRss => known.seen.rss.unwrap_or(0) > entry.policy.max_rss.unwrap_or(u64::MAX),
        _ => return Ok(()),
    };
    if due { Ok(()) } else { Err(format!("{worker} is recycled ({cause}) and is not due: {:?}", known.seen)) }
}
