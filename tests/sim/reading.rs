//! The configuration's files, read when ostlerd says so: as they are when that begins or when it ends.

use ostler::plan::{AppPlan, Plan, Refusal};
use ostler::supervise::{Command, ConfigFound, Event};

use crate::rng::Rng;
use crate::world::{Due, World};

/// A reading that is under way.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What keeps its release.
    keep: Plan,
    /// The files as they were when it began, where they were read then.
    early: Option<Plan>,
}

/// Drawn aside, so that what a seed stands for otherwise stays as it was.
pub(crate) fn drawn(rng: &Rng) -> Rng {
    let mut rng = rng.clone();
    // The generator's first numbers are spoken for.
    (0..53).for_each(|_| _ = rng.below(2));
    rng
}

pub(crate) fn begin(world: &mut World, keep: &Plan) {
    let most = if world.readings.chance(world.faults().prepare_slow) { 20_000 } else { 800 };
    let delay = world.readings.millis(20, most);
    let early = world.readings.chance(0.5).then(|| world.disk.plan());
    world.after(delay, Due::ConfigRead(Box::new(Reading { keep: keep.clone(), early })));
}

pub(crate) fn end(world: &mut World, Reading { keep, early }: Reading) -> Event {
    let fails = world.faults().prepare_fails;
    let found = match world.readings.chance(fails * 0.3) {
        true => Err(Refusal::new("shop.toml: line 1: this is no TOML")),
        false => Ok(found(early.unwrap_or_else(|| world.disk.plan()), &keep)),
    };
    Event::ConfigRead { found: Box::new(found) }
}

/// What the files come to; apps of `keep` stay in their release, and such as cannot be prepared are held.
pub(crate) fn found(files: Plan, keep: &Plan) -> ConfigFound {
    let mut found = ConfigFound { machine: files.machine, ..ConfigFound::default() };
    for (name, prepared) in files.apps {
        match prepared {
            Ok(plan) => {
                let kept = keep.apps.get(&name).and_then(|it| it.as_ref().ok());
                let blueprint = kept.map_or(plan.blueprint, |kept| kept.blueprint.clone());
                found.apps.insert(name, AppPlan { blueprint, ..plan });
            }
            Err(refusal) => drop(found.held.insert(name, refusal)),
        }
    }
    found
}

/// What somebody asks for who has edited the files: most want the releases as they are now.
pub(crate) fn command(rng: &mut Rng) -> Command {
    match rng.below(10) {
        0..2 => Command::Reload,
        2 => Command::DryRun,
        _ => Command::Hangup,
    }
}
