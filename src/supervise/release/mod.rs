//! An app's release link: which release it leads to, which serves, and what a rollback goes back to.
//!
//! ```text
//! restart --release, rollback ─► Look ─► Write (it is not proven) ─► Move ─► Prepare ─► the rollout (`rollout`)
//!                                  └──────────┴──────────────────────┴─► failed: said why, and all is as it was
//! nothing brings that release in any more ─► Move (to what is brought in, or serves) ─► Write
//! that release serves ─► Write (it is proven, and what a rollback goes back to)
//! ```
//!
//! There is one rule, judged anew after every fact (`settle`), so that it holds however a rollout ends: as long as something
//! brings the release in, the link stays; then it leads to what is brought in instead, or to what serves. Whoever waits is
//! answered when it does. One order at a time is given to the shell. What is not proven is written down before the link is
//! moved, and what is true only after: whoever finds the two later knows which it is, because he reads where the link leads.
//!
//! A link may be that of several apps. One of them moves it at a time; the others wait until it is known where it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::action::Action;
use super::app::{App, Context, Mode};
use super::app_event::AppEventKind;
use super::request::{Outcome, RequestId};
use super::time::Moment;
use super::waiting::Purpose;
use crate::config::AppName;

mod order;
mod record;
mod settle;

pub use order::{LinkFact, LinkOrder, LookAt};
pub use record::{Named, ReleaseLink, ReleaseRecord, Unproven};

/// Where the link is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To this release.
    Release(PathBuf),
    /// To the release that ran before the one that runs.
    Before,
    /// To the release of this folder that the app is run in.
    Serving(PathBuf),
}

/// All that an app keeps about its releases and their link.
#[derive(Clone, Debug, Default)]
pub(super) struct ReleaseState {
    /// What is written down, or is being written.
    record: ReleaseRecord,
    /// Whether it has been read since ostlerd began.
    known: bool,
    /// The link of the app's directory, as it was read last.
    link: Option<ReleaseLink>,
    /// For which folder that serves it was read.
    kept: Option<PathBuf>,
    /// The order that has no answer yet.
    ordered: Option<Ordered>,
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

/// A release that the link is to lead to, and for whom.
#[derive(Clone, Debug, PartialEq)]
struct Switching {
    target: Target,
    waiters: Vec<RequestId>,
    /// Whether the app was stopped meanwhile.
    overtaken: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Ordered {
    /// What is written down; if something serves, it is kept then.
    Read,
    Look(Switching),
    /// That the release is not proven. `from` is where the link leads, `before` what was written.
    Name {
        switching: Switching,
        to: PathBuf,
        from: Option<PathBuf>,
        before: Box<ReleaseRecord>,
    },
    /// The link is moved to it.
    MoveOn {
        switching: Switching,
        to: PathBuf,
        before: Box<ReleaseRecord>,
    },
    /// The link is moved to what is brought in, or serves.
    MoveBack(PathBuf),
    /// What is true now.
    Write,
}

impl Ordered {
    fn switching(&self) -> Option<&Switching> {
        match self {
            Ordered::Look(switching)
            | Ordered::Name { switching, .. }
            | Ordered::MoveOn { switching, .. } => Some(switching),
            Ordered::Read | Ordered::MoveBack(_) | Ordered::Write => None,
        }
    }

    fn switching_mut(&mut self) -> Option<&mut Switching> {
        match self {
            Ordered::Look(switching)
            | Ordered::Name { switching, .. }
            | Ordered::MoveOn { switching, .. } => Some(switching),
            Ordered::Read | Ordered::MoveBack(_) | Ordered::Write => None,
        }
    }
}

/// Which app moves which link: the others of the same link wait.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldLinks {
    held: BTreeMap<PathBuf, AppName>,
    /// Whether one has become free.
    pub(super) freed: bool,
    /// Releases that a link is moved back from, or was since the configuration began to be read. They are kept for all apps:
    /// the one whose link it was may be gone, and be configured again by that very configuration.
    left_since_read: BTreeSet<PathBuf>,
}

impl HeldLinks {
    fn is_free_for(&self, link: Option<&ReleaseLink>, app: &AppName) -> bool {
        link.and_then(|link| self.held.get(&link.path)).is_none_or(|holder| holder == app)
    }

    /// Whether a configuration that is to be in force, of the release of this folder, may have been read before a link was
    /// moved back from it.
    pub(super) fn read_too_early(&self, directory: &Path) -> bool {
        self.left_since_read.contains(directory)
    }

    /// The configuration is about to be read; no link is being moved back, and no app waits to be begun from what was read
    /// before.
    pub(super) fn read_anew(&mut self) {
        self.left_since_read.clear();
    }

    /// The app holds this link, or none.
    fn hold(&mut self, link: Option<&ReleaseLink>, app: &AppName) {
        let before = self.held.len();
        self.held.retain(|path, holder| holder != app || link.is_some_and(|it| it.path == *path));
        self.freed |= self.held.len() < before;
        if let Some(link) = link {
            self.held.entry(link.path.clone()).or_insert_with(|| app.clone());
        }
    }
}

impl ReleaseState {
    /// Whether an order has no answer yet, or it is not known where the link leads.
    pub(super) fn is_moving(&self) -> bool {
        self.ordered.is_some() || !self.known
    }

    /// Whether the link is being moved back.
    pub(super) fn moves_back(&self) -> bool {
        matches!(self.ordered, Some(Ordered::MoveBack(_)))
    }

    /// Whether the link may have to be put back still, and that can be done.
    pub(super) fn is_open(&self) -> bool {
        self.is_moving() || self.record.unproven.is_some() && self.stuck.is_none()
    }

    /// What is wrong with the link.
    pub(super) fn problem(&self) -> Option<String> {
        self.stuck.as_ref().map(|(reason, _)| reason.clone())
    }

    /// What a rollback goes back to.
    pub(super) fn before(&self) -> Option<PathBuf> {
        self.record.before.clone()
    }

    /// Whether a rollout follows: the link is being moved to a release that is to be brought in, or somebody waits until it
    /// stands still.
    pub(super) fn leads_to_a_rollout(&self) -> bool {
        let waits = self.requests.iter().any(|(_, purpose)| *purpose == Purpose::Rollout);
        let switches = self.ordered.as_ref().and_then(Ordered::switching);
        waits || !self.switches.is_empty() || switches.is_some_and(|it| !it.overtaken)
    }

    /// When it is tried again to put it back.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.stuck.as_ref().filter(|_| !self.is_moving()).map(|(_, at)| *at)
    }

    /// Keeps a request until the link stands still.
    pub(super) fn wait(&mut self, id: RequestId, purpose: Purpose) {
        self.requests.push((id, purpose));
    }

    /// What somebody is to be told though the link is not where it belongs: ostlerd ends.
    pub(super) fn give_up(&mut self) -> Vec<(RequestId, Outcome)> {
        std::mem::take(&mut self.answers)
    }

    /// The app stops: nobody waits for the link any more.
    pub(super) fn stop(&mut self) -> Vec<RequestId> {
        if let Some(switching) = self.ordered.as_mut().and_then(Ordered::switching_mut) {
            switching.overtaken = true;
        }
        let requests = std::mem::take(&mut self.requests).into_iter().map(|(id, _)| id);
        requests.chain(std::mem::take(&mut self.switches).into_iter().map(|(id, _)| id)).collect()
    }
}

impl App {
    /// Somebody names a release, or wants the one before. It begins when all other decisions are made (`settle_link`).
    pub(super) fn switch_release(&mut self, context: &mut Context<'_>, id: RequestId, target: Target) {
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
        if !self.release.named.contains(&id) {
            self.release.named.push(id);
        }
        match self.release.ordered.as_mut().and_then(Ordered::switching_mut) {
            Some(switching) if switching.target == target && !switching.overtaken => {
                switching.waiters.push(id);
                self.joined(context);
            }
            _ => self.release.switches.push((id, target)),
        }
    }

    /// Whether a release is on its way in, or looked at for that.
    fn is_changing(&self) -> bool {
        let rolls_out = self.rollout.as_ref().is_some_and(|it| !it.is_rolling_back());
        let named = self.release.record.unproven.is_some();
        named || rolls_out || self.databases.wanted().is_some() || self.prepares_rollout()
    }

    /// The shell has answered an order.
    pub(super) fn link_observed(&mut self, context: &mut Context<'_>, fact: LinkFact) {
        match (self.release.ordered.take(), fact) {
            (Some(Ordered::Read), LinkFact::Read { record, link, leads_to }) => {
                self.link_read(context, *record, link, leads_to);
            }
            (Some(Ordered::Look(switching)), fact) => self.release_looked_at(context, switching, fact),
            (Some(Ordered::Name { switching, to, from, before }), LinkFact::Written) => {
                self.move_on(context, switching, to, from, before);
            }
            (Some(Ordered::Name { switching, before, .. }), fact) => {
                self.release.record = *before;
                self.not_moved(context, switching, fact);
            }
            (Some(Ordered::MoveOn { switching, to, .. }), LinkFact::Moved) => {
                self.release.stuck = None;
                self.announce(context, AppEventKind::LinkTurned { to });
                self.link_leads_there(context, switching);
            }
            (Some(Ordered::MoveOn { switching, before, .. }), fact) => {
                if fact == LinkFact::Elsewhere {
                    self.release.record.unproven = None;
                } else {
                    self.release.record = *before;
                }
                self.not_moved(context, switching, fact);
                self.write_release(context);
            }
            (Some(Ordered::MoveBack(to)), fact) => self.moved_back(context, to, fact),
            // What stands there must not go on to say that a link is not proven which is. If it is not, the way back stands
            // there too.
            (Some(Ordered::Write), LinkFact::Failed { why, .. })
                if self.release.record.unproven.is_none() =>
            {
                self.order(context, Ordered::Write, LinkOrder::Remove { why });
            }
            // It answers no order of ours.
            (ordered, _) => self.release.ordered = ordered.filter(|it| *it != Ordered::Write),
        }
    }

    fn release_looked_at(&mut self, context: &mut Context<'_>, switching: Switching, fact: LinkFact) {
        let (link, from, text, to) = match fact {
            LinkFact::Looked { link, leads_to, text, to } => (link, leads_to, text, to),
            fact => return self.not_moved(context, switching, fact),
        };
        let is_free = context.links.is_free_for(Some(&link), &self.name);
        self.release.link = Some(link.clone());
        if !is_free && !switching.overtaken {
            let Switching { target, waiters, .. } = switching;
            let again = waiters.into_iter().map(|id| (id, target.clone()));
            return self.release.switches.splice(0..0, again).for_each(drop);
        }
        let before = Box::new(self.release.record.clone());
        self.release.record.leads_to(from.as_deref());
        if from.as_ref() == Some(&to) {
            return self.link_leads_there(context, switching);
        }
        if switching.overtaken {
            return self.refuse_stopped(context, switching);
        }
        let back = switching.target == Target::Before;
        // If it leads nowhere, there is no way back but to what serves.
        let way_back = from.clone().or_else(|| self.release.record.serving.clone());
        let way_back = way_back.unwrap_or_else(|| to.clone());
        // The link may have been moved by hand, and nothing be rolled out since.
        let serving = self.serving.as_ref().map_or(&way_back, |it| &it.blueprint.directory).clone();
        self.release.record.serving.get_or_insert(serving);
        let release = Named { directory: to.clone(), back };
        self.release.record.name(link, way_back, text, release);
        let order = LinkOrder::Write(Box::new(self.release.record.clone()));
        self.order(context, Ordered::Name { switching, to, from, before }, order);
    }

    fn move_on(
        &mut self,
        context: &mut Context<'_>,
        switching: Switching,
        to: PathBuf,
        from: Option<PathBuf>,
        before: Box<ReleaseRecord>,
    ) {
        let Some(Unproven { link, text, .. }) = self.release.record.unproven.clone() else { return };
        let order = LinkOrder::Move { link, from, to: to.clone(), text };
        self.order(context, Ordered::MoveOn { switching, to, before }, order);
    }

    fn not_moved(&mut self, context: &mut Context<'_>, switching: Switching, fact: LinkFact) {
        let outcome = match (fact, &switching.target) {
            (LinkFact::NoLink { reason }, _) => Outcome::Misconfigured { reason, detail: String::new() },
            (LinkFact::NoRelease { .. }, Target::Before) => self.before_is_gone(),
            (LinkFact::NoRelease { reason }, _) => Outcome::Invalid { reason },
            (LinkFact::Failed { path, why, remedy }, _) => {
                let reason = format!("{} cannot be replaced: {why}; {remedy}", path.display());
                Outcome::Refused { reason }
            }
            _ => {
                let reason = "somebody else has moved the link meanwhile; nothing was changed, try again";
                Outcome::Refused { reason: reason.to_owned() }
            }
        };
        self.answer_all(context, switching.waiters, &outcome);
    }

    fn link_leads_there(&mut self, context: &mut Context<'_>, switching: Switching) {
        if switching.overtaken {
            return self.refuse_stopped(context, switching);
        }
        let waiters = switching.waiters.into_iter().map(|id| (id, Purpose::Rollout));
        let others = std::mem::take(&mut self.release.requests);
        self.prepare_for(context, waiters.chain(others).collect());
    }

    fn refuse_stopped(&self, context: &mut Context<'_>, switching: Switching) {
        let outcome = Outcome::Refused { reason: format!("{} is being stopped", self.name) };
        self.answer_all(context, switching.waiters, &outcome);
    }

    fn order(&mut self, context: &mut Context<'_>, ordered: Ordered, order: LinkOrder) {
        self.release.ordered = Some(ordered);
        context.actions.push(Action::SwitchRelease { app: self.name.clone(), order });
    }

    /// Writes down what is true now.
    fn write_release(&mut self, context: &mut Context<'_>) {
        let order = LinkOrder::Write(Box::new(self.release.record.clone()));
        self.order(context, Ordered::Write, order);
    }
}
