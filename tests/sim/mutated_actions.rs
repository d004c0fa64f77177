//! Planted bugs of the watchdog: each perverts its orders, and proves that a law fires.

use ostler::config::AppName;
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Cause, GenerationId, MigrationOrder, ProcessChange, ProcessEvent,
    ProcessId, Record, Role, RunId, StopSignal, Verdict, VerdictKind,
};

use crate::added::start_worker;
use crate::flaw::Flaw;
use crate::laws::Law;
use crate::ledger::Ledger;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MigrationFlaw {
    OpensTwice,
    TalksToTheClosed,
    RunsUnlocked,
    SkipsWhatIsOwed,
    EndsBackendsEarly,
    ClimbsTwice,
    NeverKills,
    StartsUnmigrated,
    StartsTheUnknown,
    ForgetsTheUnasked,
    DrainsMeanwhile,
    RetriesUnseen,
    OpensTheDirty,
    JudgesUnseen,
    Beautifies,
    ForgetsTheEnd,
    NeverCloses,
}

/// Which law each breaks.
pub(crate) const MUTATED_ACTIONS: &[(Flaw, Law)] = &[
    (Flaw::Migration(MigrationFlaw::OpensTwice), Law::OneMigrationAtATime),
    (Flaw::Migration(MigrationFlaw::TalksToTheClosed), Law::TheClosedAreLeftAlone),
    (Flaw::Migration(MigrationFlaw::RunsUnlocked), Law::NothingRunsUnlocked),
    (Flaw::Migration(MigrationFlaw::SkipsWhatIsOwed), Law::WhatIsOwedIsDone),
    (Flaw::Migration(MigrationFlaw::EndsBackendsEarly), Law::BackendsOutliveTheCommand),
    (Flaw::Migration(MigrationFlaw::ClimbsTwice), Law::SignalsHardenOnce),
    (Flaw::Migration(MigrationFlaw::NeverKills), Law::EscalationEndsInKill),
    (Flaw::Migration(MigrationFlaw::StartsUnmigrated), Law::NoWorkerBeforeItsMigration),
    (Flaw::Migration(MigrationFlaw::StartsTheUnknown), Law::NoWorkerBeforeItsMigration),
    (Flaw::Migration(MigrationFlaw::ForgetsTheUnasked), Law::TheUnaskedAreAsked),
    (Flaw::Migration(MigrationFlaw::DrainsMeanwhile), Law::MigrationsTouchNoWorker),
    (Flaw::Migration(MigrationFlaw::RetriesUnseen), Law::RetriesStartClean),
    (Flaw::Migration(MigrationFlaw::OpensTheDirty), Law::TheDirtyRunNothing),
    (Flaw::Migration(MigrationFlaw::JudgesUnseen), Law::VerdictsComeAfterALook),
    (Flaw::Migration(MigrationFlaw::Beautifies), Law::VerdictsAreTrue),
    (Flaw::Migration(MigrationFlaw::ForgetsTheEnd), Law::TheHistoryEndsWhatItBegins),
    (Flaw::Migration(MigrationFlaw::NeverCloses), Law::RunsEnd),
    (Flaw::LosesAnswers, Law::AStopIsBounded),
];

impl MigrationFlaw {
    /// What is done instead of an action.
    pub(crate) fn instead(self, action: Action, ledger: &Ledger) -> Vec<Action> {
        let Action::Migrate { app, run, order } = &action else { return vec![action] };
        let (app, run) = (app.clone(), *run);
        let also = |order| Action::Migrate { app: app.clone(), run, order };
        let end_backends = MigrationOrder::Abort(StopSignal::EndBackends);
        match (self, order) {
            (MigrationFlaw::OpensTwice, MigrationOrder::Open(_)) => {
                let (order, run) = (order.clone(), RunId(run.0 + 1_000_000));
                vec![action, Action::Migrate { app, run, order }]
            }
            (MigrationFlaw::TalksToTheClosed, MigrationOrder::Close) => {
                let more = also(MigrationOrder::LockDatabase);
                vec![action, more]
            }
            (MigrationFlaw::RunsUnlocked, MigrationOrder::LockDatabase) => {
                let more = also(MigrationOrder::RunMigration { attempt: 1, checks: true });
                vec![action, more]
            }
            (MigrationFlaw::SkipsWhatIsOwed, MigrationOrder::LockDatabase) => {
                let verdict = Verdict::of(VerdictKind::Nothing, "nothing is pending");
                let kind = AppEventKind::MigrationEnded { database: "default".to_owned(), verdict };
                vec![action, Action::Announce(AppEvent { app, kind })]
            }
            (MigrationFlaw::EndsBackendsEarly, MigrationOrder::RunMigration { .. }) => {
                let more = also(end_backends);
                vec![action, more]
            }
            (MigrationFlaw::ClimbsTwice, MigrationOrder::Abort(rung)) if *rung != StopSignal::EndBackends => {
                vec![action.clone(), action]
            }
            (MigrationFlaw::NeverKills, MigrationOrder::Abort(StopSignal::Kill)) => Vec::new(),
            (MigrationFlaw::StartsUnmigrated, MigrationOrder::Open(opening)) => {
                let (worker, generation) = (ProcessId(88_000_000), GenerationId(9999));
                let start = start_worker(worker, generation, opening.blueprint.clone());
                vec![action, start]
            }
            (MigrationFlaw::StartsTheUnknown, MigrationOrder::Close) => {
                let Some(blueprint) = ledger.books.get(&run).and_then(|it| it.blueprint.clone()) else {
                    return vec![action];
                };
                let (worker, generation) = (ProcessId(88_000_000), GenerationId(9999));
                let start = start_worker(worker, generation, blueprint);
                vec![action, unasked(app), start]
            }
            (MigrationFlaw::ForgetsTheUnasked, MigrationOrder::Close) => vec![action, unasked(app)],
            (MigrationFlaw::DrainsMeanwhile, MigrationOrder::LockDatabase) => {
                let serving = ledger.apps.get(&app).and_then(|entry| entry.view.as_ref()?.generation);
                let Some(generation) = serving else { return vec![action] };
                let (worker, cause) = (ProcessId(1), Cause::Rollout);
                let change = ProcessChange::Draining { cause };
                let kind = AppEventKind::Process(ProcessEvent {
                    process: worker,
                    role: Role::Web,
                    generation,
                    change,
                });
                vec![action, Action::Announce(AppEvent { app, kind })]
            }
            (MigrationFlaw::RetriesUnseen, MigrationOrder::Abort(StopSignal::EndBackends)) => {
                let more = also(MigrationOrder::RunMigration { attempt: 2, checks: true });
                vec![action, more]
            }
            (MigrationFlaw::OpensTheDirty, MigrationOrder::Close) => {
                vec![also(MigrationOrder::LockDatabase), action]
            }
            (MigrationFlaw::JudgesUnseen, MigrationOrder::Abort(StopSignal::EndBackends)) => {
                let more = also(MigrationOrder::RecordMigration(Box::new(guessed())));
                vec![action, more]
            }
            (MigrationFlaw::Beautifies, MigrationOrder::RecordMigration(record)) => {
                let mut record = record.clone();
                if let Some(verdict) = &mut record.verdict
                    && verdict.kind != VerdictKind::Unknown
                {
                    verdict.kind = VerdictKind::Applied;
                }
                vec![also(MigrationOrder::RecordMigration(record))]
            }
            (MigrationFlaw::ForgetsTheEnd, MigrationOrder::RecordMigration(record))
                if record.verdict.is_some() =>
            {
                Vec::new()
            }
            (MigrationFlaw::NeverCloses, MigrationOrder::Close) => Vec::new(),
            _ => vec![action],
        }
    }
}

fn unasked(app: AppName) -> Action {
    let kind = AppEventKind::StartedWithoutDatabase { reason: "connection refused".to_owned() };
    Action::Announce(AppEvent { app, kind })
}

fn guessed() -> Record {
    let verdict = Verdict::of(VerdictKind::Failed, "guessed");
    Record { attempts: 1, verdict: Some(verdict), ..Record::default() }
}
