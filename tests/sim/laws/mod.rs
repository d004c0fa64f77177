//! The laws: what must hold after every step, whatever the world does. Each is a function with the law's name.

mod accepting;
mod answers;
mod background;
mod drains;
mod hooks;
pub(crate) mod links;
mod lives;
mod migrations;
mod ready;
mod rollouts;
mod scaling;
mod spawns;
mod starts;
mod views;
mod zygotes;

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Action, Event, Moment, View};

use crate::entry::Count;
use crate::ledger::Ledger;
pub(crate) use scaling::the_load_is_remembered;

/// A law's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Law {
    LastReadyWorkerIsKept,
    ReadyNeverFallsUnderTheFloor,
    CommitOnlyAtFullStrength,
    LiveWorkersAreBounded,
    SignalsHardenOnce,
    OnlyTheHungAreAborted,
    TheHungAreEnded,
    EscalationEndsInKill,
    TheFailedAreEnded,
    OnlyTheSlowAreAsked,
    NobodyIsGivenUpUnasked,
    TheDeadAreLeftAlone,
    AStopHurriesWhoDrains,
    NoSpawnStorm,
    BootFailuresBackOff,
    DeadlinesAdvance,
    NamesAreNeverReused,
    GenerationsArePinned,
    AnswersComeOnce,
    AnswersAreTrue,
    StatusesStandInTheTable,
    StrengthIsAsAnswered,
    RollbackRestoresTheOld,
    EqualBlueprintsJoin,
    TheSamePlanRollsNothingOut,
    AnswersComeInTime,
    RecyclingKeepsStrength,
    OnlyTheDueAreRecycled,
    ResizeFollowsAChange,
    AdmissionWaitsForSettle,
    OnlyTheFirstIsHeld,
    NothingWorseComesIn,
    StoppedStaysStopped,
    ReleaseComesLast,
    ListenersOutliveTheirWorkers,
    ExitComesLast,
    ShutdownStartsNothing,
    ReadinessFailsWhileDrained,
    ADrainEndsNobody,
    AShutdownWaitsForTheEdge,
    ADrainIsAnsweredInItsTime,
    ViewsAreTrue,
    StatesAreTrue,
    WhatIsComingIsShown,
    TheWantedPlanIsServed,
    OneMigrationAtATime,
    TheClosedAreLeftAlone,
    NothingRunsUnlocked,
    WhatIsOwedIsDone,
    BackendsOutliveTheCommand,
    NoWorkerBeforeItsMigration,
    TheUnaskedAreAsked,
    MigrationsTouchNoWorker,
    RetriesStartClean,
    TheDirtyRunNothing,
    VerdictsComeAfterALook,
    VerdictsAreTrue,
    TheHistoryEndsWhatItBegins,
    RunsEnd,
    AStopIsBounded,
    TheProvenServes,
    AnswersWaitForTheLink,
    LinksLeadToWhatServes,
    LinksOutliveOstlerd,
    TheWayBackIsWritten,
    LinksComeToRest,
    WantedIsWithinTheRange,
    StepsAreBounded,
    ScalingIsSteady,
    TheBusyAreLeftAlone,
    NothingGrowsWithoutMemory,
    TheLoadIsFollowed,
    TheLoadIsRemembered,
    SameSeedSameTrace,
    WorkersComeOfTheirZygote,
    OneZygoteForEachGeneration,
    ZygotesEndWithTheirNeed,
    WhoServesRefusesNobody,
    TheFailedRefuse,
    WhoComesIsNotShutOut,
    ARestartDeploys,
    NothingIsDeployedUnasked,
    ReadinessWaitsForTheOutcome,
    ReadinessIsToldOnce,
    ReadinessIsTold,
    RoomIsMadeAsAsked,
    LeavingDecidesNothing,
    LooksTakeTurns,
    ReloadsAreReadAfterTheyAreAskedFor,
    ADryRunIsOnlyTold,
    HooksRunInTheirProcess,
    HooksRunWhenTheyAreDue,
    HooksMissNoWorker,
    HooksEndWithTheirGeneration,
    NoHookIsWaitedForForEver,
    WhatPassesIsLookedAtAgain,
    CommandsBackOff,
    CommandsRunWithTheirGeneration,
}

/// A law that does not hold.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) law: Law,
    pub(crate) words: String,
}

/// What a law says: nothing, or what is wrong.
pub(crate) type Verdict = Result<(), String>;

/// One step, after it: the ledger holds what the actions did.
pub(crate) struct Step<'a> {
    pub(crate) now: Moment,
    pub(crate) fact: &'a Event,
    pub(crate) actions: &'a [Action],
    /// The counts between the fact and the first action.
    pub(crate) before: &'a BTreeMap<AppName, Count>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) view: &'a View,
    pub(crate) due: Option<Moment>,
    pub(crate) was_due: Option<Moment>,
    /// How many steps time has stood still.
    pub(crate) standing: u32,
}

type ActionLaw = fn(&Ledger, Moment, &Action) -> Verdict;
type StepLaw = fn(&Step<'_>) -> Verdict;

/// Judged before each action is written down.
const ON_ACTION: &[(Law, ActionLaw)] = &[
    (Law::SignalsHardenOnce, lives::signals_harden_once),
    (Law::OnlyTheHungAreAborted, lives::only_the_hung_are_aborted),
    (Law::TheDeadAreLeftAlone, lives::the_dead_are_left_alone),
    (Law::OnlyTheSlowAreAsked, lives::only_the_slow_are_asked),
    (Law::NobodyIsGivenUpUnasked, lives::nobody_is_given_up_unasked),
    (Law::AdmissionWaitsForSettle, lives::admission_waits_for_settle),
    (Law::NamesAreNeverReused, spawns::names_are_never_reused),
    (Law::GenerationsArePinned, spawns::generations_are_pinned),
    (Law::StoppedStaysStopped, spawns::stopped_stays_stopped),
    (Law::ShutdownStartsNothing, spawns::shutdown_starts_nothing),
    (Law::WorkersComeOfTheirZygote, zygotes::workers_come_of_their_zygote),
    (Law::OneZygoteForEachGeneration, zygotes::one_zygote_for_each_generation),
    (Law::ADrainEndsNobody, drains::a_drain_ends_nobody),
    (Law::AShutdownWaitsForTheEdge, drains::a_shutdown_waits_for_the_edge),
    (Law::ADrainIsAnsweredInItsTime, drains::a_drain_is_answered_in_its_time),
    (Law::OnlyTheFirstIsHeld, spawns::only_the_first_is_held),
    (Law::NothingWorseComesIn, spawns::nothing_worse_comes_in),
    (Law::AnswersComeOnce, answers::answers_come_once),
    (Law::AnswersAreTrue, answers::answers_are_true),
    (Law::StatusesStandInTheTable, answers::statuses_stand_in_the_table),
    (Law::ReleaseComesLast, answers::release_comes_last),
    (Law::ListenersOutliveTheirWorkers, answers::listeners_outlive_their_workers),
    (Law::ExitComesLast, answers::exit_comes_last),
    (Law::OnlyTheDueAreRecycled, ready::only_the_due_are_recycled),
    (Law::ResizeFollowsAChange, ready::resize_follows_a_change),
    (Law::OneMigrationAtATime, migrations::one_migration_at_a_time),
    (Law::TheClosedAreLeftAlone, migrations::the_closed_are_left_alone),
    (Law::NothingRunsUnlocked, migrations::nothing_runs_unlocked),
    (Law::WhatIsOwedIsDone, migrations::what_is_owed_is_done),
    (Law::BackendsOutliveTheCommand, migrations::backends_outlive_the_command),
    (Law::NoWorkerBeforeItsMigration, migrations::no_worker_before_its_migration),
    (Law::RetriesStartClean, migrations::retries_start_clean),
    (Law::TheDirtyRunNothing, migrations::the_dirty_run_nothing),
    (Law::VerdictsComeAfterALook, migrations::verdicts_come_after_a_look),
    (Law::TheHistoryEndsWhatItBegins, migrations::the_history_ends_what_it_begins),
    (Law::StepsAreBounded, scaling::steps_are_bounded),
    (Law::ScalingIsSteady, scaling::scaling_is_steady),
    (Law::TheBusyAreLeftAlone, scaling::the_busy_are_left_alone),
    (Law::NothingGrowsWithoutMemory, scaling::nothing_grows_without_memory),
    (Law::WhoComesIsNotShutOut, accepting::who_comes_is_not_shut_out),
    (Law::NothingIsDeployedUnasked, starts::nothing_is_deployed_unasked),
    (Law::ReadinessIsToldOnce, starts::readiness_is_told_once),
    (Law::RoomIsMadeAsAsked, starts::room_is_made_as_asked),
    (Law::LeavingDecidesNothing, starts::leaving_decides_nothing),
    (Law::LooksTakeTurns, starts::looks_take_turns),
    (Law::ReloadsAreReadAfterTheyAreAskedFor, starts::reloads_are_read_after_they_are_asked_for),
    (Law::ADryRunIsOnlyTold, starts::a_dry_run_is_only_told),
    (Law::HooksRunInTheirProcess, hooks::hooks_run_in_their_process),
    (Law::HooksRunWhenTheyAreDue, hooks::hooks_run_when_they_are_due),
    (Law::CommandsBackOff, background::commands_back_off),
];

/// Judged when all actions of a step are written down.
const ON_STEP: &[(Law, StepLaw)] = &[
    (Law::LastReadyWorkerIsKept, ready::last_ready_worker_is_kept),
    (Law::ReadyNeverFallsUnderTheFloor, ready::ready_never_falls_under_the_floor),
    (Law::CommitOnlyAtFullStrength, ready::commit_only_at_full_strength),
    (Law::RecyclingKeepsStrength, ready::recycling_keeps_strength),
    (Law::LiveWorkersAreBounded, spawns::live_workers_are_bounded),
    (Law::NoSpawnStorm, spawns::no_spawn_storm),
    (Law::BootFailuresBackOff, spawns::boot_failures_back_off),
    (Law::StrengthIsAsAnswered, answers::strength_is_as_answered),
    (Law::RollbackRestoresTheOld, rollouts::rollback_restores_the_old),
    (Law::EqualBlueprintsJoin, rollouts::equal_blueprints_join),
    (Law::TheSamePlanRollsNothingOut, rollouts::the_same_plan_rolls_nothing_out),
    (Law::TheHungAreEnded, lives::the_hung_are_ended),
    (Law::AStopHurriesWhoDrains, lives::a_stop_hurries_who_drains),
    (Law::EscalationEndsInKill, lives::escalation_ends_in_kill),
    (Law::TheFailedAreEnded, lives::the_failed_are_ended),
    (Law::DeadlinesAdvance, deadlines_advance),
    (Law::ReadinessFailsWhileDrained, drains::readiness_fails_while_drained),
    (Law::TheUnaskedAreAsked, migrations::the_unasked_are_asked),
    (Law::MigrationsTouchNoWorker, migrations::migrations_touch_no_worker),
    (Law::RunsEnd, migrations::runs_end),
    (Law::AStopIsBounded, migrations::a_stop_is_bounded),
    (Law::ZygotesEndWithTheirNeed, zygotes::zygotes_end_with_their_need),
    (Law::WantedIsWithinTheRange, scaling::wanted_is_within_the_range),
    (Law::TheLoadIsFollowed, scaling::the_load_is_followed),
    (Law::ViewsAreTrue, views::views_are_true),
    (Law::StatesAreTrue, views::states_are_true),
    (Law::WhatIsComingIsShown, views::what_is_coming_is_shown),
    (Law::WhoServesRefusesNobody, accepting::who_serves_refuses_nobody),
    (Law::TheFailedRefuse, accepting::the_failed_refuse),
    (Law::ARestartDeploys, starts::a_restart_deploys),
    (Law::ReadinessWaitsForTheOutcome, starts::readiness_waits_for_the_outcome),
    (Law::HooksMissNoWorker, hooks::hooks_miss_no_worker),
    (Law::HooksEndWithTheirGeneration, hooks::hooks_end_with_their_generation),
    (Law::NoHookIsWaitedForForEver, hooks::no_hook_is_waited_for_for_ever),
    (Law::CommandsRunWithTheirGeneration, background::commands_run_with_their_generation),
    (Law::WhatPassesIsLookedAtAgain, rollouts::what_passes_is_looked_at_again),
];

/// Which laws are in force: all, or one alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Code {
    pub(crate) only: Option<Law>,
}

impl Code {
    pub(crate) fn holds(self, law: Law, verdict: impl FnOnce() -> Verdict) -> Result<(), Violation> {
        if self.only.is_some_and(|only| only != law) {
            return Ok(());
        }
        verdict().map_err(|words| Violation { law, words })
    }

    pub(crate) fn judge_action(self, ledger: &Ledger, now: Moment, action: &Action) -> Result<(), Violation> {
        ON_ACTION.iter().try_for_each(|(law, rule)| self.holds(*law, || rule(ledger, now, action)))
    }

    pub(crate) fn judge_step(self, step: &Step<'_>) -> Result<(), Violation> {
        ON_STEP.iter().try_for_each(|(law, rule)| self.holds(*law, || rule(step)))
    }
}

/// A deadline that is due either leads to something or moves.
fn deadlines_advance(step: &Step<'_>) -> Verdict {
    let stuck = matches!(step.fact, Event::TimePassed)
        && step.actions.is_empty()
        && step.was_due.is_some_and(|was| was <= step.now)
        && step.due.is_some_and(|due| due <= step.now);
    if stuck {
        return Err(format!("nothing was done at {}, and the deadline is still {:?}", step.now, step.due));
    }
    if step.standing > 100 {
        return Err(format!("time has stood still for {} steps", step.standing));
    }
    Ok(())
}

/// How long ago, as seconds for people.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
