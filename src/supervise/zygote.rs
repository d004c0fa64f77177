//! The process of a generation that has loaded the app, or gunicorn's settings, and from which its workers are forked.
//!
//! ```text
//!             first heartbeat                    asked to end, hung, too large,
//! Loading ─────────────────────► Ready ─────┐    too slow to load, needed no more
//!    │  boot_timeout, failed, exited        ├───────────────► Ending: Drain  ─ LAST_GRACE ──► Kill
//!    ▼                                      │                         Stacks ─ STACKS_GRACE ► Kill
//! a boot failure of its generation          ▼ exited
//!                                 gone; its workers serve on
//! ```
//!
//! One is started when a worker is to be started and there is none, and so is the one that takes the place of another
//! that has died. It is ended when its generation starts no more workers: the old one's at the commit. Until then the
//! old generation is filled up with the code that it was made from, whatever has become of the files.

use std::time::Duration;

use crate::plan::{Policy, Preload};

use super::action::{Action, Rung};
use super::app::{App, Generation, Mode, Turn};
use super::boot::Boot;
use super::event::{Exit, GenerationId, LastWords, Observation, Stand, WorkerId};
use super::loss::Lost;
use super::news::{Cause, Happening};
use super::time::Moment;
use super::view::ZygoteView;
use super::worker::FAILED_GRACE;

/// From the order to write the stacks to SIGKILL: long enough for `faulthandler` to write them.
const STACKS_GRACE: Duration = Duration::from_millis(500);
/// From SIGTERM to SIGKILL: it has nothing to finish.
const LAST_GRACE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Zygote {
    /// Processes have one series of names, whatever they are for.
    pub(super) id: WorkerId,
    pub(super) generation: GenerationId,
    pub(super) loads: Preload,
    pub(super) started: Moment,
    pub(super) life: ZygoteLife,
    pub(super) seen: Observation,
    pub(super) words: LastWords,
    pub(super) boot: Boot,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ZygoteLife {
    Loading { until: Moment },
    Ready,
    Ending { cause: Cause, rung: Rung, next: Option<Moment> },
}

impl Zygote {
    fn is_live(&self) -> bool {
        !matches!(self.life, ZygoteLife::Ending { .. })
    }

    /// Begins its end; returns the first rung. One that is ending already goes on as it was.
    fn end(&mut self, now: Moment, cause: Cause) -> Option<Rung> {
        if !self.is_live() {
            return None;
        }
        let (rung, patience) = match cause {
            Cause::Hung | Cause::BootTimeout => (Rung::Stacks, STACKS_GRACE),
            _ => (Rung::Drain, LAST_GRACE),
        };
        self.life = ZygoteLife::Ending { cause, rung, next: Some(now + patience) };
        Some(rung)
    }

    /// Goes straight to the last rung.
    fn kill(&mut self, cause: Cause) -> Option<Rung> {
        if matches!(self.life, ZygoteLife::Ending { rung: Rung::Kill, .. }) {
            return None;
        }
        self.life = ZygoteLife::Ending { cause, rung: Rung::Kill, next: None };
        Some(Rung::Kill)
    }

    /// Why it must be replaced before it forks again, if it must.
    fn wear(&self, policy: &Policy) -> Option<Cause> {
        if self.life != ZygoteLife::Ready {
            return None;
        }
        if policy.hang_timeout.is_some_and(|limit| self.seen.beat_age > limit) {
            return Some(Cause::Hung);
        }
        let rss = self.seen.rss?;
        policy.max_rss.is_some_and(|limit| rss > limit).then_some(Cause::MaxRss)
    }

    /// The next moment at which something about it changes by time alone.
    fn deadline(&self) -> Option<Moment> {
        match self.life {
            ZygoteLife::Loading { until } => {
                Some(self.boot.look(until, until.since(self.started)).unwrap_or(until))
            }
            ZygoteLife::Ready => None,
            ZygoteLife::Ending { next, .. } => next,
        }
    }
}

impl App {
    /// The zygote that forks the next worker of a generation, where the generation has one.
    pub(super) fn zygote_of(&self, generation: GenerationId) -> Option<WorkerId> {
        let its = self.zygotes.values().filter(|it| it.generation == generation);
        its.filter(|it| it.life == ZygoteLife::Ready).map(|it| it.id).next()
    }

    /// Whether a worker of this generation can be started now. Sees to it that it soon can: a zygote is started where
    /// one has to be and none is.
    pub(super) fn can_start(&mut self, turn: &mut Turn<'_>, generation: GenerationId) -> bool {
        let known = [self.serving.as_ref(), self.rollout.as_ref().map(|rollout| &rollout.generation)];
        let Some(found) = known.into_iter().flatten().find(|it| it.id == generation) else { return true };
        if found.blueprint.preload == Preload::Nothing || self.zygote_of(generation).is_some() {
            return true;
        }
        if self.zygotes.values().any(|it| it.generation == generation && it.is_live()) {
            return false;
        }
        let (blueprint, boot_timeout) = (found.blueprint.clone(), found.policy.rollout.boot_timeout);
        let workers = self.wanted(&found.policy);
        let replaces =
            self.serving.is_some() && self.rollout.as_ref().is_some_and(|it| it.generation.id == generation);
        *turn.next_worker += 1;
        let id = WorkerId(*turn.next_worker);
        let loads = blueprint.preload;
        let zygote = Zygote {
            id,
            generation,
            loads,
            started: turn.now,
            life: ZygoteLife::Loading { until: turn.now + boot_timeout },
            seen: Observation::default(),
            words: LastWords::default(),
            boot: Boot::default(),
        };
        self.zygotes.insert(id, zygote);
        turn.actions.push(Action::StartZygote { zygote: id, generation, blueprint, replaces, workers });
        self.announce(turn, Happening::ZygoteStarted { zygote: id, generation, loads });
        false
    }

    /// Ends zygotes of generations that start no more workers.
    pub(super) fn retire_zygotes(&mut self, turn: &mut Turn<'_>) {
        let running = self.mode == Mode::Running;
        let cause = if running { Cause::Rollout } else { Cause::Stop };
        for id in self.select_zygotes(|it| it.is_live()) {
            let generation = self.zygotes[&id].generation;
            if !running || !self.may_need_workers(generation) {
                self.end_zygote(turn, id, cause);
            }
        }
    }

    fn may_need_workers(&self, generation: GenerationId) -> bool {
        let rolling = self.rollout.as_ref();
        let serves = |it: &&Generation| it.id == generation;
        match rolling {
            Some(rollout) if rollout.is_rolling_back() => self.serving.as_ref().is_some_and(|it| serves(&it)),
            Some(rollout) => {
                let old = self.serving.as_ref().filter(serves);
                rollout.generation.id == generation || old.is_some_and(|it| it.served)
            }
            None => self.serving.as_ref().is_some_and(|it| serves(&it)),
        }
    }

    pub(super) fn zygote_ready(&mut self, turn: &mut Turn<'_>, id: WorkerId) {
        let Some(zygote) = self.zygotes.get_mut(&id) else { return };
        if !matches!(zygote.life, ZygoteLife::Loading { .. }) {
            return;
        }
        zygote.life = ZygoteLife::Ready;
        let (generation, loads, took) = (zygote.generation, zygote.loads, turn.now.since(zygote.started));
        self.announce(turn, Happening::ZygoteReady { zygote: id, generation, loads, took });
    }

    /// Where it stands, where it still loads.
    pub(super) fn zygote_stands(&mut self, turn: &mut Turn<'_>, id: WorkerId, stand: Stand) {
        let Some(zygote) = self.zygotes.get_mut(&id) else { return };
        if !matches!(zygote.life, ZygoteLife::Loading { .. }) {
            return;
        }
        let (generation, age) = (zygote.generation, turn.now.since(zygote.started));
        let (at, stacks) = (stand.at.clone(), stand.stacks.clone());
        if zygote.boot.stands(stand) {
            self.announce(turn, Happening::ZygoteWaits { zygote: id, generation, at, age, stacks });
        }
    }

    /// It says itself that it cannot load the app, and so ends by itself.
    pub(super) fn zygote_failed(&mut self, turn: &mut Turn<'_>, id: WorkerId, words: LastWords) {
        let Some(zygote) = self.zygotes.get_mut(&id) else { return };
        if !matches!(zygote.life, ZygoteLife::Loading { .. }) {
            zygote.words = words;
            return;
        }
        let next = Some(turn.now + FAILED_GRACE);
        zygote.life = ZygoteLife::Ending { cause: Cause::Failed, rung: Rung::Quit, next };
        let (generation, loads, spawned) = (zygote.generation, zygote.loads, zygote.started);
        let reason = words.message.clone();
        self.announce(turn, Happening::ZygoteDied { zygote: id, generation, loads, ready: false, reason });
        self.lost(turn, Lost { generation, spawned, was_ready: false, words });
    }

    /// It could not be started, or has ended, however.
    pub(super) fn zygote_gone(&mut self, turn: &mut Turn<'_>, id: WorkerId, why: Result<Exit, String>) {
        let Some(zygote) = self.zygotes.remove(&id) else { return };
        let Zygote { generation, loads, started, mut words, life, .. } = zygote;
        let told = match &why {
            Ok(exit) => exit.to_string(),
            Err(reason) => reason.clone(),
        };
        if let ZygoteLife::Ending { .. } = life {
            return self.announce(turn, Happening::ZygoteExited { zygote: id, generation, reason: told });
        }
        let ready = life == ZygoteLife::Ready;
        let reason = match words.message.as_str() {
            "" => told.clone(),
            message => format!("{told}: {message}"),
        };
        self.announce(turn, Happening::ZygoteDied { zygote: id, generation, loads, ready, reason });
        if !ready {
            if words.message.is_empty() {
                words.message = format!("zygote {id} could not load {}: {told}", loads.what());
            }
            self.lost(turn, Lost { generation, spawned: started, was_ready: false, words });
        }
    }

    pub(super) fn zygote_observed(&mut self, turn: &mut Turn<'_>, id: WorkerId, seen: Observation) {
        let Some(zygote) = self.zygotes.get_mut(&id) else { return };
        zygote.seen = Observation { rss: seen.rss.or(zygote.seen.rss), ..seen };
        let generation = zygote.generation;
        let Some(policy) = self.policy(generation).cloned() else { return };
        let calm = self.rollout.is_none() && self.serving.as_ref().is_some_and(|it| it.complete);
        match self.zygotes.get(&id).and_then(|it| it.wear(&policy)) {
            // Its successor is as large as it was itself at first: while workers are missing they are forked.
            Some(Cause::MaxRss) if !calm => {}
            Some(cause) => {
                if cause == Cause::Hung {
                    let age = seen.beat_age;
                    self.announce(turn, Happening::ZygoteHung { zygote: id, generation, cause, age });
                }
                self.end_zygote(turn, id, cause);
            }
            None => {}
        }
    }

    /// What time alone does to zygotes: patience that is over, loading that took too long.
    pub(super) fn expire_zygotes(&mut self, turn: &mut Turn<'_>) {
        for id in self.select_zygotes(|it| it.deadline().is_some_and(|due| due <= turn.now)) {
            let Some(zygote) = self.zygotes.get_mut(&id) else { continue };
            let (generation, loads, spawned) = (zygote.generation, zygote.loads, zygote.started);
            match zygote.life {
                ZygoteLife::Loading { until } if turn.now < until => {
                    if zygote.boot.asks(turn.now, until, until.since(spawned)) {
                        turn.actions.push(Action::AskWhere { worker: id });
                    }
                }
                ZygoteLife::Loading { .. } => {
                    let boot = zygote.boot.clone();
                    let (cause, age) = (Cause::BootTimeout, turn.now.since(spawned));
                    self.announce(turn, Happening::ZygoteHung { zygote: id, generation, cause, age });
                    self.end_zygote(turn, id, cause);
                    let limit = self.policy(generation).map(|it| it.rollout.boot_timeout).unwrap_or_default();
                    let message = format!(
                        "zygote {id} had not loaded {} within boot_timeout ({} s)",
                        loads.what(),
                        limit.as_secs_f64()
                    );
                    let words = boot.words(message);
                    self.lost(turn, Lost { generation, spawned, was_ready: false, words });
                }
                ZygoteLife::Ending { cause, .. } => {
                    let rung = zygote.kill(cause);
                    turn.actions.extend(rung.map(|rung| Action::SignalWorker { worker: id, rung }));
                }
                ZygoteLife::Ready => {}
            }
        }
    }

    /// A worker that was to be forked has not been: whatever its zygote does, it is none for another worker.
    pub(super) fn blame_zygote(&mut self, turn: &mut Turn<'_>, generation: GenerationId) {
        if let Some(id) = self.zygote_of(generation) {
            let (cause, age) = (Cause::Hung, turn.now.since(self.zygotes[&id].started));
            self.announce(turn, Happening::ZygoteHung { zygote: id, generation, cause, age });
            self.end_zygote(turn, id, cause);
        }
    }

    pub(super) fn end_zygote(&mut self, turn: &mut Turn<'_>, id: WorkerId, cause: Cause) {
        let Some(zygote) = self.zygotes.get_mut(&id) else { return };
        let generation = zygote.generation;
        let Some(rung) = zygote.end(turn.now, cause) else { return };
        self.announce(turn, Happening::ZygoteEnding { zygote: id, generation, cause });
        turn.actions.push(Action::SignalWorker { worker: id, rung });
    }

    /// Goes straight to the last rung with all of them.
    pub(super) fn kill_zygotes(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        for zygote in self.zygotes.values_mut() {
            let rung = zygote.kill(cause);
            turn.actions.extend(rung.map(|rung| Action::SignalWorker { worker: zygote.id, rung }));
        }
    }

    pub(super) fn zygote_deadline(&self) -> Option<Moment> {
        self.zygotes.values().filter_map(Zygote::deadline).min()
    }

    pub(super) fn zygote_views(&self, now: Moment) -> Vec<ZygoteView> {
        let view = |it: &Zygote| ZygoteView {
            id: it.id,
            generation: it.generation,
            loads: it.loads,
            ready: it.life == ZygoteLife::Ready,
            age: now.since(it.started),
            rss: it.seen.rss,
        };
        self.zygotes.values().map(view).collect()
    }

    fn select_zygotes(&self, which: impl Fn(&Zygote) -> bool) -> Vec<WorkerId> {
        self.zygotes.values().filter(|it| which(it)).map(|it| it.id).collect()
    }
}
