//! One process's life, whatever its role.
//!
//! ```text
//!            hold: true                settle
//! Booting ───────────────► Held ──────────────► Booting (admitted)
//!    │                                              │
//!    └──────────────── first heartbeat ◄────────────┘
//!                            │
//!                          Ready
//!                            │  asked to end, hung, too slow to boot, failed by its own word
//!                            ▼
//!                          Ending: up the ladder of its role
//! ```
//!
//! A process is gone only when its exit is reported. It is *live* while it is not ending.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::boot::Boot;
use super::cause::Cause;
use super::ladder::{Climb, Ending, StopSignal};
use super::role::Role;
use crate::plan::Policy;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::process_fact::{LastWords, Observation};
use crate::supervise::time::Moment;
use crate::supervise::view::{ProcessView, WorkerState};

/// What a worker gives its idle connections once it has heard that its app stops.
const STOP_LINGER: Duration = Duration::from_secs(2);

/// A process of an app. What the next ostlerd finds out by itself is not written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(in crate::supervise) id: ProcessId,
    pub(in crate::supervise) role: Role,
    pub(in crate::supervise) generation: GenerationId,
    pub(in crate::supervise) started: Moment,
    pub(in crate::supervise) life: Life,
    /// Recycle after so many requests; 0 is never.
    pub(in crate::supervise) most_requests: u64,
    #[serde(skip)]
    pub(in crate::supervise) seen: Observation,
    #[serde(skip)]
    pub(in crate::supervise) words: LastWords,
    /// Whether it is to be forked and no process of it is known yet. What has not been forked when its ostlerd ends never is.
    #[serde(skip)]
    pub(in crate::supervise) forking: bool,
    /// Where it stands, while it boots.
    #[serde(skip)]
    pub(in crate::supervise) boot: Boot,
    /// Why it should be replaced when there is room, once that is so.
    #[serde(skip)]
    pub(in crate::supervise) due: Option<Cause>,
    /// Whether it has been told that its app stops. Told again, it does nothing.
    #[serde(skip)]
    pub(in crate::supervise) hurried: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::supervise) enum Life {
    Booting {
        hold: bool,
        until: Moment,
    },
    Held {
        until: Moment,
    },
    Ready,
    Ending {
        was_ready: bool,
        #[serde(flatten)]
        ending: Ending,
    },
}

impl Process {
    /// One that is being started.
    pub(in crate::supervise) fn booting(
        (id, role): (ProcessId, Role),
        generation: GenerationId,
        (now, hold): (Moment, bool),
        policy: &Policy,
    ) -> Process {
        let life = match role.proves() {
            true => Life::Booting { hold, until: now + policy.rollout.boot_timeout },
            false => Life::Ready,
        };
        Process {
            id,
            role,
            generation,
            started: now,
            life,
            most_requests: 0,
            seen: Observation::default(),
            words: LastWords::default(),
            forking: false,
            boot: Boot::default(),
            due: None,
            hurried: false,
        }
    }

    pub(in crate::supervise) fn is_live(&self) -> bool {
        !matches!(self.life, Life::Ending { .. })
    }

    pub(in crate::supervise) fn is_ready(&self) -> bool {
        self.life == Life::Ready
    }

    fn was_ready(&self) -> bool {
        self.is_ready() || matches!(self.life, Life::Ending { was_ready: true, .. })
    }

    /// Whether it has served and finishes what it has.
    fn is_draining(&self) -> bool {
        matches!(&self.life, Life::Ending { was_ready: true, ending } if ending.drains())
    }

    /// Begins its end; returns the first signal. A process that is ending already goes on as it was, unless it drains and
    /// a request in it has become too old.
    pub(in crate::supervise) fn end(
        &mut self,
        now: Moment,
        cause: Cause,
        policy: &Policy,
    ) -> Option<StopSignal> {
        let may_climb = self.is_draining() && cause == Cause::RequestTimeout;
        if !self.is_live() && !may_climb {
            return None;
        }
        let ending = Ending::begun(now, cause, self.role.ladder(policy));
        let signal = ending.signal;
        self.life = Life::Ending { was_ready: self.was_ready(), ending };
        Some(signal)
    }

    /// It says that it cannot do its work, and so ends by itself. Whether that is news.
    pub(in crate::supervise) fn failed(&mut self, now: Moment) -> bool {
        if !self.is_live() || self.is_ready() {
            return false;
        }
        self.life = Life::Ending { was_ready: false, ending: Ending::by_itself(now) };
        true
    }

    /// Goes straight to the last signal.
    pub(in crate::supervise) fn kill(&mut self, now: Moment, cause: Cause) -> Option<StopSignal> {
        if matches!(&self.life, Life::Ending { ending, .. } if ending.signal == StopSignal::Kill) {
            return None;
        }
        self.life = Life::Ending { was_ready: self.was_ready(), ending: Ending::killed(now, cause) };
        Some(StopSignal::Kill)
    }

    /// The next signal, if the patience with the present one is over.
    pub(in crate::supervise) fn climb(&mut self, now: Moment, policy: &Policy) -> Option<StopSignal> {
        let ladder = self.role.ladder(policy);
        let Life::Ending { ending, .. } = &mut self.life else { return None };
        match ending.climb(now, ladder)? {
            Climb::To(signal) => Some(signal),
            Climb::GivenUp => None,
        }
    }

    /// Its app stops: it drains for what is under way, and no longer for its keep-alive. True the first time.
    pub(in crate::supervise) fn hurry(&mut self, now: Moment, policy: &Policy) -> bool {
        let Life::Ending { ending, .. } = &mut self.life else { return false };
        if !ending.drains() {
            return false;
        }
        let shorter = policy.keepalive.saturating_sub(STOP_LINGER);
        ending.hasten(now + policy.drain_timeout.saturating_sub(shorter));
        !std::mem::replace(&mut self.hurried, true)
    }

    /// Takes a look into account. A worker drained of requests need not be waited for if `quiet_drain` says so: a sync
    /// worker that drains can be stuck reading from a client that never sends anything.
    pub(in crate::supervise) fn observe(&mut self, now: Moment, seen: Observation, policy: &Policy) {
        self.seen = Observation { rss: seen.rss.or(self.seen.rss), ..seen };
        let Life::Ending { ending, .. } = &mut self.life else { return };
        if let Some(quiet) = policy.quiet_drain
            && ending.drains()
            && self.role.serves()
            && seen.in_flight == 0
            && now.since(ending.since) >= quiet
        {
            ending.next = Some(now);
        }
    }

    /// Why it must be ended as hung, if it must.
    pub(in crate::supervise) fn hang(&self, policy: &Policy) -> Option<(Cause, Duration)> {
        if !self.role.proves() || !self.is_ready() && !self.is_draining() {
            return None;
        }
        // A process that drains need not beat.
        let silent = self.is_ready() && policy.hang_timeout.is_some_and(|limit| self.seen.beat_age > limit);
        if silent {
            return Some((Cause::Hung, self.seen.beat_age));
        }
        let oldest = self.seen.oldest_request.filter(|_| self.role.serves())?;
        policy.request_timeout.is_some_and(|limit| oldest > limit).then_some((Cause::RequestTimeout, oldest))
    }

    /// Notes whether it should be replaced.
    pub(in crate::supervise) fn age(&mut self, now: Moment, policy: &Policy) {
        self.due = if self.is_ready() { self.wear(now, policy) } else { None };
    }

    fn wear(&self, now: Moment, policy: &Policy) -> Option<Cause> {
        if self.most_requests > 0 && self.seen.requests >= self.most_requests {
            return Some(Cause::MaxRequests);
        }
        if self.oldest_age(policy).is_some_and(|limit| now.since(self.started) >= limit) {
            return Some(Cause::MaxAge);
        }
        let rss = self.seen.rss?;
        policy.max_rss.is_some_and(|limit| rss > limit).then_some(Cause::MaxRss)
    }

    /// How old it may become.
    fn oldest_age(&self, policy: &Policy) -> Option<Duration> {
        policy.max_age.filter(|_| self.role.serves())
    }

    /// The next moment at which something about it changes by time alone.
    pub(in crate::supervise) fn deadline(&self, policy: &Policy) -> Option<Moment> {
        match &self.life {
            Life::Booting { until, .. } => {
                Some(self.boot.look(*until, policy.rollout.boot_timeout).unwrap_or(*until))
            }
            Life::Held { until } => Some(*until),
            Life::Ready if self.due.is_none() => self.oldest_age(policy).map(|limit| self.started + limit),
            Life::Ready => None,
            Life::Ending { ending, .. } => ending.next,
        }
    }

    /// How long it may stay for idle connections, where it stays for nothing else.
    fn keeps_idle(&self, policy: &Policy) -> Option<Duration> {
        let stays = self.is_draining() && self.seen.in_flight == 0 && policy.quiet_drain.is_none();
        stays.then_some(if self.hurried { policy.keepalive.min(STOP_LINGER) } else { policy.keepalive })
    }

    pub(in crate::supervise) fn view(&self, now: Moment, policy: Option<&Policy>) -> ProcessView {
        ProcessView {
            id: self.id,
            role: self.role.clone(),
            generation: self.generation,
            state: match &self.life {
                Life::Booting { .. } => WorkerState::Booting,
                Life::Held { .. } => WorkerState::Held,
                Life::Ready => WorkerState::Ready,
                Life::Ending { ending, .. } if ending.drains() => WorkerState::Draining,
                Life::Ending { .. } => WorkerState::Ending,
            },
            age: now.since(self.started),
            requests: self.seen.requests,
            in_flight: self.seen.in_flight,
            oldest_request: self.seen.oldest_request,
            rss: self.seen.rss,
            keeps_idle: policy.and_then(|policy| self.keeps_idle(policy)),
        }
    }
}
