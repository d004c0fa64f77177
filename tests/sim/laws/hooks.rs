//! Laws about the hooks of gunicorn's master.

use std::time::Duration;

use ostler::plan::Hook;
use ostler::supervise::{Action, AppState, Event, Moment, ProcessFact, Role, Start};

use super::{Step, Verdict, seconds};
use crate::ledger::Ledger;

/// No hook is waited for longer.
const LONGEST: Duration = Duration::from_secs(61);

/// A process of hooks is started once for a generation that sets some; a hook runs in one that is there.
pub(super) fn hooks_run_in_their_process(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let wrong = |what: &str| Err(format!("{action:?}: {what}"));
    match action {
        Action::StartProcess(Start { role: Role::Hooks, generation, blueprint, .. }) => {
            let app = &blueprint.app;
            match blueprint.hooks.is_empty() {
                true => wrong("the generation sets none"),
                _ if ledger.has_host(app, *generation) => wrong("it is there already"),
                _ => Ok(()),
            }
        }
        Action::RunHook { process, .. } => match ledger.processes.get(process) {
            Some(it) if it.role == Role::Hooks && it.is_live() => Ok(()),
            _ => wrong("its process is not there"),
        },
        _ => Ok(()),
    }
}

/// Each hook runs when what it is called for has happened, and once for it.
pub(super) fn hooks_run_when_they_are_due(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::RunHook { process, due } = action else { return Ok(()) };
    let Some(app) = ledger.processes.get(process).map(|it| &it.app) else { return Ok(()) };
    let wrong = |what: &str| Err(format!("{} of {app}: {what}", due.hook.name()));
    let known = due.worker.map(|worker| (worker, ledger.processes.get(&worker)));
    match (due.hook, known) {
        (Hook::PreFork, Some((worker, Some(_)))) if !ledger.hooks.told.contains_key(&worker) => Ok(()),
        (Hook::ChildExit, Some((_, None))) => Ok(()),
        (Hook::PreFork | Hook::ChildExit, _) => wrong("not of this worker, or not now"),
        (Hook::WhenReady, None) if ledger.hooks.were_ready.contains(app) => wrong("it has run already"),
        (Hook::WhenReady, None) if ledger.count(app).ready == 0 => wrong("no worker is ready"),
        (Hook::OnExit, None) if ledger.of(app).next().is_some() => wrong("workers are left"),
        (Hook::NworkersChanged, None) if due.from == Some(due.workers) => wrong("nothing has changed"),
        (Hook::NworkersChanged, None) if due.from.is_none() => wrong("from how many is not said"),
        (_, Some(_)) => wrong("it is about no worker"),
        _ => Ok(()),
    }
}

/// A worker that starts or ends while there is a process of its generation's hooks has its hooks run there.
pub(super) fn hooks_miss_no_worker(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::StartProcess(Start {
            process: worker,
            role: Role::Web,
            generation,
            blueprint,
            from: None,
            ..
        }) = action
        else {
            continue;
        };
        if step.ledger.has_host(&blueprint.app, *generation) && !step.ledger.hooks.told.contains_key(worker) {
            return Err(format!("{worker} was started without pre_fork"));
        }
    }
    if let Event::Process { process: worker, fact: ProcessFact::Forked } = step.fact
        && let Some(known) = step.ledger.processes.get(worker).filter(|it| it.serves())
        && step.ledger.has_host(&known.app, known.generation)
        && !step.ledger.hooks.told.contains_key(worker)
    {
        return Err(format!("{worker} was forked without pre_fork"));
    }
    if let Event::Process { process: worker, fact: ProcessFact::Exited(_) } = step.fact
        && let Some(host) = step.ledger.hooks.told.get(worker)
        && step.ledger.processes.get(host).is_some_and(|it| it.is_live())
    {
        return Err(format!("{worker} has ended without child_exit"));
    }
    Ok(())
}

/// Only what serves and what is brought in have a process of hooks.
pub(super) fn hooks_end_with_their_generation(step: &Step<'_>) -> Verdict {
    for app in step.ledger.apps.keys() {
        let view = step.view.apps.iter().find(|view| view.name == *app);
        // They run what is due of the last workers.
        if view.is_some_and(|view| view.state == AppState::Stopping) {
            continue;
        }
        let runs = view.filter(|view| view.state != AppState::Stopped);
        let serving = runs.and_then(|view| view.generation);
        let coming = runs.and_then(|view| view.rollout.as_ref()?.generation);
        let stray = step.ledger.hosts(app).find(|(_, it)| Some(*it) != serving && Some(*it) != coming);
        if let Some((id, generation)) = stray {
            return Err(format!("{id}, the process of hooks of {app} {generation}, outlives its generation"));
        }
    }
    Ok(())
}

/// A process in which a hook does not end is ended.
pub(super) fn no_hook_is_waited_for_for_ever(step: &Step<'_>) -> Verdict {
    for (id, known) in step.ledger.processes.iter().filter(|(_, it)| it.is_live()) {
        let ran = step.ledger.hooks.runs_for(*id, step.now);
        if ran > LONGEST {
            return Err(format!("a hook in {id} of {} has run for {}", known.app, seconds(ran)));
        }
    }
    Ok(())
}
