//! Planted bugs: each perverts what passes between the core and the world, and proves that a law fires.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ostler::plan::{Blueprint, Plan, Preload};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Cause, Event, FoundProcess, LinkOrder, Moment, PhaseView, ProcessChange,
    ProcessEvent, ProcessFact, ProcessId, Role, RolloutView, Snapshot, Start, StopSignal, Supervisor,
    Tolerance, View,
};

use crate::added::{add_after, add_to, is_back};
use crate::ledger::Ledger;
use crate::mutated_actions::MigrationFlaw;
use crate::mutated_events::{mutated_event, mutated_plan};
use crate::mutated_views::LoadFlaw;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    DrainsTheLast,
    TakesBootingForReady,
    CommitsWhenFirstIsReady,
    StartsTwo,
    DrainsAgain,
    AbortsInsteadOfDraining,
    OverlooksHangs,
    NeverKills,
    NeverHurries,
    KillsTheDead,
    LivesTooFast,
    DeadlineStandsStill,
    ReusesNames,
    MixesReleases,
    AnswersTwice,
    SaysDoneAtOnce,
    AnswersWithAnotherStatus,
    StopsAtOnce,
    GivesUpRollingBack,
    NeverJoins,
    LosesAnswers,
    RecyclesTheHealthy,
    ShrinksAtWill,
    AdmitsAtOnce,
    HoldsAll,
    BearsWithWorse,
    BearsWithNothing,
    StartsTheStopped,
    ReleasesEarly,
    ClosesListenersEarly,
    ExitsEarly,
    StartsInShutdown,
    ShowsTheDead,
    SaysServing,
    DeafToLoaded,
    DeafToFailed,
    AsksTheServing,
    AsksNobody,
    ActsOnAWhim,
    HidesTheDrain,
    HidesWhatIsComing,
    TakesADrainForAShutdown,
    ShutsDownAtOnce,
    SaysDrainedAtOnce,
    Migration(MigrationFlaw),
    Load(LoadFlaw),
    ForgetsNumbers,
    ForgetsGenerations,
    ForgetsAWorker,
    ForgetsTheStopped,
    ForgetsTheDrain,
    TakesTheDeadForLiving,
    ForgetsWhatRuns,
    ForgetsTheSwitch,
    LeavesTheLink,
    KeepsTheUnproven,
    ForgetsTheWayBack,
    PutsTheLinkBackBeneathARollout,
    AnswersBeforeTheLink,
    ForksFromNone,
    StartsTwoZygotes,
    KeepsZygotes,
    HidesZygotes,
    HidesCommands,
    MisnamesZygotes,
    ForgetsZygotes,
    NeverRefuses,
    RefusesForGood,
    RefusesWhoComes,
    RunsHooksTwice,
    StartsHooksTwice,
    ForgetsHooks,
    KeepsHooks,
    WaitsForHooks,
    LooksOnce,
    ForgetsToDeploy,
    DeploysAfterACrash,
    TellsReadyAtOnce,
    TellsReadyAgain,
    NeverTellsReady,
    RestartsTheStopped,
    BecomesAnything,
    BecomesInAMigration,
    GoesOnLeaving,
    ReadsTwice,
    AnswersReloadsAtOnce,
    TakesDryRunsForReloads,
    KeepsCommands,
    StartsTwoCommands,
    StartsCommandsAtOnce,
    ForgetsCommands,
}

static WHIM: AtomicU64 = AtomicU64::new(0);
const HASTE: u32 = 60;

/// The core, or the core with a flaw.
pub(crate) struct Subject {
    pub(crate) core: Supervisor,
    flaw: Option<Flaw>,
    stuck_at: Option<Moment>,
    last_view: Option<View>,
}

impl Subject {
    pub(crate) fn new(mut plan: Plan, seed: u64, flaw: Option<Flaw>) -> Self {
        mutated_plan(flaw, &mut plan);
        Subject { core: Supervisor::new(plan, seed), flaw, stuck_at: None, last_view: None }
    }

    /// The next one takes its place.
    pub(crate) fn recover(
        &mut self,
        snapshot: &Snapshot,
        found: &BTreeMap<ProcessId, FoundProcess>,
        now: Moment,
        seed: u64,
    ) {
        self.core = crate::crash::recovered(snapshot, found, self.clock(now), seed, self.flaw);
    }

    fn clock(&self, now: Moment) -> Moment {
        match self.flaw {
            Some(Flaw::LivesTooFast) => Moment::at(now.since_origin() * HASTE),
            _ => now,
        }
    }

    pub(crate) fn handle(&mut self, now: Moment, event: &Event, ledger: &Ledger) -> Vec<Action> {
        let clock = self.clock(now);
        let deaf = match event {
            Event::Process { fact: ProcessFact::Loaded | ProcessFact::Ready, .. } => {
                self.flaw == Some(Flaw::DeafToLoaded)
            }
            Event::Process { fact: ProcessFact::Failed(_), .. } => self.flaw == Some(Flaw::DeafToFailed),
            Event::WorkersObserved { .. } => self.flaw == Some(Flaw::OverlooksHangs),
            _ => false,
        };
        let heard = if deaf { Event::TimePassed } else { mutated_event(self.flaw, event.clone()) };
        let mut actions = self.core.handle(clock, heard);
        if self.flaw == Some(Flaw::TakesBootingForReady) {
            self.lie_about_boots(clock, &mut actions);
        }
        match self.flaw {
            Some(Flaw::Migration(misdeed)) => {
                actions.into_iter().flat_map(|action| misdeed.instead(action, ledger)).collect()
            }
            Some(Flaw::Load(misjudged)) => misjudged.instead(actions, event, ledger),
            Some(flaw) => pervert(flaw, actions, event, ledger),
            None => actions,
        }
    }

    /// Tells the core that whatever it starts is ready.
    fn lie_about_boots(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let mut from = 0;
        while let Some(action) = actions.get(from) {
            if let Action::StartProcess(Start { process: worker, role: Role::Web, .. }) = action {
                let worker = *worker;
                actions.extend(self.core.handle(now, ProcessFact::Ready.of(worker)));
            }
            from += 1;
        }
    }

    pub(crate) fn next_deadline(&mut self) -> Option<Moment> {
        let deadline = self.core.next_deadline();
        match self.flaw {
            Some(Flaw::LivesTooFast) => deadline
                .map(|at| Moment::at(at.since_origin().div_f64(HASTE.into()) + Duration::from_nanos(1))),
            Some(Flaw::DeadlineStandsStill) => {
                self.stuck_at = self.stuck_at.or(deadline);
                self.stuck_at
            }
            _ => deadline,
        }
    }

    pub(crate) fn view(&mut self, now: Moment) -> View {
        let mut view = self.core.view(self.clock(now));
        match self.flaw {
            Some(Flaw::ShowsTheDead) => return self.last_view.replace(view.clone()).unwrap_or(view),
            Some(Flaw::Load(misjudged)) => misjudged.shows(&mut view),
            Some(Flaw::HidesTheDrain) => view.draining = false,
            Some(Flaw::HidesWhatIsComing) => {
                let hidden = |it: &RolloutView| it.phase == PhaseView::Preparing;
                view.apps
                    .iter_mut()
                    .for_each(|app| app.rollout = app.rollout.take().filter(|it| !hidden(it)));
            }
            Some(Flaw::HidesZygotes) => {
                view.apps.iter_mut().for_each(|app| app.processes.retain(|it| it.role == Role::Web));
            }
            Some(Flaw::HidesCommands) => view.apps.iter_mut().for_each(|app| app.background.clear()),
            Some(Flaw::MisnamesZygotes) => {
                let processes = view.apps.iter_mut().flat_map(|app| &mut app.processes);
                let zygotes = processes.filter(|it| it.role != Role::Web);
                zygotes.for_each(|zygote| zygote.role = Role::Zygote(Preload::App));
            }
            Some(Flaw::SaysServing) => {
                view.apps.iter_mut().for_each(|app| app.state = ostler::supervise::AppState::Serving);
            }
            _ => {}
        }
        view
    }
}

/// Does something to the actions that the flaw stands for.
fn pervert(flaw: Flaw, actions: Vec<Action>, event: &Event, ledger: &Ledger) -> Vec<Action> {
    let mut done = Vec::with_capacity(actions.len() + 1);
    for action in actions {
        match (flaw, &action) {
            (Flaw::NeverKills, Action::SignalProcess { signal: StopSignal::Kill, .. }) => continue,
            (Flaw::NeverHurries, Action::HurryWorker { .. }) => continue,
            (Flaw::LosesAnswers, Action::Answer { .. })
            | (Flaw::NeverRefuses, Action::RefuseConnections { .. })
            | (Flaw::RefusesForGood, Action::AcceptConnections { .. }) => continue,
            (Flaw::AsksNobody, Action::AskWhere { .. })
            | (Flaw::ForgetsHooks, Action::RunHook { .. })
            | (Flaw::NeverTellsReady, Action::TellReady)
            | (Flaw::KeepsHooks, Action::SignalProcess { signal: StopSignal::EndInput, .. }) => continue,
            (Flaw::WaitsForHooks, Action::SignalProcess { process, signal })
                if *signal != StopSignal::EndInput
                    && ledger.processes.get(process).is_some_and(|it| it.role == Role::Hooks) =>
            {
                continue;
            }
            (Flaw::LeavesTheLink, Action::SwitchRelease { app, order: LinkOrder::Move { to, .. } })
                if is_back(to, app, ledger) =>
            {
                continue;
            }
            (Flaw::AnswersTwice, Action::Answer { .. })
            | (Flaw::RunsHooksTwice, Action::RunHook { .. })
            | (Flaw::StartsHooksTwice, Action::StartProcess(Start { role: Role::Hooks, .. }))
            | (Flaw::TellsReadyAgain, Action::TellReady)
            | (Flaw::ReadsTwice, Action::ReadConfig { .. })
            | (Flaw::DrainsAgain, Action::SignalProcess { .. }) => {
                done.push(action.clone());
            }
            (Flaw::StartsTwo, Action::StartProcess(Start { process: worker, role: Role::Web, .. })) => {
                (1..4).for_each(|n| done.push(spawn_as(&action, ProcessId(worker.0 + n * 1_000_000))));
            }
            (Flaw::StartsTwoZygotes, Action::StartProcess(start @ Start { role: Role::Zygote(_), .. })) => {
                let process = ProcessId(start.process.0 + 5_000_000);
                done.push(Action::StartProcess(Start { process, ..start.clone() }));
            }
            (Flaw::KeepsZygotes, Action::SignalProcess { process: worker, .. })
                if ledger.processes.get(worker).is_some_and(|it| !it.serves()) =>
            {
                continue;
            }
            (Flaw::ForgetsCommands, Action::StartProcess(Start { role: Role::Background(_), .. })) => {
                continue;
            }
            (Flaw::StartsTwoCommands, Action::StartProcess(start)) if !start.role.proves() => {
                let process = ProcessId(start.process.0 + 6_000_000);
                done.push(Action::StartProcess(Start { process, ..start.clone() }));
            }
            (Flaw::KeepsCommands, Action::SignalProcess { process, .. })
                if ledger.processes.get(process).is_some_and(|it| !it.role.proves()) =>
            {
                continue;
            }
            (Flaw::ReusesNames, Action::StartProcess(Start { role: Role::Web, .. })) => {
                done.push(spawn_as(&action, ProcessId(1)));
                continue;
            }
            (
                Flaw::AbortsInsteadOfDraining,
                Action::SignalProcess { process: worker, signal: StopSignal::Terminate },
            ) => {
                done.push(Action::SignalProcess { process: *worker, signal: StopSignal::Abort });
                continue;
            }
            _ => {}
        }
        let follow_up = add_to(flaw, &action, ledger);
        done.push(changed(flaw, action, ledger));
        done.extend(follow_up);
    }
    done.extend(add_after(flaw, event, ledger));
    done
}

fn spawn_as(action: &Action, name: ProcessId) -> Action {
    let mut copy = action.clone();
    if let Action::StartProcess(Start { process: worker, role: Role::Web, .. }) = &mut copy {
        *worker = name;
    }
    copy
}

/// The action as the flaw changes it.
fn changed(flaw: Flaw, mut action: Action, ledger: &Ledger) -> Action {
    match (flaw, &mut action) {
        (
            Flaw::MixesReleases,
            Action::StartProcess(Start { process: worker, role: Role::Web, blueprint, .. }),
        ) => {
            let mut other = Blueprint::clone(blueprint);
            other.release.files += worker.0;
            *blueprint = std::sync::Arc::new(other);
        }
        (Flaw::KeepsTheUnproven, Action::SwitchRelease { order: LinkOrder::Write(record), .. }) => {
            if let Some(newest) = record.newest().map(ToOwned::to_owned) {
                record.keep(&newest);
            }
        }
        (Flaw::ForgetsTheWayBack, Action::SwitchRelease { order: LinkOrder::Write(record), .. }) => {
            record.unproven = None;
        }
        (
            Flaw::PutsTheLinkBackBeneathARollout,
            Action::SwitchRelease { app, order: LinkOrder::Move { to, .. } },
        ) => {
            let view = ledger.apps.get(app).and_then(|entry| entry.view.as_ref());
            let view = view.filter(|view| view.rollout.as_ref().is_some_and(|it| it.generation.is_some()));
            if let Some(serving) = view.and_then(|view| view.blueprint.as_ref()) {
                *to = serving.directory.clone();
            }
        }
        (Flaw::HoldsAll, Action::StartProcess(Start { role: Role::Web, hold, .. })) => *hold = true,
        (Flaw::BearsWithWorse, Action::StartProcess(Start { role: Role::Web, tolerate, .. })) => {
            *tolerate = Tolerance::ALL
        }
        (Flaw::BearsWithNothing, Action::StartProcess(Start { role: Role::Web, tolerate, .. })) => {
            *tolerate = Tolerance::NONE
        }
        (Flaw::ForksFromNone, Action::StartProcess(Start { role: Role::Web, from, .. })) => *from = None,
        (Flaw::ActsOnAWhim, Action::StartProcess(Start { process: worker, role: Role::Web, .. })) => {
            worker.0 += 10_000_000 * WHIM.fetch_add(1, Ordering::Relaxed);
        }
        (
            Flaw::RecyclesTheHealthy,
            Action::Announce(AppEvent {
                kind:
                    AppEventKind::Process(ProcessEvent {
                        role: Role::Web,
                        change: ProcessChange::Draining { cause },
                        ..
                    }),
                ..
            }),
        ) => *cause = Cause::MaxRequests,
        (
            Flaw::ShrinksAtWill,
            Action::Announce(AppEvent {
                kind:
                    AppEventKind::Process(ProcessEvent {
                        role: Role::Web,
                        change: ProcessChange::Draining { cause },
                        ..
                    }),
                ..
            }),
        ) => *cause = Cause::Resize,
        _ => {}
    }
    action
}
