//! An app's release link: what is known of it, what it is to lead to, and who waits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Purpose;
use crate::config::AppName;
use crate::supervise::release::{ReleaseLink, ReleaseRecord};
use crate::supervise::request::{Outcome, RequestId};
use crate::supervise::time::Moment;

/// Where the link is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To this release.
    Release(PathBuf),
    /// To the release that ran before the one that runs.
    Before,
    /// To the release of this folder that the app is run in.
    Serving(PathBuf),
}

/// All that an app keeps about its releases and their link.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReleaseState {
    /// What is written down, or is being written.
    pub(crate) record: ReleaseRecord,
    /// Whether it has been read since ostlerd began.
    pub(crate) known: bool,
    /// The link of the app's directory, as it was read last.
    pub(crate) link: Option<ReleaseLink>,
    /// For which folder that serves it was read.
    pub(crate) kept: Option<PathBuf>,
    /// The order that has no answer yet.
    pub(crate) ordered: Option<Ordered>,
    /// Who wants a release looked at, once the link stands still.
    pub(crate) requests: Vec<(RequestId, Purpose)>,
    /// Who wants it elsewhere, once it does.
    pub(crate) switches: Vec<(RequestId, Target)>,
    /// Who has named a release and has no answer.
    pub(crate) named: Vec<RequestId>,
    /// What they are to be told once the link is where it belongs.
    pub(crate) answers: Vec<(RequestId, Outcome)>,
    /// Why it is not, and when that is tried again.
    pub(crate) stuck: Option<(String, Moment)>,
}

/// A release that the link is to lead to, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Switching {
    pub(crate) target: Target,
    pub(crate) waiters: Vec<RequestId>,
    /// Whether the app was stopped meanwhile.
    pub(crate) overtaken: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ordered {
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
    pub(crate) fn switching(&self) -> Option<&Switching> {
        match self {
            Ordered::Look(switching)
            | Ordered::Name { switching, .. }
            | Ordered::MoveOn { switching, .. } => Some(switching),
            Ordered::Read | Ordered::MoveBack(_) | Ordered::Write => None,
        }
    }

    pub(crate) fn switching_mut(&mut self) -> Option<&mut Switching> {
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
pub(crate) struct HeldLinks {
    pub(crate) held: BTreeMap<PathBuf, AppName>,
    /// Whether one has become free.
    pub(crate) freed: bool,
    /// Releases that a link is moved back from, or was since the configuration began to be read. They are kept for all apps:
    /// the one whose link it was may be gone, and be configured again by that very configuration; and another may be run in
    /// another folder of the same release.
    left_since_read: BTreeSet<PathBuf>,
}

impl HeldLinks {
    pub(crate) fn is_free_for(&self, link: Option<&ReleaseLink>, app: &AppName) -> bool {
        link.and_then(|link| self.held.get(&link.path)).is_none_or(|holder| holder == app)
    }

    /// Whether a configuration that is to be in force, of the release of this folder, may have been read before a link was
    /// moved back from it.
    pub(crate) fn read_too_early(&self, directory: &Path) -> bool {
        directory.ancestors().any(|it| self.left_since_read.contains(it))
    }

    /// `link` is to be moved back from the release that an app is run in the folder `directory` of.
    pub(crate) fn leave(&mut self, link: &ReleaseLink, directory: &Path) {
        let depth = link.below.components().count();
        let release = directory.ancestors().nth(depth).filter(|_| directory.ends_with(&link.below));
        self.left_since_read.insert(release.unwrap_or(directory).to_owned());
    }

    /// The configuration is about to be read; no link is being moved back, and no app waits to be begun from what was read
    /// before.
    pub(crate) fn read_anew(&mut self) {
        self.left_since_read.clear();
    }

    /// The app holds this link, or none.
    pub(crate) fn hold(&mut self, link: Option<&ReleaseLink>, app: &AppName) {
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
    pub(crate) fn is_moving(&self) -> bool {
        self.ordered.is_some() || !self.known
    }

    /// Whether the link is being moved back.
    pub(crate) fn moves_back(&self) -> bool {
        matches!(self.ordered, Some(Ordered::MoveBack(_)))
    }

    /// Whether the link may have to be put back still, and that can be done.
    pub(crate) fn is_open(&self) -> bool {
        self.is_moving() || self.record.unproven.is_some() && self.stuck.is_none()
    }

    /// What is wrong with the link.
    pub(crate) fn problem(&self) -> Option<String> {
        self.stuck.as_ref().map(|(reason, _)| reason.clone())
    }

    /// What a rollback goes back to.
    pub(crate) fn before(&self) -> Option<PathBuf> {
        self.record.before.clone()
    }

    /// Whether a rollout follows: the link is being moved to a release that is to be brought in, or somebody waits until it
    /// stands still.
    pub(crate) fn leads_to_a_rollout(&self) -> bool {
        let waits = self.requests.iter().any(|(_, purpose)| *purpose == Purpose::Rollout);
        let switches = self.ordered.as_ref().and_then(Ordered::switching);
        waits || !self.switches.is_empty() || switches.is_some_and(|it| !it.overtaken)
    }

    /// When it is tried again to put it back.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.stuck.as_ref().filter(|_| !self.is_moving()).map(|(_, at)| *at)
    }

    /// Keeps a request until the link stands still.
    pub(crate) fn wait(&mut self, id: RequestId, purpose: Purpose) {
        self.requests.push((id, purpose));
    }

    /// What somebody is to be told though the link is not where it belongs: ostlerd ends.
    pub(crate) fn give_up(&mut self) -> Vec<(RequestId, Outcome)> {
        std::mem::take(&mut self.answers)
    }

    /// The app stops: nobody waits for the link any more.
    pub(crate) fn stop(&mut self) -> Vec<RequestId> {
        if let Some(switching) = self.ordered.as_mut().and_then(Ordered::switching_mut) {
            switching.overtaken = true;
        }
        let requests = std::mem::take(&mut self.requests).into_iter().map(|(id, _)| id);
        requests.chain(std::mem::take(&mut self.switches).into_iter().map(|(id, _)| id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_a_link_was_moved_back_from_is_known_by_every_folder_of_it() {
        let mut links = HeldLinks::default();
        let link = |below: &str| ReleaseLink { path: "/srv/current".into(), below: below.into() };
        links.leave(&link("shop/web"), Path::new("/srv/2/shop/web"));
        links.leave(&link(""), Path::new("/srv/3"));
        for (directory, left) in [
            ("/srv/2/shop/web", true),
            ("/srv/2/blog", true),
            ("/srv/3/shop", true),
            ("/srv/1/shop/web", false),
            ("/srv/22", false),
        ] {
            assert_eq!(links.read_too_early(Path::new(directory)), left, "{directory}");
        }
        links.read_anew();
        assert!(!links.read_too_early(Path::new("/srv/3")));
    }

    #[test]
    fn a_link_is_one_apps_until_it_lets_go_and_others_are_told_then() {
        let (shop, blog): (AppName, AppName) = ("shop".parse().unwrap(), "blog".parse().unwrap());
        let link = ReleaseLink { path: "/srv/current".into(), below: PathBuf::new() };
        let mut links = HeldLinks::default();
        links.hold(Some(&link), &shop);
        links.hold(Some(&link), &blog);
        assert!(links.is_free_for(Some(&link), &shop) && !links.is_free_for(Some(&link), &blog));
        assert!(!links.freed);
        links.hold(None, &shop);
        assert!(links.freed && links.is_free_for(Some(&link), &blog));
    }

    #[test]
    fn a_rollback_goes_back_to_what_is_written_down_as_before() {
        let before = Some(PathBuf::from("/srv/1"));
        let record = ReleaseRecord { before: before.clone(), ..ReleaseRecord::default() };
        assert_eq!(ReleaseState { record, ..ReleaseState::default() }.before(), before);
    }
}
