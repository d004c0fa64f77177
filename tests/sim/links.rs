//! Links that lead to releases: turned when ostlerd says so, kept, put back, or not; and people who name releases.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Command, Event, LinkFact, LinkOrder, Outcome, Target};

use crate::rng::Rng;
use crate::world::World;

/// What is written down of one app's link. Where it leads is the version on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    serving: Option<u64>,
    before: Option<u64>,
    unproven: Option<Unproven>,
}

#[derive(Clone, Debug)]
struct Unproven {
    to: u64,
    from: u64,
    back: bool,
}

/// Drawn aside, so that what a seed stands for otherwise stays as it was.
pub(crate) struct Links {
    pub(crate) rng: Rng,
    records: BTreeMap<AppName, Record>,
}

impl Links {
    pub(crate) fn drawn(rng: &Rng) -> Links {
        let mut rng = rng.clone();
        // The generator's first numbers are spoken for.
        (0..37).for_each(|_| _ = rng.below(2));
        Links { rng, records: BTreeMap::new() }
    }

    /// When somebody names a release.
    pub(crate) fn asks(&mut self, calm_from: Duration) -> Vec<Duration> {
        let count = if self.rng.chance(0.6) { self.rng.within(1, 6) } else { 0 };
        let last = calm_from.as_millis() as u64 - 1;
        (0..count).map(|_| self.rng.millis(0, last)).collect()
    }

    /// The apps whose link leads to what nobody has proven.
    pub(crate) fn unproven(&self) -> impl Iterator<Item = (&AppName, u64)> {
        self.records.iter().filter_map(|(app, it)| Some((app, it.unproven.as_ref()?.to)))
    }
}

/// The folder of a release.
pub(crate) fn folder(version: u64) -> PathBuf {
    PathBuf::from(format!("/srv/{version}"))
}

fn version(folder: &Path) -> u64 {
    let name = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
    name.expect("every release is in a folder of its own")
}

/// An order is carried out; what is then said of it.
pub(crate) fn carry_out(world: &mut World, app: &AppName, order: &LinkOrder) -> Option<LinkFact> {
    let fails = world.faults().prepare_fails;
    let fails = world.links.rng.chance(fails);
    let disk = world.disk.app_mut(app)?;
    let record = world.links.records.entry(app.clone()).or_default();
    Some(match order {
        LinkOrder::Turn(_) if fails => {
            LinkFact::NotTurned { outcome: Outcome::Refused { reason: "the disk is full".to_owned() } }
        }
        LinkOrder::Turn(target) => {
            let to = match target {
                Target::Release(release) | Target::Serving(release) => Some(version(release)),
                Target::Before => record.before,
            };
            let Some(to) = to else {
                let reason = "no release is known that ran before".to_owned();
                return Some(LinkFact::NotTurned { outcome: Outcome::Invalid { reason } });
            };
            if disk.version == to {
                let is_unproven = record.unproven.as_ref().is_some_and(|it| it.to == to);
                return Some(if is_unproven { LinkFact::Turned { to: folder(to) } } else { LinkFact::There });
            }
            let from = record.unproven.as_ref().map_or(disk.version, |it| it.from);
            record.unproven = Some(Unproven { to, from, back: *target == Target::Before });
            disk.version = to;
            LinkFact::Turned { to: folder(to) }
        }
        LinkOrder::PutBack(to) => {
            let unproven = record.unproven.take().filter(|it| it.to == disk.version);
            if fails && unproven.is_some() {
                record.unproven = unproven;
                return Some(LinkFact::Stuck { reason: "the link cannot be put back".to_owned() });
            }
            if let Some(unproven) = unproven {
                disk.version = to.as_deref().map_or(unproven.from, version);
            }
            LinkFact::Settled
        }
        LinkOrder::Keep(directory) => {
            let kept = version(directory);
            let back = record.unproven.take().is_some_and(|it| it.back);
            if record.serving != Some(kept) {
                let earlier = record.serving.replace(kept);
                record.before = earlier.filter(|_| !back);
            }
            LinkFact::Settled
        }
    })
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
    let mut new = |rng: &mut Rng| Some(folder(world.disk.another(bad, rng)));
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
