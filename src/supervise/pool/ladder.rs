//! The ladder by which a process is ended, whatever it is for: one signal after the other, each harder than the one before.
//!
//! ```text
//! asked to end:          Terminate ─ the role's patience ──────────► Quit  ─ GRACE ─► Kill
//! hung, too slow:        Stacks ─ STACKS_GRACE ────────────────────► Abort ─ GRACE ─► Kill
//! says that it failed:   nothing, it ends by itself ─ FAILED_GRACE ─────────────────► Kill
//! gunicorn's hooks:      the end of their input ─ HOOKS_GRACE ──────────────────────► Kill
//! a migration:           Cancel ─ GRACE ─► Interrupt ─ GRACE ─► Terminate ─ GRACE ──► Kill ─ STUCK ─► given up
//! a command after it:                                           Terminate ─ GRACE ──► Kill ─ STUCK ─► given up
//! ```
//!
//! A process with nothing to run at its end is killed at once instead of the second signal. The backends of a migration
//! are ended only when no process is left: a client that is told of a lost connection may go on with the next statement.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use crate::supervise::time::Moment;

/// How long a process without anything to finish is given, and each with SIGQUIT or SIGABRT: time for the app's hooks.
const GRACE: Duration = Duration::from_secs(2);
/// From the order to write the stacks to the next signal: long enough for `faulthandler` to write them.
const STACKS_GRACE: Duration = Duration::from_millis(500);
/// From a process's own word that it has failed to SIGKILL: time to report to where the app reports errors.
const FAILED_GRACE: Duration = Duration::from_secs(3);
/// SIGKILL takes no longer, unless a process is stuck in a device.
const STUCK: Duration = Duration::from_secs(10);
/// From the end of what the process of gunicorn's hooks is told to SIGKILL: time for the hooks that wait.
const HOOKS_GRACE: Duration = Duration::from_secs(5);

/// The signals that end a process, each harder than the one before. `Cancel` and `EndBackends` are done in its database,
/// `EndInput` on its control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    /// Do what was told, and then exit: nothing more will be (of gunicorn's hooks).
    EndInput,
    /// Cancel what its backends do (of a migration).
    Cancel,
    /// End as by Ctrl-C (SIGINT).
    Interrupt,
    /// Finish what is under way, then exit (SIGTERM).
    Terminate,
    /// Write the stacks of all threads to the log (SIGRTMIN+5).
    Stacks,
    /// End now, but tidily (SIGQUIT).
    Quit,
    /// End with the hook for hung workers (SIGABRT).
    Abort,
    /// End (SIGKILL), and with it all that came of it: the process group, or the scope.
    Kill,
    /// With no process left: end its backends and wait until they are gone (of a migration).
    EndBackends,
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopSignal::EndInput => "end its input",
            StopSignal::Cancel => "cancel its statements",
            StopSignal::Interrupt => "SIGINT",
            StopSignal::Terminate => "SIGTERM",
            StopSignal::Stacks => "write its stacks",
            StopSignal::Quit => "SIGQUIT",
            StopSignal::Abort => "SIGABRT",
            StopSignal::Kill => "SIGKILL",
            StopSignal::EndBackends => "end its backends",
        })
    }
}

/// What the ladders of processes differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct Ladder {
    /// What asks it to end.
    first: StopSignal,
    /// How long one may finish what is under way.
    pub(in crate::supervise) patience: Duration,
    /// Whether it runs something of the app's at its end, and so gets SIGQUIT or SIGABRT before SIGKILL.
    warns: bool,
    /// How long it is waited for after SIGKILL, if something else follows then.
    stuck: Option<Duration>,
}

impl Ladder {
    /// Of a process that serves.
    pub(super) fn serving(patience: Duration) -> Ladder {
        Ladder { first: StopSignal::Terminate, patience, warns: true, stuck: None }
    }

    /// Of a process of the app's that finishes what it has, and runs nothing of ours at its end.
    pub(super) fn finishing(patience: Duration) -> Ladder {
        Ladder { patience, ..Ladder::IDLE }
    }

    /// Of a process with nothing to finish.
    pub(super) const IDLE: Ladder =
        Ladder { first: StopSignal::Terminate, patience: GRACE, warns: false, stuck: None };

    /// Of the process of gunicorn's hooks. Whatever ends everything else at once sends it SIGTERM, and `on_exit` is to run.
    pub(super) const HOOKS: Ladder =
        Ladder { first: StopSignal::EndInput, patience: HOOKS_GRACE, ..Ladder::IDLE };

    /// Of a migration, and of a command after a rollout: something is found out when it has ended, or cannot be.
    pub(in crate::supervise) const COMMAND: Ladder = Ladder { stuck: Some(STUCK), ..Ladder::IDLE };

    fn harder(self, signal: StopSignal) -> Option<StopSignal> {
        Some(match signal {
            StopSignal::Cancel => StopSignal::Interrupt,
            StopSignal::Interrupt => StopSignal::Terminate,
            StopSignal::Terminate if self.warns => StopSignal::Quit,
            StopSignal::Stacks if self.warns => StopSignal::Abort,
            StopSignal::Kill | StopSignal::EndBackends => return None,
            _ => StopSignal::Kill,
        })
    }

    fn patience_with(self, signal: StopSignal) -> Option<Duration> {
        match signal {
            StopSignal::Terminate | StopSignal::EndInput => Some(self.patience),
            StopSignal::Stacks => Some(STACKS_GRACE),
            StopSignal::Kill | StopSignal::EndBackends => self.stuck,
            _ => Some(GRACE),
        }
    }
}

/// The end of a process that has begun, and why; it is over when its exit is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::supervise) struct Ending<Why = Cause> {
    pub(in crate::supervise) cause: Why,
    /// The last signal, or the one that it stands on if none was sent.
    pub(in crate::supervise) signal: StopSignal,
    /// Since when it stands on this one.
    pub(in crate::supervise) since: Moment,
    /// When the patience with this signal is over.
    pub(in crate::supervise) next: Option<Moment>,
}

/// What the patience with a signal that is over leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Climb {
    /// The next one is due.
    To(StopSignal),
    /// There is none, and the process is still there.
    GivenUp,
}

impl Ending {
    /// The first signal is due.
    pub(in crate::supervise) fn begun(now: Moment, cause: Cause, ladder: Ladder) -> Ending {
        let hangs =
            matches!(cause, Cause::Hung | Cause::RequestTimeout | Cause::BootTimeout | Cause::HookTimeout);
        let first = if hangs { StopSignal::Stacks } else { ladder.first };
        Ending::at(now, cause, first, ladder)
    }

    /// It has said itself that it failed, and no signal disturbs it at first.
    pub(in crate::supervise) fn by_itself(now: Moment) -> Ending {
        let (cause, next) = (Cause::Failed, Some(now + FAILED_GRACE));
        Ending { cause, signal: StopSignal::Quit, since: now, next }
    }

    /// The last signal is due at once.
    pub(in crate::supervise) fn killed(now: Moment, cause: Cause) -> Ending {
        Ending { cause, signal: StopSignal::Kill, since: now, next: None }
    }
}

impl<Why> Ending<Why> {
    /// This signal is due first.
    pub(in crate::supervise) fn at(
        now: Moment,
        cause: Why,
        signal: StopSignal,
        ladder: Ladder,
    ) -> Ending<Why> {
        Ending { cause, signal, since: now, next: ladder.patience_with(signal).map(|it| now + it) }
    }

    /// What follows, if the patience with the present signal is over.
    pub(in crate::supervise) fn climb(&mut self, now: Moment, ladder: Ladder) -> Option<Climb> {
        if self.next.is_none_or(|due| now < due) {
            return None;
        }
        let Some(harder) = ladder.harder(self.signal) else { return Some(Climb::GivenUp) };
        self.go_on(now, harder, ladder);
        Some(Climb::To(harder))
    }

    /// Goes on with this signal, which is due.
    pub(in crate::supervise) fn go_on(&mut self, now: Moment, signal: StopSignal, ladder: Ladder) {
        (self.signal, self.since) = (signal, now);
        self.next = ladder.patience_with(signal).map(|it| now + it);
    }

    /// Its patience ends at `due`, if it would not sooner.
    pub(in crate::supervise) fn hasten(&mut self, due: Moment) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }

    /// Whether it finishes what it has.
    pub(in crate::supervise) fn drains(&self) -> bool {
        self.signal == StopSignal::Terminate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signals of an end, each with the milliseconds after which it is sent, and when it is given up.
    fn signals<Why>(mut ending: Ending<Why>, ladder: Ladder, sent: bool) -> Vec<(u128, Climb)> {
        let mut signals: Vec<_> = sent.then_some((0, Climb::To(ending.signal))).into_iter().collect();
        while let Some(due) = ending.next {
            let before = Moment::at(due.since_origin() - Duration::from_millis(1));
            assert_eq!(ending.climb(before, ladder), None, "too soon");
            let climb = ending.climb(due, ladder).expect("the patience is over");
            signals.push((due.since_origin().as_millis(), climb));
            if climb == Climb::GivenUp {
                break;
            }
        }
        signals
    }

    #[test]
    fn each_end_climbs_to_sigkill_in_its_time() {
        use Climb::{GivenUp, To};
        use StopSignal::*;
        let (worker, other) = (Ladder::serving(Duration::from_secs(30)), Ladder::IDLE);
        let begun = |cause, ladder| signals(Ending::begun(Moment::ZERO, cause, ladder), ladder, true);
        assert_eq!(
            begun(Cause::Rollout, worker),
            [(0, To(Terminate)), (30_000, To(Quit)), (32_000, To(Kill))]
        );
        assert_eq!(begun(Cause::Rollout, other), [(0, To(Terminate)), (2_000, To(Kill))]);
        assert_eq!(begun(Cause::Rollout, Ladder::HOOKS), [(0, To(EndInput)), (5_000, To(Kill))]);
        assert_eq!(begun(Cause::HookTimeout, Ladder::HOOKS), [(0, To(Stacks)), (500, To(Kill))]);
        assert_eq!(begun(Cause::Hung, worker), [(0, To(Stacks)), (500, To(Abort)), (2_500, To(Kill))]);
        assert_eq!(begun(Cause::BootTimeout, other), [(0, To(Stacks)), (500, To(Kill))]);
        assert_eq!(signals(Ending::by_itself(Moment::ZERO), worker, false), [(3_000, To(Kill))]);
        assert_eq!(signals(Ending::killed(Moment::ZERO, Cause::Stop), worker, true), [(0, To(Kill))]);
        let command = signals(Ending::at(Moment::ZERO, (), Cancel, Ladder::COMMAND), Ladder::COMMAND, true);
        let steps = [(0, To(Cancel)), (2_000, To(Interrupt)), (4_000, To(Terminate)), (6_000, To(Kill))];
        assert_eq!(command, [&steps[..], &[(16_000, GivenUp)]].concat());
    }
}
