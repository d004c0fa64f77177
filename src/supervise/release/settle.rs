//! Where the link belongs, judged anew after every fact, and who is told when it is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::record::{ReleaseLink, ReleaseRecord, Unproven};
use super::{LinkFact, LinkOrder, LookAt};
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::request::Outcome;
use crate::supervise::state::{Again, App, Mode, Ordered, Purpose, Switching, Target};

/// When a link that could not be put back is tried again.
const AGAIN: Duration = Duration::from_secs(10);

impl App {
    /// Sees to it that the link is where it belongs. Comes after all other decisions, and holds back what they have to say
    /// to whoever named a release until it is so.
    pub(in crate::supervise) fn settle_link(&mut self, context: &mut Context<'_>) {
        self.settle(context);
        self.hold_link(context);
        let waits = matches!(self.release.ordered, Some(Ordered::MoveBack(_) | Ordered::Write));
        let mut answers = std::mem::take(context.answers);
        if !waits {
            let held = std::mem::take(&mut self.release.answers).into_iter();
            answers.extend(held.map(|(id, outcome)| (id, self.name.clone(), outcome)));
        }
        for (id, app, outcome) in answers {
            self.databases.accepting.retain(|it| *it != id);
            match self.release.named.iter().position(|it| *it == id) {
                Some(_) if waits => self.release.answers.push((id, outcome)),
                found => {
                    found.map(|it| self.release.named.swap_remove(it));
                    context.answers.push((id, app, outcome));
                }
            }
        }
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        if self.release.record.unproven.is_none() {
            self.release.stuck = None;
        }
        if self.mode == Mode::Removed || self.release.ordered.is_some() {
            return;
        }
        if !self.release.known {
            return self.order(context, Ordered::Read, LinkOrder::Read);
        }
        self.begin_switch(context);
        if self.release.ordered.is_none() {
            match self.release.record.unproven.clone() {
                Some(unproven) => self.settle_unproven(context, unproven),
                None => self.settle_proven(context),
            }
        }
        if self.release.ordered.is_none() && self.may_look(context) {
            let requests = std::mem::take(&mut self.release.requests);
            self.prepare_for(context, requests);
        }
    }

    /// Whether what the link leads to may be looked at: nobody moves it.
    pub(in crate::supervise) fn may_look(&self, context: &Context<'_>) -> bool {
        !self.release.is_moving() && context.links.is_free_for(self.release.link.as_ref(), &self.name)
    }

    /// Turns to the next release that was named.
    fn begin_switch(&mut self, context: &mut Context<'_>) {
        while self.release.ordered.is_none() && !self.release.switches.is_empty() && self.may_look(context) {
            let (id, target) = self.release.switches.remove(0);
            let at = match &target {
                Target::Release(release) => LookAt::Release(release.clone()),
                Target::Serving(directory) => LookAt::Folder(directory.clone()),
                Target::Before => match &self.release.record.before {
                    Some(before) => LookAt::Folder(before.clone()),
                    None => {
                        let outcome = self.nothing_before();
                        self.answer(context, id, outcome);
                        continue;
                    }
                },
            };
            let mut waiters = vec![id];
            self.release.switches.retain(|(id, other)| {
                if *other == target {
                    waiters.push(*id);
                }
                *other != target
            });
            let switching = Switching { target, waiters, overtaken: false };
            self.order(context, Ordered::Look(switching), LinkOrder::Look(at));
        }
    }

    /// The link leads to what nobody has proven.
    fn settle_unproven(&mut self, context: &mut Context<'_>, unproven: Unproven) {
        let Some(newest) = unproven.named.last().map(|it| it.directory.clone()) else {
            self.release.record.unproven = None;
            return self.write_release(context);
        };
        let comes = self.on_their_way().next().map(Path::to_owned);
        if self.on_their_way().any(|it| it == newest) || self.looks_for_a_rollout() || context.reads_config {
            return self.try_later(context);
        }
        let serving = self.serving.as_ref().map(|it| it.blueprint.directory.clone());
        if comes.is_none() && serving.as_ref() == Some(&newest) {
            self.release.record.keep(&newest);
            self.release.kept = serving;
            self.release.stuck = None;
            return self.write_release(context);
        }
        let to = comes.or(serving).unwrap_or(unproven.from);
        if to == newest {
            self.release.record.unproven = None;
            self.write_release(context);
        } else if self.release.stuck.as_ref().is_none_or(|(_, at)| *at <= context.now) {
            let (link, text) = (unproven.link, unproven.text);
            context.links.leave(&link, &newest);
            let order = LinkOrder::Move { link, from: Some(newest), to: to.clone(), text };
            self.order(context, Ordered::MoveBack(to), order);
        }
    }

    /// The folders of what is on its way in, whoever has asked for it; the newest first.
    fn on_their_way(&self) -> impl Iterator<Item = &Path> {
        let databases = Some(&self.databases).filter(|_| self.mode == Mode::Running).into_iter();
        let plans = databases.flat_map(|it| {
            let wanted = it.queued.iter().chain(it.migrating.iter().map(|it| &it.wanted));
            let again = it.again.as_ref().and_then(Again::comes);
            wanted.filter(|it| it.rolls_out).map(|it| &it.plan).chain(again)
        });
        let rollout = self.rollout.as_ref().filter(|it| !it.is_rolling_back());
        let blueprints = plans.map(|it| &it.blueprint).chain(rollout.map(|it| &it.generation.blueprint));
        blueprints.map(|it| it.directory.as_path())
    }

    /// Whether the release is being looked at that the link leads to, to bring it in.
    fn looks_for_a_rollout(&self) -> bool {
        self.preparing.as_ref().is_some_and(|it| {
            let mut all = it.waiters.iter().chain(&it.again);
            it.by_itself || all.any(|(_, purpose)| *purpose == Purpose::Rollout)
        })
    }

    /// There is no need to put it back now.
    fn try_later(&mut self, context: &Context<'_>) {
        if let Some((_, at)) = self.release.stuck.as_mut().filter(|(_, at)| *at <= context.now) {
            *at = context.now + AGAIN;
        }
    }

    /// What serves is kept, so that a rollback knows what ran before the next.
    fn settle_proven(&mut self, context: &mut Context<'_>) {
        let complete = self.serving.as_ref().is_some_and(|it| it.complete);
        let rests = self.mode == Mode::Running && self.rollout.is_none() && complete;
        let serving = self.serving.as_ref().map(|it| &it.blueprint.directory);
        if rests && self.release.kept.as_ref() != serving {
            self.order(context, Ordered::Read, LinkOrder::Read);
        }
    }

    /// What is written down of its releases, and where the link leads: for the first time, or because another serves.
    pub(super) fn link_read(
        &mut self,
        context: &mut Context<'_>,
        record: ReleaseRecord,
        link: Option<ReleaseLink>,
        leads_to: Option<PathBuf>,
    ) {
        self.release.link = link;
        if !std::mem::replace(&mut self.release.known, true) {
            self.release.record = record.clone();
            self.release.record.leads_to(leads_to.as_deref());
        }
        let serving = self.serving.as_ref().filter(|it| it.complete && self.rollout.is_none());
        if let (Some(serving), Mode::Running, None) = (serving, &self.mode, &self.release.record.unproven) {
            let directory = serving.blueprint.directory.clone();
            // Of an app without a link nobody will ask.
            if self.release.link.is_some() || self.release.record != ReleaseRecord::default() {
                self.release.record.keep(&directory);
            }
            self.release.kept = Some(directory);
        }
        if self.release.record != record {
            self.write_release(context);
        }
    }

    /// The link was to lead to what is brought in, or serves.
    pub(super) fn moved_back(&mut self, context: &mut Context<'_>, to: PathBuf, fact: LinkFact) {
        match fact {
            LinkFact::Moved if self.release.record.has_named(&to) => {
                self.release.record.leads_to(Some(&to));
                self.announce(context, AppEventKind::LinkTurned { to });
            }
            LinkFact::Moved => {
                self.release.record.unproven = None;
                self.announce(context, AppEventKind::LinkPutBack);
            }
            LinkFact::Failed { why, .. } => return self.link_is_stuck(context, &to, &why),
            // One that somebody has moved or removed meanwhile is theirs.
            _ => self.release.record.unproven = None,
        }
        self.release.stuck = None;
        self.write_release(context);
    }

    fn link_is_stuck(&mut self, context: &mut Context<'_>, to: &Path, why: &str) {
        let Some(unproven) = &self.release.record.unproven else { return };
        let (path, to) = (unproven.link.path.display(), to.display());
        let reason = format!(
            "{path} still leads to a release that is not proven, not to {to}: {why}; it is tried again"
        );
        if self.release.stuck.is_none() {
            self.announce(context, AppEventKind::LinkStuck { reason: reason.clone() });
        }
        self.release.stuck = Some((reason, context.now + AGAIN));
    }

    /// As long as it is not known where the link stays, no other app moves it or looks at what it leads to.
    fn hold_link(&self, context: &mut Context<'_>) {
        let release = &self.release;
        let unproven = release.record.unproven.as_ref().filter(|_| release.stuck.is_none());
        let moves = !matches!(release.ordered, None | Some(Ordered::Read | Ordered::Look(_)));
        let moved = unproven.map(|it| &it.link).or(release.link.as_ref().filter(|_| moves));
        context.links.hold(moved.filter(|_| self.mode != Mode::Removed), &self.name);
    }

    fn nothing_before(&self) -> Outcome {
        let app = &self.name;
        let name = format!("name one: `ostler restart {app} --release DIR`");
        let reason = match &self.release.record.left {
            Some(left) => {
                let left = left.display();
                format!(
                    "{app} was rolled back from {left} already, and nothing is known of a release before; {name}"
                )
            }
            None => format!("no release of {app} is known that ran before this one; {name}"),
        };
        Outcome::Invalid { reason }
    }

    pub(super) fn before_is_gone(&self) -> Outcome {
        let (app, before) = (&self.name, self.release.record.before.clone().unwrap_or_default());
        let before = before.display();
        let reason = format!(
            "the release that ran before, {before}, is gone; name one: `ostler restart {app} --release DIR`"
        );
        Outcome::Invalid { reason }
    }
}
