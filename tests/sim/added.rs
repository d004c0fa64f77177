//! What planted bugs do beside what the core says.

use std::sync::Arc;
use std::time::Duration;

use ostler::plan::Blueprint;
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Command, Event, GenerationId, HandoverBy, LinkOrder, Outcome, PhaseView,
    ProcessChange, ProcessEvent, ProcessFact, ProcessId, Role, Start, StopSignal, Tolerance,
};

use crate::flaw::Flaw;
use crate::ledger::Ledger;

/// What the flaw does after an action of the core's.
pub(crate) fn add_to(flaw: Flaw, action: &Action, ledger: &Ledger) -> Option<Action> {
    match (flaw, action) {
        (
            Flaw::CommitsWhenFirstIsReady,
            Action::Announce(AppEvent {
                app,
                kind:
                    AppEventKind::Process(ProcessEvent {
                        role: Role::Web,
                        generation,
                        change: ProcessChange::Ready { .. },
                        ..
                    }),
            }),
        ) => {
            let took = Duration::ZERO;
            let kind = AppEventKind::RolloutCommitted { generation: *generation, took };
            Some(Action::Announce(AppEvent { app: app.clone(), kind }))
        }
        (
            Flaw::GivesUpRollingBack,
            Action::Announce(AppEvent { app, kind: AppEventKind::RollingBack { generation, to, reason } }),
        ) => {
            let (generation, serving, reason) = (*generation, *to, reason.clone());
            let kind = AppEventKind::RolledBack { generation, serving, reason };
            Some(Action::Announce(AppEvent { app: app.clone(), kind }))
        }
        (
            Flaw::NeverJoins,
            Action::Announce(AppEvent { app, kind: AppEventKind::RolloutRequested { joined: true, .. } }),
        ) => {
            let generation = ledger.apps.get(app)?.newest?;
            let kind = AppEventKind::RolloutSuperseded { generation, by: generation };
            Some(Action::Announce(AppEvent { app: app.clone(), kind }))
        }
        (Flaw::AnswersBeforeTheLink, Action::SwitchRelease { app, order: LinkOrder::Move { to, .. } }) => {
            is_back(to, app, ledger).then_some(())?;
            let named = |it: &Option<Command>| matches!(it, Some(Command::Restart { app: it, release: Some(_), .. } | Command::Rollback { app: it, .. }) if it == app);
            let (id, _) = ledger.asked.iter().find(|(_, it)| it.answers == 0 && named(&it.request))?;
            Some(Action::Answer {
                id: *id,
                outcome: Outcome::Done { message: "done".to_owned(), generation: None },
            })
        }
        (Flaw::TellsReadyAtOnce, Action::StartProcess(_)) if !ledger.start.ready => Some(Action::TellReady),
        (Flaw::RefusesWhoComes, Action::StartProcess(Start { role: Role::Web, blueprint, .. })) => {
            Some(Action::RefuseConnections { app: blueprint.app.clone() })
        }
        (
            Flaw::AdmitsAtOnce,
            Action::StartProcess(Start { process: worker, role: Role::Web, hold: true, .. }),
        ) => Some(Action::AdmitWorker { worker: *worker }),
        (
            Flaw::ClosesListenersEarly,
            Action::Announce(AppEvent { app, kind: AppEventKind::RolloutStarted { generation, .. } }),
        ) => {
            let blueprint = ledger.apps.get(app)?.generations.values().next()?;
            let mut other = Blueprint::clone(blueprint);
            other.listen.push(ostler::config::Listen {
                address: ostler::config::Address::Systemd(generation.to_string()),
                mode: None,
                backlog: 1,
                origin: ostler::config::Origin::File,
            });
            Some(Action::KeepOnly { app: app.clone(), blueprint: other.into() })
        }
        _ => None,
    }
}

/// What the flaw does when the core is done.
pub(crate) fn add_after(flaw: Flaw, event: &Event, ledger: &Ledger) -> Option<Action> {
    match (flaw, event) {
        (Flaw::DrainsTheLast, _) => drain_the_last(ledger),
        (Flaw::AsksTheServing, Event::Process { process: worker, fact: ProcessFact::Ready }) => {
            Some(Action::AskWhere { process: *worker })
        }
        (Flaw::KillsTheDead, Event::Process { process: worker, fact: ProcessFact::Exited(_) }) => {
            Some(Action::SignalProcess { process: *worker, signal: StopSignal::Kill })
        }
        (Flaw::StartsCommandsAtOnce, Event::Process { fact: ProcessFact::Exited(_), .. }) => {
            command_again(ledger)
        }
        (Flaw::SaysDoneAtOnce, Event::Requested { id, command: Command::Restart { .. } }) => {
            let outcome = Outcome::Done { message: "done".to_owned(), generation: None };
            Some(Action::Answer { id: *id, outcome })
        }
        (
            Flaw::AnswersReloadsAtOnce,
            Event::Requested { id, command: Command::Reload | Command::Hangup | Command::DryRun },
        ) => {
            let outcome = Outcome::Done { message: "in force".to_owned(), generation: None };
            Some(Action::Answer { id: *id, outcome })
        }
        (Flaw::BecomesInAMigration, Event::Requested { id, command: Command::Reexec })
            if ledger.books.values().any(|book| book.open) =>
        {
            Some(Action::Leave(HandoverBy::Reexec { id: *id, program: "/usr/bin/ostlerd".into() }))
        }
        (Flaw::GoesOnLeaving, _) if ledger.start.left.is_some() => {
            Some(Action::ReleaseApp { app: ledger.apps.keys().next()?.clone() })
        }
        (Flaw::SaysDrainedAtOnce, Event::Requested { id, command: Command::Drain { .. } }) => {
            let outcome = Outcome::Done { message: "drained".to_owned(), generation: None };
            Some(Action::Answer { id: *id, outcome })
        }
        (Flaw::AnswersWithAnotherStatus, Event::Requested { id, command: Command::Stop { .. } }) => {
            let (reason, detail) = ("no such user".to_owned(), String::new());
            Some(Action::Answer { id: *id, outcome: Outcome::Misconfigured { reason, detail } })
        }
        (Flaw::StopsAtOnce, Event::Requested { id, command: Command::Stop { .. } }) => {
            let outcome = Outcome::Done { message: "stopped".to_owned(), generation: None };
            Some(Action::Answer { id: *id, outcome })
        }
        (Flaw::StartsTheStopped, Event::Requested { command: Command::Stop { app }, .. }) => {
            start_one(ledger, app)
        }
        (Flaw::ReleasesEarly, Event::Requested { command: Command::Stop { app }, .. }) => {
            Some(Action::ReleaseApp { app: app.clone() })
        }
        (Flaw::ExitsEarly, Event::Requested { command: Command::Shutdown, .. }) => Some(Action::Exit),
        (Flaw::StartsInShutdown, Event::Requested { command: Command::Shutdown, .. }) => {
            start_one(ledger, ledger.apps.keys().next()?)
        }
        _ => None,
    }
}

/// Whether the link is moved to what was last seen to serve.
pub(crate) fn is_back(to: &std::path::Path, app: &ostler::config::AppName, ledger: &Ledger) -> bool {
    let view = ledger.apps.get(app).and_then(|entry| entry.view.as_ref());
    view.and_then(|view| view.blueprint.as_ref()).is_some_and(|it| it.directory == to)
}

/// A worker is started at once, whatever it answers.
pub(crate) fn start_worker(
    process: ProcessId,
    generation: GenerationId,
    blueprint: Arc<Blueprint>,
) -> Action {
    let (role, hold, tolerate, from, first) = (Role::Web, false, Tolerance::ALL, None, None);
    Action::StartProcess(Start { process, role, generation, blueprint, hold, tolerate, from, first })
}

fn start_one(ledger: &Ledger, app: &ostler::config::AppName) -> Option<Action> {
    let (generation, blueprint) = ledger.apps.get(app)?.generations.last_key_value()?;
    Some(start_worker(ProcessId(77_000_000), *generation, blueprint.clone()))
}

/// The command that has ended is started again.
fn command_again(ledger: &Ledger) -> Option<Action> {
    let (app, generation, role) = ledger.ended.newest()?.clone();
    let blueprint = ledger.apps.get(&app)?.generations.get(&generation)?.clone();
    let (process, hold, tolerate, from, first) = (ProcessId(66_000_000), false, Tolerance::NONE, None, None);
    Some(Action::StartProcess(Start { process, role, generation, blueprint, hold, tolerate, from, first }))
}

/// In a rollback, or a rollout, the only ready worker.
fn drain_the_last(ledger: &Ledger) -> Option<Action> {
    for (app, entry) in &ledger.apps {
        let phase = entry.view.as_ref().and_then(|view| view.rollout.as_ref()).map(|rollout| rollout.phase);
        if !matches!(phase, Some(PhaseView::RollingBack | PhaseView::Replacing | PhaseView::Settling)) {
            continue;
        }
        let mut ready = ledger.of(app).filter(|(_, known)| known.is_ready());
        if let (Some((worker, _)), None) = (ready.next(), ready.next()) {
            return Some(Action::SignalProcess { process: worker, signal: StopSignal::Terminate });
        }
    }
    None
}
