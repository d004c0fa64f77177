//! One worker's life, and the ladder by which it is ended.
//!
//! ```text
//!            hold: true                settle
//! Booting ───────────────► Held ──────────────► Booting (admitted)
//!    │                                              │
//!    └──────────────── first heartbeat ◄────────────┘
//!                            │
//!                          Ready
//!                            │  asked to drain, hung, too slow to boot
//!                            ▼
//!                          Ending:  Drain  ─ drain_timeout ─► Quit  ─► Kill
//!                                   Stacks ─ STACKS_GRACE ──► Abort ─► Kill
//!                                   said that it failed ─ FAILED_GRACE ► Kill
//! ```
//!
//! A worker is gone only when its exit is reported. It is *live* while it is not ending.

use std::time::Duration;

use crate::plan::Policy;

use super::action::Rung;
use super::boot::Boot;
use super::event::{GenerationId, LastWords, Observation, WorkerId};
use super::news::Cause;
use super::time::Moment;
use super::view::{WorkerState, WorkerView};

/// From the order to write the stacks to SIGABRT: long enough for `faulthandler` to write them.
const STACKS_GRACE: Duration = Duration::from_millis(500);
/// From SIGABRT or SIGQUIT to SIGKILL: time for the app's hooks.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// What a worker gives its idle connections once it has heard that its app stops.
const STOP_LINGER: Duration = Duration::from_secs(2);
/// From a worker's own word that it has failed to SIGKILL: time to report to where the app reports errors.
pub(super) const FAILED_GRACE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) generation: GenerationId,
    pub(super) spawned: Moment,
    pub(super) life: Life,
    pub(super) seen: Observation,
    pub(super) words: LastWords,
    /// Recycle after so many requests; 0 is never.
    pub(super) most_requests: u64,
    /// Whether it is to be forked and no process of it is known yet.
    pub(super) unborn: bool,
    /// Where it stands, while it boots.
    pub(super) boot: Boot,
    /// Why it should be replaced when there is room, once that is so.
    pub(super) due: Option<Cause>,
    /// Whether it has been told that its app stops.
    pub(super) hurried: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Life {
    Booting { hold: bool, until: Moment },
    Held { until: Moment },
    Ready,
    Ending { cause: Cause, was_ready: bool, rung: Rung, since: Moment, next: Option<Moment> },
}

impl Worker {
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.life, Life::Ending { .. })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.life == Life::Ready
    }

    /// Whether it has served and finishes what it has.
    fn is_draining(&self) -> bool {
        matches!(self.life, Life::Ending { rung: Rung::Drain, was_ready: true, .. })
    }

    /// Begins its end; returns the first rung. A worker that is ending already goes on as it was, unless it drains and
    /// a request in it has become too old.
    pub(super) fn end(&mut self, now: Moment, cause: Cause, policy: &Policy) -> Option<Rung> {
        let may_climb = self.is_draining() && cause == Cause::RequestTimeout;
        if !self.is_live() && !may_climb {
            return None;
        }
        let (rung, patience) = match cause {
            Cause::Hung | Cause::RequestTimeout | Cause::BootTimeout => (Rung::Stacks, STACKS_GRACE),
            _ => (Rung::Drain, policy.drain_timeout),
        };
        let was_ready = self.is_ready() || matches!(self.life, Life::Ending { was_ready: true, .. });
        self.life = Life::Ending { cause, was_ready, rung, since: now, next: Some(now + patience) };
        Some(rung)
    }

    /// It says that it cannot serve, and so ends by itself; no signal disturbs it. Whether that is news.
    pub(super) fn failed(&mut self, now: Moment) -> bool {
        if !self.is_live() || self.is_ready() {
            return false;
        }
        let (cause, next) = (Cause::Failed, Some(now + FAILED_GRACE));
        self.life = Life::Ending { cause, was_ready: false, rung: Rung::Quit, since: now, next };
        true
    }

    /// Goes straight to the last rung.
    pub(super) fn kill(&mut self, now: Moment, cause: Cause) -> Option<Rung> {
        let was_ready = match self.life {
            Life::Ending { rung: Rung::Kill, .. } => return None,
            Life::Ending { was_ready, .. } => was_ready,
            _ => self.is_ready(),
        };
        self.life = Life::Ending { cause, was_ready, rung: Rung::Kill, since: now, next: None };
        Some(Rung::Kill)
    }

    /// The next rung, where the patience with the present one is over.
    pub(super) fn climb(&mut self, now: Moment) -> Option<Rung> {
        let Life::Ending { rung, next, .. } = &mut self.life else { return None };
        if next.is_none_or(|due| now < due) {
            return None;
        }
        let (higher, patience) = match rung {
            Rung::Drain => (Rung::Quit, Some(LAST_GRACE)),
            Rung::Stacks => (Rung::Abort, Some(LAST_GRACE)),
            Rung::Quit | Rung::Abort => (Rung::Kill, None),
            Rung::Kill => return None,
        };
        *rung = higher;
        *next = patience.map(|grace| now + grace);
        Some(higher)
    }

    /// Its app stops: it drains for what is under way, and no longer for its keep-alive. True the first time.
    pub(super) fn hurry(&mut self, now: Moment, policy: &Policy) -> bool {
        let Life::Ending { rung: Rung::Drain, next, .. } = &mut self.life else { return false };
        let shorter = policy.keepalive.saturating_sub(STOP_LINGER);
        let due = now + policy.drain_timeout.saturating_sub(shorter);
        *next = Some(next.map_or(due, |next| next.min(due)));
        !std::mem::replace(&mut self.hurried, true)
    }

    /// Takes a look into account. A worker drained of requests need not be waited for where `quiet_drain` says so:
    /// a sync worker that drains can be stuck reading from a client that never sends anything.
    pub(super) fn observe(&mut self, now: Moment, seen: Observation, policy: &Policy) {
        self.seen = Observation { rss: seen.rss.or(self.seen.rss), ..seen };
        let Life::Ending { rung: Rung::Drain, since, next, .. } = &mut self.life else { return };
        if let Some(quiet) = policy.quiet_drain
            && seen.in_flight == 0
            && now.since(*since) >= quiet
        {
            *next = Some(now);
        }
    }

    /// Why it must be ended as hung, if it must.
    pub(super) fn hang(&self, policy: &Policy) -> Option<(Cause, Duration)> {
        if !self.is_ready() && !self.is_draining() {
            return None;
        }
        // A worker that drains need not beat.
        let silent = self.is_ready() && policy.hang_timeout.is_some_and(|limit| self.seen.beat_age > limit);
        if silent {
            return Some((Cause::Hung, self.seen.beat_age));
        }
        let oldest = self.seen.oldest_request?;
        policy.request_timeout.is_some_and(|limit| oldest > limit).then_some((Cause::RequestTimeout, oldest))
    }

    /// Notes whether it should be replaced.
    pub(super) fn age(&mut self, now: Moment, policy: &Policy) {
        self.due = if self.is_ready() { self.wear(now, policy) } else { None };
    }

    fn wear(&self, now: Moment, policy: &Policy) -> Option<Cause> {
        if self.most_requests > 0 && self.seen.requests >= self.most_requests {
            return Some(Cause::MaxRequests);
        }
        if policy.max_age.is_some_and(|limit| now.since(self.spawned) >= limit) {
            return Some(Cause::MaxAge);
        }
        let rss = self.seen.rss?;
        policy.max_rss.is_some_and(|limit| rss > limit).then_some(Cause::MaxRss)
    }

    /// The next moment at which something about it changes by time alone.
    pub(super) fn deadline(&self, policy: &Policy) -> Option<Moment> {
        match &self.life {
            Life::Booting { until, .. } => {
                Some(self.boot.look(*until, policy.rollout.boot_timeout).unwrap_or(*until))
            }
            Life::Held { until } => Some(*until),
            Life::Ready if self.due.is_none() => policy.max_age.map(|limit| self.spawned + limit),
            Life::Ready => None,
            Life::Ending { next, .. } => *next,
        }
    }

    /// How long it may stay for idle connections, where it stays for nothing else.
    fn keeps_idle(&self, policy: &Policy) -> Option<Duration> {
        let drains = matches!(self.life, Life::Ending { rung: Rung::Drain, was_ready: true, .. });
        let stays = drains && self.seen.in_flight == 0 && policy.quiet_drain.is_none();
        stays.then_some(if self.hurried { policy.keepalive.min(STOP_LINGER) } else { policy.keepalive })
    }

    pub(super) fn view(&self, now: Moment, policy: Option<&Policy>) -> WorkerView {
        WorkerView {
            id: self.id,
            generation: self.generation,
            state: match &self.life {
                Life::Booting { .. } => WorkerState::Booting,
                Life::Held { .. } => WorkerState::Held,
                Life::Ready => WorkerState::Ready,
                Life::Ending { rung: Rung::Drain, .. } => WorkerState::Draining,
                Life::Ending { .. } => WorkerState::Ending,
            },
            age: now.since(self.spawned),
            requests: self.seen.requests,
            in_flight: self.seen.in_flight,
            oldest_request: self.seen.oldest_request,
            rss: self.seen.rss,
            keeps_idle: policy.and_then(|policy| self.keeps_idle(policy)),
        }
    }
}
