//! Laws about the processes that workers are forked from.

use ostler::plan::Preload;
use ostler::supervise::{Action, AppState, Moment, PhaseView, Role, Start};

use super::{Step, Verdict};
use crate::entry::ProcessEntry;
use crate::ledger::Ledger;

/// A worker of a generation with a zygote is forked from it, once it has loaded what it is for; no other is forked.
pub(super) fn workers_come_of_their_zygote(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { process: worker, role: Role::Web, generation, blueprint, from, .. }) =
        action
    else {
        return Ok(());
    };
    let Some(from) = from else {
        return match blueprint.preload {
            Preload::Nothing => Ok(()),
            it => Err(format!("{worker} of {generation}, which preloads {}, is not forked", it.what())),
        };
    };
    match ledger.processes.get(from) {
        _ if blueprint.preload == Preload::Nothing => {
            Err(format!("{worker} is forked, and {generation} is not preloaded"))
        }
        None => Err(format!("{worker} is forked from {from}, which is none")),
        Some(it) if !it.forks() => Err(format!("{worker} is forked from {from}, which is no zygote")),
        Some(it) if it.generation != *generation || it.app != blueprint.app => {
            Err(format!("{worker} of {generation} is forked from a zygote of {}", it.generation))
        }
        Some(it) if it.ready.is_none() => {
            Err(format!("{worker} is forked from {from}, which has not loaded {}", blueprint.preload.what()))
        }
        Some(it) if !it.is_live() => Err(format!("{worker} is forked from {from}, which is being ended")),
        Some(_) => Ok(()),
    }
}

/// A zygote is started for a generation that preloads something and has none.
pub(super) fn one_zygote_for_each_generation(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { process: zygote, role: Role::Zygote(_), generation, blueprint, .. }) =
        action
    else {
        return Ok(());
    };
    let wrong =
        |what: &str| Err(format!("{zygote} is started for {generation} of {}: {what}", blueprint.app));
    let its = |it: &&ProcessEntry| it.forks() && it.app == blueprint.app && it.generation == *generation;
    match ledger.processes.values().filter(its).any(|it| it.is_live()) {
        _ if blueprint.preload == Preload::Nothing => wrong("it is not preloaded"),
        true => wrong("there is one"),
        false => Ok(()),
    }
}

/// A zygote lives while its generation may need a worker: the one that serves, the one that is rolled out.
pub(super) fn zygotes_end_with_their_need(step: &Step<'_>) -> Verdict {
    for (id, zygote) in step.ledger.processes.iter().filter(|(_, it)| it.forks() && it.is_live()) {
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
