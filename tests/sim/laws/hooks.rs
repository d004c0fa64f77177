//! Laws about the hooks of gunicorn's master.

use ostler::plan::Hook;
use ostler::supervise::{Action, AppState, Event, Moment, ProcessFact, Role, Start};

use super::{Step, Verdict};
use crate::ledger::Ledger;

/// A process of hooks is started once for a generation that sets some, beside a worker of it, and two at most are there; a
/// hook runs in one that is there.
pub(super) fn hooks_run_in_their_process(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let wrong = |what: &str| Err(format!("{action:?}: {what}"));
    match action {
        Action::StartHooks { app, generation, worker, .. } => {
            let Some(known) = ledger.processes.get(worker) else { return wrong("its worker is not there") };
            let entry = ledger.apps.get(app).and_then(|entry| entry.generations.get(generation));
            match entry {
                _ if known.generation != *generation || known.app != *app => wrong("its worker is another's"),
                Some(blueprint) if blueprint.hooks.is_empty() => wrong("the generation sets none"),
                _ if ledger.hooks.has(app, *generation) => wrong("it is there already"),
                _ if ledger.hooks.count(app) > 1 => wrong("it is the third"),
                _ => Ok(()),
            }
        }
        Action::RunHook { app, generation, .. } | Action::EndHooks { app, generation } => {
            match ledger.hooks.has(app, *generation) {
                true => Ok(()),
                false => wrong("its process is not there"),
            }
        }
        _ => Ok(()),
    }
}

/// Each hook runs when what it is called for has happened, and once for it.
pub(super) fn hooks_run_when_they_are_due(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::RunHook { app, due, .. } = action else { return Ok(()) };
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
        if step.ledger.hooks.has(&blueprint.app, *generation) && !step.ledger.hooks.told.contains_key(worker)
        {
            return Err(format!("{worker} was started without pre_fork"));
        }
    }
    if let Event::Process { process: worker, fact: ProcessFact::Forked } = step.fact
        && let Some(known) = step.ledger.processes.get(worker)
        && step.ledger.hooks.has(&known.app, known.generation)
        && !step.ledger.hooks.told.contains_key(worker)
    {
        return Err(format!("{worker} was forked without pre_fork"));
    }
    if let Event::Process { process: worker, fact: ProcessFact::Exited(_) } = step.fact
        && let Some((app, generation)) = step.ledger.hooks.told.get(worker)
        && step.ledger.hooks.has(app, *generation)
    {
        return Err(format!("{worker} has ended without child_exit"));
    }
    Ok(())
}

/// Only what serves and what is brought in have a process of hooks.
pub(super) fn hooks_end_with_their_generation(step: &Step<'_>) -> Verdict {
    for (app, hosts) in &step.ledger.hooks.hosts {
        let view = step.view.apps.iter().find(|view| view.name == *app);
        // They run what is due of the last workers.
        if view.is_some_and(|view| view.state == AppState::Stopping) {
            continue;
        }
        let runs = view.filter(|view| view.state != AppState::Stopped);
        let serving = runs.and_then(|view| view.generation);
        let coming = runs.and_then(|view| view.rollout.as_ref()?.generation);
        let stray = hosts.keys().find(|it| Some(**it) != serving && Some(**it) != coming);
        if let Some(generation) = stray {
            return Err(format!("the process of hooks of {app} {generation} outlives its generation"));
        }
    }
    Ok(())
}
