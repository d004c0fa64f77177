//! The ladder by which a command is ended: each rung harder than the one before, one escalation for each attempt.
//!
//! ```text
//! Cancel ─ 2 s ─► Interrupt ─ 2 s ─► Terminate ─ 2 s ─► Kill ─ 10 s ─► given up: nobody can tell what it does
//!    └──────────────────┴──────────────────┴──────────────┴─► CommandEnded ─► EndBackends
//! ```
//!
//! Its backends are ended only when no process is left: a client that is told of a lost connection may go on with the
//! next statement.

use std::time::Duration;

use super::super::time::Moment;
use super::fact::Look;
use super::order::{AbortReason, AbortRung};
use super::record::RungTaken;
use super::vendor::Vendor;

/// How long each rung but the last is given.
const PATIENCE: Duration = Duration::from_secs(2);
/// SIGKILL takes no longer, unless a process is stuck in a device.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// A command that is being ended.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    pub(super) reason: AbortReason,
    pub(super) rung: AbortRung,
    since: Moment,
}

/// What the patience with a rung that is over leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Climb {
    /// The next one is taken.
    To(AbortRung),
    /// There is none.
    GivenUp,
}

/// Where it begins. Cancelling reaches a backend at work only, and only where somebody watches; SQLite has no backend,
/// and Python does not see SIGINT while it waits in SQLite.
fn first_rung(vendor: Vendor, look: Option<&Look>) -> AbortRung {
    match (vendor, look) {
        (Vendor::Sqlite, _) => AbortRung::Terminate,
        (Vendor::Other, _) => AbortRung::Interrupt,
        (_, Some(look)) if look.backends > 0 && !look.idle_in_transaction => AbortRung::Cancel,
        _ => AbortRung::Interrupt,
    }
}

impl Ladder {
    /// On its first rung. `look` is the last one, where somebody watches.
    pub(super) fn begun(now: Moment, reason: AbortReason, vendor: Vendor, look: Option<&Look>) -> Ladder {
        Ladder { reason, rung: first_rung(vendor, look), since: now }
    }

    pub(super) fn due(&self) -> Moment {
        self.since + if self.rung == AbortRung::Kill { LAST_PATIENCE } else { PATIENCE }
    }

    /// What follows where the patience with this rung is over.
    pub(super) fn climb(&mut self, now: Moment) -> Option<(RungTaken, Climb)> {
        if now < self.due() {
            return None;
        }
        let higher = match self.rung {
            AbortRung::Cancel => AbortRung::Interrupt,
            AbortRung::Interrupt => AbortRung::Terminate,
            AbortRung::Terminate => AbortRung::Kill,
            AbortRung::Kill | AbortRung::EndBackends => return Some((self.taken(now), Climb::GivenUp)),
        };
        Some((self.step_to(now, higher), Climb::To(higher)))
    }

    /// Goes on at once, where it is known that `Cancel` does nothing.
    pub(super) fn cancelled_nobody(&mut self, now: Moment) -> Option<RungTaken> {
        (self.rung == AbortRung::Cancel).then(|| self.step_to(now, AbortRung::Interrupt))
    }

    /// Goes straight to SIGKILL.
    pub(super) fn kill(&mut self, now: Moment) -> Option<RungTaken> {
        (self.rung < AbortRung::Kill).then(|| self.step_to(now, AbortRung::Kill))
    }

    /// The present rung, as it is over.
    pub(super) fn taken(&self, now: Moment) -> RungTaken {
        RungTaken { rung: self.rung, seconds: now.since(self.since).as_secs_f64() }
    }

    fn step_to(&mut self, now: Moment, rung: AbortRung) -> RungTaken {
        let taken = self.taken(now);
        (self.rung, self.since) = (rung, now);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn look(backends: u32, idle_in_transaction: bool) -> Look {
        Look { backends, idle_in_transaction, ..Look::default() }
    }

    #[test]
    fn it_begins_where_something_can_come_of_it() {
        use AbortRung::{Cancel, Interrupt, Terminate};
        let of = |vendor, look: Option<Look>| first_rung(vendor, look.as_ref());
        assert_eq!(of(Vendor::Postgresql, Some(look(1, false))), Cancel);
        assert_eq!(of(Vendor::Mysql, Some(look(2, false))), Cancel);
        assert_eq!(of(Vendor::Postgresql, Some(look(1, true))), Interrupt);
        assert_eq!(of(Vendor::Postgresql, Some(look(0, false))), Interrupt);
        assert_eq!(of(Vendor::Postgresql, None), Interrupt);
        assert_eq!(of(Vendor::Other, Some(look(1, false))), Interrupt);
        assert_eq!(of(Vendor::Sqlite, Some(look(1, false))), Terminate);
    }

    #[test]
    fn every_rung_has_its_time_and_the_last_is_given_up() {
        let reason = AbortReason::Asked;
        let mut ladder = Ladder::begun(at(100), reason, Vendor::Postgresql, Some(&look(1, false)));
        assert_eq!(ladder.climb(at(101)), None);
        let mut climbed = Vec::new();
        for now in [102, 104, 106, 116] {
            let (taken, climb) = ladder.climb(at(now)).expect("its time is over");
            climbed.push((taken.rung, taken.seconds, climb));
        }
        use AbortRung::{Cancel, Interrupt, Kill, Terminate};
        let expected = [
            (Cancel, 2.0, Climb::To(Interrupt)),
            (Interrupt, 2.0, Climb::To(Terminate)),
            (Terminate, 2.0, Climb::To(Kill)),
            (Kill, 10.0, Climb::GivenUp),
        ];
        assert_eq!(climbed, expected);
    }

    #[test]
    fn killing_skips_rungs_and_happens_once() {
        let mut ladder = Ladder::begun(at(1), AbortReason::Stopping, Vendor::Other, None);
        assert_eq!(ladder.kill(at(2)).map(|it| it.rung), Some(AbortRung::Interrupt));
        assert_eq!(ladder.kill(at(3)), None);
        assert_eq!(ladder.cancelled_nobody(at(3)), None);
    }
}
