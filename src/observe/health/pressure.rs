//! Whether an app has more to do than it can, and whether that lasts. Pure.

use std::time::Duration;

use crate::config::{agreed, counted};
use crate::observe::AppStatus;
use crate::supervise::WorkerState;

/// So long an app must be pressed, or free again, before that counts as lasting.
const LASTING: Duration = Duration::from_secs(10);

/// The listen queue counts as filling from this share of its length on: one in so many.
const FILLING: u32 = 10;

/// How pressed an app is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// It has time.
    #[default]
    None,
    /// It has none now.
    Now,
    /// It has had none for long.
    Lasting,
}

/// Follows the pressure of one app over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Gauge {
    pressed: bool,
    lasting: bool,
    /// Since when `pressed` differs from `lasting`.
    since: Option<Duration>,
}

impl Gauge {
    /// Takes a look at the time `now`, counted from anywhere.
    pub(super) fn look(&mut self, pressed: bool, now: Duration) {
        self.pressed = pressed;
        if pressed == self.lasting {
            self.since = None;
        } else if now.saturating_sub(*self.since.get_or_insert(now)) >= LASTING {
            self.lasting = pressed;
            self.since = None;
        }
    }

    pub(super) fn pressure(&self) -> Pressure {
        match (self.lasting, self.pressed) {
            (true, _) => Pressure::Lasting,
            (false, true) => Pressure::Now,
            (false, false) => Pressure::None,
        }
    }
}

/// Whether no worker has time, or connections pile up.
pub(super) fn is_pressed(app: &AppStatus) -> bool {
    all_busy(app) || queue_fills(app)
}

/// Whether no ready worker can take one more request.
pub(in crate::observe) fn all_busy(app: &AppStatus) -> bool {
    busy_percent(app) == Some(100)
}

/// Whether connections pile up.
pub(in crate::observe) fn queue_fills(app: &AppStatus) -> bool {
    let (Some(waiting), Some(most)) = (app.health.listen_queue, app.health.listen_backlog) else {
        return false;
    };
    waiting > 0 && waiting.saturating_mul(FILLING) >= most
}

/// The share of what the ready workers can take that is taken, 0 to 100; `None` where it is not known how much that is.
pub(super) fn busy_percent(app: &AppStatus) -> Option<u32> {
    let capacity = app.health.capacity.filter(|capacity| *capacity > 0)?;
    let ready = app.workers.iter().filter(|worker| worker.state == WorkerState::Ready);
    let (mut workers, mut taken) = (0_u64, 0_u64);
    for worker in ready {
        workers += 1;
        taken += u64::from(worker.in_flight.min(capacity));
    }
    (workers > 0).then(|| (taken * 100 / (workers * u64::from(capacity))) as u32)
}

/// What presses, in words.
pub(super) fn words(app: &AppStatus) -> String {
    match (all_busy(app), app.health.listen_queue) {
        (true, _) => "all workers are busy".to_owned(),
        (false, Some(waiting)) if queue_fills(app) => {
            format!("{} {} for a worker", counted(waiting, "connection"), agreed(waiting, "waits", "wait"))
        }
        _ => "it was saturated until just now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pressure_lasts_after_ten_seconds_and_is_over_after_ten_others() {
        let mut gauge = Gauge::default();
        gauge.look(true, s(5));
        assert_eq!(gauge.pressure(), Pressure::Now);
        gauge.look(true, s(14));
        assert_eq!(gauge.pressure(), Pressure::Now);
        gauge.look(true, s(15));
        assert_eq!(gauge.pressure(), Pressure::Lasting);
        gauge.look(false, s(16));
        gauge.look(false, s(25));
        assert_eq!(gauge.pressure(), Pressure::Lasting);
        gauge.look(false, s(26));
        assert_eq!(gauge.pressure(), Pressure::None);
    }

    #[test]
    fn a_pause_starts_the_count_anew() {
        let mut gauge = Gauge::default();
        gauge.look(true, s(0));
        gauge.look(false, s(9));
        gauge.look(true, s(10));
        gauge.look(true, s(19));
        assert_eq!(gauge.pressure(), Pressure::Now);
    }
}
