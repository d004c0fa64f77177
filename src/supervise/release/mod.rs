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

use std::path::PathBuf;

use super::action::Action;
use super::app_event::AppEventKind;
use super::context::Context;
use super::request::{Outcome, RequestId};
use super::state::{App, Mode, Ordered, Purpose, Switching, Target};

mod order;
mod record;
mod settle;

pub use order::{LinkFact, LinkOrder, LookAt};
pub use record::{Named, ReleaseLink, ReleaseRecord, Unproven};

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
        if from.as_ref() == Some(&to) || switching.overtaken {
            self.link_leads_there(context, switching);
            // Somebody else has moved it: what stands there must not go on to say that it is to be moved back.
            if self.release.record != *before {
                self.write_release(context);
            }
            return;
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
