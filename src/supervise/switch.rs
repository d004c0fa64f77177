//! The link that an app's `directory` leads through, and a release that it is to lead to.
//!
//! ```text
//! restart --release, rollback ─► Turn ─┬─► it leads there, not proven ─► Prepare ─► the rollout (`rollout`)
//!                                      └─► not turned: said why, nothing changed    │
//!                 nothing brings that release in any more ─► PutBack ◄──────────────┤
//!                 that release is what serves ─► Keep ◄─────────────────────────────┘
//! ```
//!
//! There is one rule, judged anew after every fact, so that it holds however a rollout ends: as long as something brings
//! the release in, the link stays; then it leads to what serves. Who waits is answered when it does. One order at a time
//! is given to the shell; what is asked meanwhile waits. The shell writes down what is not proven before it turns the link:
//! so it is put back after a `kill -9`, and after a power cut too.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::app::{App, Context, Mode};
use super::news::Happening;
use super::request::{Outcome, RequestId};
use super::time::Moment;
use super::waiting::Purpose;

/// When a link that could not be put back is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Where the link is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this release.
    Release(PathBuf),
    /// To the release that ran before the one that runs.
    Before,
    /// To the release of this folder that the app is run in.
    Serving(PathBuf),
}

/// What the shell is to do about the link; each order is answered by one [`LinkFact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOrder {
    /// Write down that the release is not proven, and have the link lead to it.
    Turn(Target),
    /// If the link leads to what is written down as not proven, have it lead to the release of this folder, or to where it
    /// led before.
    PutBack(Option<PathBuf>),
    /// The release of this folder serves: it is proven, and the one before it is what a rollback goes to.
    Keep(PathBuf),
}

/// What the shell says of the link. Folders are those that the app is run in, links resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkFact {
    /// It leads to that folder now, which is not proven.
    Turned {
        /// The folder.
        to: PathBuf,
    },
    /// It led there already.
    There,
    /// It cannot be turned, and is as it was.
    NotTurned {
        /// What to say.
        outcome: Outcome,
    },
    /// It is put back, or kept.
    Settled,
    /// It cannot be put back.
    Stuck {
        /// Why not, and what to do.
        reason: String,
    },
}

/// All that an app keeps about its link.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch {
    /// The folder of the release that the link leads to without proof.
    pub(super) unproven: Option<PathBuf>,
    /// Whether an earlier ostlerd was turning it: it may lead to what nobody has proven.
    lost: bool,
    /// The order that has no answer yet.
    ordered: Option<Ordered>,
    /// What the shell was last told to keep.
    kept: Option<PathBuf>,
    /// Who wants a release looked at, once the link stands still.
    requests: Vec<(RequestId, Purpose)>,
    /// Who wants it elsewhere, once it does.
    switches: Vec<(RequestId, Target)>,
    /// Who has named a release and has no answer.
    named: Vec<RequestId>,
    /// What they are to be told once the link is where it belongs.
    answers: Vec<(RequestId, Outcome)>,
    /// Why it is not, and when that is tried again.
    stuck: Option<(String, Moment)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Ordered {
    Context {
        target: Target,
        waiters: Vec<RequestId>,
        /// Whether the app was stopped meanwhile.
        overtaken: bool,
    },
    PutBack,
    Keep,
}

/// The same for the next ostlerd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SwitchLeft {
    unproven: Option<PathBuf>,
    /// Whether it was being turned: it may lead to what nobody has proven.
    turning: bool,
}

impl Switch {
    /// Whether an order has no answer yet.
    pub(super) fn is_moving(&self) -> bool {
        self.ordered.is_some()
    }

    /// Whether the link may have to be put back still, and that can be done.
    pub(super) fn is_open(&self) -> bool {
        self.is_moving() || (self.unproven.is_some() || self.lost) && self.stuck.is_none()
    }

    /// What is wrong with the link.
    pub(super) fn problem(&self) -> Option<String> {
        self.stuck.as_ref().map(|(reason, _)| reason.clone())
    }

    /// Whether a rollout follows: it is being turned to a release that is to be brought in, or one waits until it stands
    /// still.
    pub(super) fn leads_to_a_rollout(&self) -> bool {
        let waits = self.requests.iter().any(|(_, purpose)| *purpose == Purpose::Rollout);
        waits || matches!(self.ordered, Some(Ordered::Context { overtaken: false, .. }))
    }

    /// When it is tried again to put it back.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.stuck.as_ref().filter(|_| !self.is_moving()).map(|(_, at)| *at)
    }

    fn may_try(&self, now: Moment) -> bool {
        self.stuck.as_ref().is_none_or(|(_, at)| *at <= now)
    }

    /// There is no need to put it back now.
    fn try_later(&mut self, now: Moment) {
        if let Some((_, at)) = self.stuck.as_mut().filter(|(_, at)| *at <= now) {
            *at = now + AGAIN;
        }
    }

    /// Keeps a request until the link stands still.
    pub(super) fn wait(&mut self, id: RequestId, purpose: Purpose) {
        self.requests.push((id, purpose));
    }

    /// The app stops: nobody waits for the link any more.
    pub(super) fn stop(&mut self) -> Vec<RequestId> {
        if let Some(Ordered::Context { overtaken, .. }) = &mut self.ordered {
            *overtaken = true;
        }
        let requests = std::mem::take(&mut self.requests).into_iter().map(|(id, _)| id);
        requests.chain(std::mem::take(&mut self.switches).into_iter().map(|(id, _)| id)).collect()
    }

    pub(super) fn left(&self) -> SwitchLeft {
        let turning = self.lost || matches!(self.ordered, Some(Ordered::Context { .. }));
        SwitchLeft { unproven: self.unproven.clone(), turning }
    }
}

impl App {
    /// Somebody names a release, or wants the one before.
    pub(super) fn switch(&mut self, context: &mut Context<'_>, id: RequestId, target: Target) {
        if let Mode::Stopping { .. } = self.mode {
            return self.restart(context, id);
        }
        let target = match (target, &self.serving) {
            // In the middle of a rollout, what ran before is what still serves.
            (Target::Before, Some(serving)) if self.is_changing() => {
                Target::Serving(serving.blueprint.directory.clone())
            }
            (target, _) => target,
        };
        if !self.switch.named.contains(&id) {
            self.switch.named.push(id);
        }
        match &mut self.switch.ordered {
            Some(Ordered::Context { target: same, waiters, overtaken: false }) if *same == target => {
                waiters.push(id);
                self.joined(context);
            }
            Some(_) => self.switch.switches.push((id, target)),
            None => {
                let ordered =
                    Ordered::Context { target: target.clone(), waiters: vec![id], overtaken: false };
                self.order(context, ordered, LinkOrder::Turn(target));
            }
        }
    }

    /// The shell has answered an order.
    pub(super) fn link_heard(&mut self, context: &mut Context<'_>, fact: LinkFact) {
        let Some(ordered) = self.switch.ordered.take() else { return };
        match (fact, ordered) {
            (LinkFact::Turned { to }, Ordered::Context { waiters, overtaken, .. }) => {
                self.announce(context, Happening::LinkTurned { to: to.clone() });
                (self.switch.unproven, self.switch.stuck, self.switch.lost) = (Some(to), None, false);
                self.link_leads_there(context, waiters, overtaken);
            }
            (LinkFact::There, Ordered::Context { waiters, overtaken, .. }) => {
                self.switch.lost = false;
                self.link_leads_there(context, waiters, overtaken);
            }
            (LinkFact::NotTurned { outcome }, Ordered::Context { waiters, .. }) => {
                self.answer_all(context, waiters, &outcome);
            }
            (LinkFact::Stuck { reason }, Ordered::PutBack) => {
                if self.switch.stuck.is_none() {
                    self.announce(context, Happening::LinkStuck { reason: reason.clone() });
                }
                self.switch.stuck = Some((reason, context.now + AGAIN));
            }
            (_, Ordered::PutBack) => {
                self.announce(context, Happening::LinkPutBack);
                (self.switch.unproven, self.switch.stuck, self.switch.lost) = (None, None, false);
            }
            (_, Ordered::Keep) => (self.switch.unproven, self.switch.stuck) = (None, None),
            (_, turning @ Ordered::Context { .. }) => {
                // It answers another order.
                self.switch.ordered = Some(turning);
                return;
            }
        }
        for (id, outcome) in std::mem::take(&mut self.switch.answers) {
            self.answer(context, id, outcome);
        }
        let requests = std::mem::take(&mut self.switch.requests);
        self.prepare_for(context, requests);
        for (id, target) in std::mem::take(&mut self.switch.switches) {
            self.switch(context, id, target);
        }
    }

    /// Where nothing brings the release in any more that the link leads to: it leads to what serves. Comes after all other
    /// decisions, and holds back what they have to say until it is so.
    pub(super) fn settle_link(&mut self, context: &mut Context<'_>) {
        if !self.switch.is_moving() {
            self.settle(context);
        }
        let waits = matches!(self.switch.ordered, Some(Ordered::PutBack | Ordered::Keep));
        let waits = waits && self.switch.unproven.is_some();
        for (id, app, outcome) in std::mem::take(context.answers) {
            self.databases.accepting.retain(|it| *it != id);
            match self.switch.named.iter().position(|it| *it == id) {
                Some(_) if waits => self.switch.answers.push((id, outcome)),
                found => {
                    found.map(|it| self.switch.named.swap_remove(it));
                    context.answers.push((id, app, outcome));
                }
            }
        }
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        let unproven = self.switch.unproven.clone();
        if unproven.as_ref().is_some_and(|it| self.brings_in(it)) {
            return self.switch.try_later(context.now);
        }
        let serving = self.serving.as_ref().map(|it| it.blueprint.directory.clone());
        if unproven.is_none() && !self.switch.lost {
            let complete = self.serving.as_ref().is_some_and(|it| it.complete);
            let rests = self.mode == Mode::Running && self.rollout.is_none() && complete;
            let news = serving.filter(|it| rests && self.switch.kept.as_ref() != Some(it));
            return news.into_iter().for_each(|directory| self.keep(context, directory));
        }
        match serving {
            Some(directory) if unproven.as_ref() == Some(&directory) => self.keep(context, directory),
            to if self.switch.may_try(context.now) => {
                self.order(context, Ordered::PutBack, LinkOrder::PutBack(to));
            }
            _ => {}
        }
    }

    fn keep(&mut self, context: &mut Context<'_>, directory: PathBuf) {
        self.switch.kept = Some(directory.clone());
        self.order(context, Ordered::Keep, LinkOrder::Keep(directory));
    }

    fn order(&mut self, context: &mut Context<'_>, ordered: Ordered, order: LinkOrder) {
        self.switch.ordered = Some(ordered);
        context.actions.push(Action::MoveLink { app: self.name.clone(), order });
    }

    fn link_leads_there(&mut self, context: &mut Context<'_>, waiters: Vec<RequestId>, overtaken: bool) {
        if overtaken {
            let outcome = Outcome::Refused { reason: format!("{} is being stopped", self.name) };
            return self.answer_all(context, waiters, &outcome);
        }
        self.prepare_for(context, waiters.into_iter().map(|id| (id, Purpose::Rollout)).collect());
    }

    /// Whether a release is on its way in, or looked at for that.
    fn is_changing(&self) -> bool {
        let rolls_out = self.rollout.as_ref().is_some_and(|it| !it.is_rolling_back());
        let named = self.switch.unproven.is_some();
        named || rolls_out || self.databases.wanted().is_some() || self.prepares_rollout()
    }

    /// Whether the release of this folder is on its way in.
    fn brings_in(&self, directory: &PathBuf) -> bool {
        let rollout = self.rollout.as_ref().filter(|it| !it.is_rolling_back());
        let migrates =
            self.databases.plans().any(|it| it.rolls_out && it.plan.blueprint.directory == *directory);
        self.mode == Mode::Running && migrates
            || rollout.is_some_and(|it| it.generation.blueprint.directory == *directory)
            || self.prepares_rollout()
    }

    /// What an earlier ostlerd left: a link that it was turning may lead to what nobody has proven.
    pub(super) fn take_over_link(&mut self, context: &mut Context<'_>, left: SwitchLeft) {
        match (left.unproven, left.turning) {
            (unproven, false) => self.switch.unproven = unproven,
            (Some(unproven), true) => {
                // Another release was asked for while this one was on its way, which goes on.
                let target = Target::Serving(unproven.clone());
                let ordered =
                    Ordered::Context { target: target.clone(), waiters: Vec::new(), overtaken: false };
                self.switch.unproven = Some(unproven);
                self.order(context, ordered, LinkOrder::Turn(target));
            }
            (None, true) => self.switch.lost = true,
        }
    }
}
