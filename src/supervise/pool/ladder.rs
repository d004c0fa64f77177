//! The ladder by which a process is ended, whatever its role: one signal after the other, each harder than the one before.
//!
//! ```text
//! asked to end:          Drain  ─ the role's patience ─► Quit  ─ LAST_GRACE ─► Kill
//! hung, too slow:        Stacks ─ STACKS_GRACE ────────► Abort ─ LAST_GRACE ─► Kill
//! says that it failed:   nothing, it ends by itself ── FAILED_GRACE ─────────► Kill
//! ```
//!
//! A process with nothing to run at its end is killed at once instead of the second signal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::supervise::news::Cause;
use crate::supervise::time::Moment;

/// From the order to write the stacks to the next signal: long enough for `faulthandler` to write them.
const STACKS_GRACE: Duration = Duration::from_millis(500);
/// From SIGABRT or SIGQUIT to SIGKILL: time for the app's hooks.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// From a process's own word that it has failed to SIGKILL: time to report to where the app reports errors.
const FAILED_GRACE: Duration = Duration::from_secs(3);

/// The signals that end a process, each harder than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StopSignal {
    /// Finish what is under way, then exit (SIGTERM).
    Drain,
    /// Write the stacks of all threads to the log (SIGRTMIN+5).
    Stacks,
    /// End now, but tidily (SIGQUIT).
    Quit,
    /// End with the hook for hung workers (SIGABRT).
    Abort,
    /// End (SIGKILL), the process group with it.
    Kill,
}

/// How the processes of a role are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct Ladder {
    /// How long one may finish what is under way.
    pub(in crate::supervise) patience: Duration,
    /// Whether it runs something of the app's at its end, and so gets SIGQUIT or SIGABRT before SIGKILL.
    pub(in crate::supervise) warns: bool,
}

/// The end of a process that has begun; it is over when its exit is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::supervise) struct Ending {
    pub(in crate::supervise) cause: Cause,
    pub(in crate::supervise) was_ready: bool,
    /// The last signal, or the one that it stands on if none was sent.
    pub(in crate::supervise) signal: StopSignal,
    pub(in crate::supervise) since: Moment,
    /// When the patience with this signal is over.
    pub(in crate::supervise) next: Option<Moment>,
}

impl Ending {
    /// The first signal is due.
    pub(in crate::supervise) fn begun(now: Moment, cause: Cause, was_ready: bool, ladder: Ladder) -> Ending {
        let (signal, patience) = match cause {
            Cause::Hung | Cause::RequestTimeout | Cause::BootTimeout => (StopSignal::Stacks, STACKS_GRACE),
            _ => (StopSignal::Drain, ladder.patience),
        };
        Ending { cause, was_ready, signal, since: now, next: Some(now + patience) }
    }

    /// It has said itself that it failed, and no signal disturbs it at first.
    pub(in crate::supervise) fn by_itself(now: Moment) -> Ending {
        let (cause, next) = (Cause::Failed, Some(now + FAILED_GRACE));
        Ending { cause, was_ready: false, signal: StopSignal::Quit, since: now, next }
    }

    /// The last signal is due at once.
    pub(in crate::supervise) fn killed(now: Moment, cause: Cause, was_ready: bool) -> Ending {
        Ending { cause, was_ready, signal: StopSignal::Kill, since: now, next: None }
    }

    /// The next signal, if the patience with the present one is over.
    pub(in crate::supervise) fn climb(&mut self, now: Moment, ladder: Ladder) -> Option<StopSignal> {
        if self.next.is_none_or(|due| now < due) {
            return None;
        }
        let (harder, patience) = match self.signal {
            StopSignal::Drain if ladder.warns => (StopSignal::Quit, Some(LAST_GRACE)),
            StopSignal::Stacks if ladder.warns => (StopSignal::Abort, Some(LAST_GRACE)),
            StopSignal::Kill => return None,
            _ => (StopSignal::Kill, None),
        };
        self.signal = harder;
        self.next = patience.map(|grace| now + grace);
        Some(harder)
    }

    /// Its patience ends at `due`, if it would not sooner.
    pub(in crate::supervise) fn hasten(&mut self, due: Moment) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }

    /// Whether it finishes what it has.
    pub(in crate::supervise) fn drains(&self) -> bool {
        self.signal == StopSignal::Drain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARNED: Ladder = Ladder { patience: Duration::from_secs(30), warns: true };
    const UNWARNED: Ladder = Ladder { patience: Duration::from_secs(2), warns: false };

    /// The signals of an end, each with the milliseconds after which it is sent.
    fn signals(mut ending: Ending, ladder: Ladder, sent: bool) -> Vec<(u128, StopSignal)> {
        let mut signals: Vec<_> = sent.then_some((0, ending.signal)).into_iter().collect();
        while let Some(due) = ending.next {
            signals.extend(ending.climb(due, ladder).map(|signal| (due.since_origin().as_millis(), signal)));
        }
        signals
    }

    #[test]
    fn each_end_climbs_to_sigkill_in_its_time() {
        use StopSignal::*;
        let begun = |cause, ladder| signals(Ending::begun(Moment::ZERO, cause, true, ladder), ladder, true);
        assert_eq!(begun(Cause::Rollout, WARNED), [(0, Drain), (30_000, Quit), (32_000, Kill)]);
        assert_eq!(begun(Cause::Rollout, UNWARNED), [(0, Drain), (2_000, Kill)]);
        assert_eq!(begun(Cause::Hung, WARNED), [(0, Stacks), (500, Abort), (2_500, Kill)]);
        assert_eq!(begun(Cause::BootTimeout, UNWARNED), [(0, Stacks), (500, Kill)]);
        assert_eq!(signals(Ending::by_itself(Moment::ZERO), WARNED, false), [(3_000, Kill)]);
        assert_eq!(signals(Ending::killed(Moment::ZERO, Cause::Stop, true), WARNED, true), [(0, Kill)]);
    }
}
