//! Laws about the processes that workers are forked from.

use std::time::Duration;

use ostler::plan::Preload;
use ostler::supervise::{Action, AppState, Moment, PhaseView, Rung};

use super::{Step, Verdict, seconds};
use crate::ledger::Ledger;
use crate::zygote::Zygote;

/// A zygote has nothing to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// A worker of a generation with a zygote is forked from it, once it has loaded what it is for; no other is forked.
pub(super) fn workers_come_of_their_zygote(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::SpawnWorker { worker, generation, blueprint, from, .. } = action else { return Ok(()) };
    let Some(from) = from else {
        return match blueprint.preload {
            Preload::Nothing => Ok(()),
            it => Err(format!("{worker} of {generation}, which preloads {}, is not forked", it.what())),
        };
    };
    match ledger.zygotes.get(from) {
        _ if blueprint.preload == Preload::Nothing => {
            Err(format!("{worker} is forked, and {generation} is not preloaded"))
        }
        None => Err(format!("{worker} is forked from {from}, which is none")),
        Some(it) if it.generation != *generation || it.app != blueprint.app => {
            Err(format!("{worker} of {generation} is forked from a zygote of {}", it.generation))
        }
        Some(it) if !it.ready => {
            Err(format!("{worker} is forked from {from}, which has not loaded {}", it.loads.what()))
        }
        Some(it) if !it.is_live() => Err(format!("{worker} is forked from {from}, which is being ended")),
        Some(_) => Ok(()),
    }
}

/// A zygote is started for a generation that preloads something, runs and has none, from what the generation was made from.
pub(super) fn one_zygote_for_each_generation(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartZygote { zygote, generation, blueprint, .. } = action else { return Ok(()) };
    let wrong =
        |what: &str| Err(format!("{zygote} is started for {generation} of {}: {what}", blueprint.app));
    let its = |it: &&Zygote| it.app == blueprint.app && it.generation == *generation;
    let crew = ledger.crews.get(&blueprint.app);
    let first = crew.and_then(|crew| crew.generations.get(generation));
    if ledger.names.contains(zygote) {
        return wrong("the name is used again");
    }
    if ledger.machine.stopping {
        return wrong("in a shutdown");
    }
    match crew {
        _ if blueprint.preload == Preload::Nothing => wrong("it is not preloaded"),
        _ if ledger.zygotes.values().filter(its).any(|it| it.is_live()) => wrong("there is one"),
        _ if first.is_some_and(|first| first != blueprint) => wrong("it was made from another release"),
        Some(crew) if crew.planned && !crew.stopped => Ok(()),
        _ => wrong("nothing of that app is to run"),
    }
}

/// A zygote lives while its generation may need a worker: the one that serves, the one that is rolled out.
pub(super) fn zygotes_end_with_their_need(step: &Step<'_>) -> Verdict {
    for (id, zygote) in step.ledger.zygotes.iter().filter(|(_, it)| it.is_live()) {
        let Some(view) = step.view.apps.iter().find(|view| view.name == zygote.app) else {
            return Err(format!("{id} lives, and {} is gone", zygote.app));
        };
        let down = matches!(view.state, AppState::Stopping | AppState::Stopped);
        let rolled_out = view.rollout.as_ref().filter(|it| it.phase != PhaseView::RollingBack);
        let rolled_out = rolled_out.and_then(|it| it.generation);
        let needed = [view.generation, rolled_out].contains(&Some(zygote.generation));
        if down || !needed {
            return Err(format!(
                "{id} of {} lives; {} is {:?}, {:?} serves, and {rolled_out:?} is rolled out",
                zygote.generation, zygote.app, view.state, view.generation
            ));
        }
    }
    Ok(())
}

/// One that is being ended and stays is killed, soon.
pub(super) fn zygotes_end_in_time(step: &Step<'_>) -> Verdict {
    for (id, zygote) in &step.ledger.zygotes {
        let Some((since, _)) = zygote.signals.first() else { continue };
        let waited = step.now.since(*since);
        if waited > PATIENCE && !zygote.signals.iter().any(|(_, rung)| *rung == Rung::Kill) {
            return Err(format!("{id} is being ended for {} and was not killed", seconds(waited)));
        }
    }
    Ok(())
}

/// One that is seen to hang is ended in the same step.
pub(super) fn hung_zygotes_are_ended(step: &Step<'_>) -> Verdict {
    match step.ledger.zygotes.iter().find(|(_, it)| it.hung && it.is_live()) {
        Some((id, _)) => Err(format!("{id} hangs and nothing is done")),
        None => Ok(()),
    }
}

/// The view names exactly the zygotes that there are, and what each of them loads.
pub(super) fn zygotes_are_shown(step: &Step<'_>) -> Verdict {
    let shown: usize = step.view.apps.iter().map(|app| app.zygotes.len()).sum();
    if shown != step.ledger.zygotes.len() {
        return Err(format!("{shown} zygotes are shown of {}", step.ledger.zygotes.len()));
    }
    for app in &step.view.apps {
        for zygote in &app.zygotes {
            let is_it = step.ledger.zygotes.get(&zygote.id).is_some_and(|it| {
                it.app == app.name
                    && (it.generation, it.loads) == (zygote.generation, zygote.loads)
                    && (!it.is_live() || it.ready == zygote.ready)
            });
            if !is_it {
                return Err(format!("{zygote:?} is shown in {}", app.name));
            }
        }
    }
    Ok(())
}
