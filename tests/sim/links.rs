//! Links that lead to releases: turned when ostlerd says so, kept, put back, or not; and people who name releases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Command, Event, LinkFact, LinkOrder, LookAt, ReleaseLink, ReleaseRecord};

use crate::rng::Rng;
use crate::world::World;

/// Drawn aside, so that what a seed stands for otherwise stays as it was.
pub(crate) struct Links {
    pub(crate) rng: Rng,
    /// What is written down. Where a link leads is the version on the disk.
    pub(crate) records: BTreeMap<AppName, ReleaseRecord>,
    /// Where ostlerd has moved a link; one that leads elsewhere is somebody else's.
    placed: BTreeMap<AppName, u64>,
    /// Apps of which what was written down was lost, for the disk was full.
    pub(crate) lost: BTreeSet<AppName>,
    /// Orders without an answer.
    pub(crate) ordered: BTreeSet<AppName>,
    /// Releases that were written down just now, for the link to be moved on to them.
    named: BTreeMap<AppName, PathBuf>,
    /// Links that could not be moved back, and are to be moved again.
    pub(crate) stuck: BTreeSet<AppName>,
    /// Apps for which no release was named since ostlerd fell last.
    pub(crate) fallen: BTreeSet<AppName>,
}

impl Links {
    pub(crate) fn drawn(rng: &Rng) -> Links {
        let mut rng = rng.clone();
        // The generator's first numbers are spoken for.
        (0..37).for_each(|_| _ = rng.below(2));
        let (records, placed, named) = Default::default();
        let (lost, ordered, stuck, fallen) = Default::default();
        Links { rng, records, placed, lost, ordered, named, stuck, fallen }
    }

    /// When somebody names a release.
    pub(crate) fn asks(&mut self, calm_from: Duration) -> Vec<Duration> {
        let count = if self.rng.chance(0.6) { self.rng.within(1, 6) } else { 0 };
        let last = calm_from.as_millis() as u64 - 1;
        (0..count).map(|_| self.rng.millis(0, last)).collect()
    }

    /// Whether ostlerd has moved the link to where it leads.
    pub(crate) fn is_placed(&self, app: &AppName, version: u64) -> bool {
        self.placed.get(app) == Some(&version)
    }

    /// An order is given.
    pub(crate) fn order(&mut self, app: &AppName, order: &LinkOrder) {
        self.ordered.insert(app.clone());
        if let LinkOrder::Look(_) = order {
            self.fallen.remove(app);
        }
    }

    /// An order is answered.
    fn answered(&mut self, app: &AppName, order: &LinkOrder, fact: &LinkFact) {
        let named = self.named.remove(app);
        if let (LinkOrder::Write(record), LinkFact::Written) = (order, fact) {
            self.named.extend(record.newest().map(|newest| (app.clone(), newest.to_owned())));
        }
        match (order, fact) {
            (LinkOrder::Move { to, .. }, LinkFact::Failed { .. }) if named.as_ref() != Some(to) => {
                self.stuck.insert(app.clone());
            }
            (_, LinkFact::Moved | LinkFact::Elsewhere) => _ = self.stuck.remove(app),
            (LinkOrder::Write(record), _) if record.unproven.is_none() => _ = self.stuck.remove(app),
            _ => {}
        }
    }
}

/// The folder of an app's release.
pub(crate) fn folder(app: &AppName, version: u64) -> PathBuf {
    PathBuf::from(format!("/srv/{app}/{version}"))
}

pub(crate) fn version(folder: &Path) -> u64 {
    let name = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
    name.expect("every release is in a folder of its own")
}

fn link(app: &AppName) -> ReleaseLink {
    ReleaseLink { path: PathBuf::from(format!("/srv/{app}/current")), below: PathBuf::new() }
}

fn full(path: &str) -> LinkFact {
    let (why, remedy) = ("the disk is full".to_owned(), "make room".to_owned());
    LinkFact::Failed { path: path.into(), why, remedy }
}

/// An order is carried out; what is then said of it.
pub(crate) fn carry_out(world: &mut World, app: &AppName, order: &LinkOrder) -> Option<LinkFact> {
    let fails = world.faults().prepare_fails;
    let fails = world.links.rng.chance(fails);
    let disk = world.disk.app_mut(app)?;
    let record = world.links.records.entry(app.clone()).or_default();
    let leads_to = Some(folder(app, disk.version));
    let fact = match order {
        LinkOrder::Read => {
            LinkFact::Read { record: Box::new(record.clone()), link: Some(link(app)), leads_to }
        }
        LinkOrder::Look(_) if fails => LinkFact::NoRelease { reason: "there is no such release".to_owned() },
        LinkOrder::Look(LookAt::Release(to) | LookAt::Folder(to)) => {
            let (text, to) = (folder(app, disk.version), to.clone());
            LinkFact::Looked { link: link(app), leads_to, text, to }
        }
        LinkOrder::Write(_) if fails => full("release.json"),
        LinkOrder::Write(new) => {
            *record = (**new).clone();
            world.links.lost.remove(app);
            LinkFact::Written
        }
        LinkOrder::Remove { .. } => {
            *record = ReleaseRecord::default();
            world.links.lost.insert(app.clone());
            LinkFact::Written
        }
        LinkOrder::Move { from, .. } if *from != leads_to => LinkFact::Elsewhere,
        LinkOrder::Move { .. } if fails => full("current"),
        LinkOrder::Move { to, .. } => {
            disk.version = version(to);
            let named = record.unproven.iter().flat_map(|it| &it.named).any(|it| it.directory == *to);
            match named || record.serving.as_ref() == Some(to) {
                true => _ = world.links.placed.insert(app.clone(), disk.version),
                // It is where somebody else had moved it.
                false => _ = world.links.placed.remove(app),
            }
            LinkFact::Moved
        }
    };
    world.links.answered(app, order, &fact);
    Some(fact)
}

/// The release of that folder, or the one before.
fn switch(app: AppName, release: Option<PathBuf>) -> Command {
    match release {
        Some(_) => Command::Restart { app, release, accept_breakage: false },
        None => Command::Rollback { app, accept_breakage: false },
    }
}

/// Somebody names a release, or wants the one before; often more is asked while that is under way.
pub(crate) fn ask(world: &mut World) -> Option<Event> {
    if world.is_calm() {
        return None;
    }
    let bad = world.faults().release_bad;
    let rng = &mut world.links.rng;
    let app = world.disk.any(rng);
    let mut new = |rng: &mut Rng| Some(folder(&app, world.disk.another(bad, rng)));
    let target = if rng.chance(0.75) { new(rng) } else { None };
    let mut later = Vec::new();
    if rng.chance(0.6) {
        let request = match rng.below(7) {
            0 => switch(app.clone(), target.clone()),
            1 | 2 => switch(app.clone(), new(rng)),
            3 | 4 => switch(app.clone(), None),
            5 => Command::Stop { app: app.clone() },
            _ => Command::restart(app.clone()),
        };
        let stops = matches!(request, Command::Stop { .. });
        let delay = if rng.chance(0.3) { rng.millis(0, 100) } else { rng.millis(0, 9000) };
        later.push((delay, request));
        if stops {
            later.push((delay * 2, Command::Start { app: app.clone() }));
        }
    }
    for (delay, request) in later {
        world.ask_after(delay, request);
    }
    let id = world.disk.next_request();
    Some(Event::Requested { id, command: switch(app, target) })
}
