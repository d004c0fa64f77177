//! Laws about release links.

use ostler::config::AppName;
use ostler::supervise::{Action, AppState, AppView, Command, LinkOrder, Outcome};

use super::Verdict;
use crate::ledger::Ledger;
use crate::links::folder;
use crate::world::World;

/// What is newly written down to serve, serves; before the first release is named, the one that the link leads to is all that
/// is known.
pub(crate) fn the_proven_serves(world: &World, views: &[AppView], actions: &[Action]) -> Verdict {
    for action in actions {
        let Action::SwitchRelease { app, order: LinkOrder::Write(record) } = action else { continue };
        let Some(kept) = &record.serving else { continue };
        let view = views.iter().find(|view| view.name == *app);
        let serving = view.and_then(|view| Some(&view.blueprint.as_ref()?.directory));
        let first = record.unproven.as_ref().map(|it| &it.from);
        let before = world.links.records.get(app).and_then(|it| it.serving.as_ref());
        if ![serving, first, before].contains(&Some(kept)) && !world.links.lost.contains(app) {
            return Err(format!("{app}: {kept:?} is kept, and what serves is {serving:?}"));
        }
    }
    Ok(())
}

/// An app with nothing under way, and the release that its link leads to; only if ostlerd has moved it there.
fn at_rest<'a>(
    world: &'a World,
    ledger: &'a Ledger,
    views: &'a [AppView],
) -> impl Iterator<Item = (&'a AppView, u64)> {
    let reads = ledger.start.reading.is_some() || ledger.start.left.is_some();
    views.iter().filter(move |_| !reads).filter_map(move |view| {
        let links = &world.links;
        let version = world.disk.app(&view.name)?.version;
        let rests = view.rollout.is_none() && view.migration.is_none() && view.state != AppState::Stopping;
        let is_ours = links.is_placed(&view.name, version) && !links.stuck.contains(&view.name);
        (rests && is_ours && !links.ordered.contains(&view.name)).then_some((view, version))
    })
}

fn leads_elsewhere(view: &AppView, version: u64) -> bool {
    view.blueprint.as_ref().is_some_and(|it| it.directory != folder(&view.name, version))
}

/// If nothing is under way, the link leads to the release that serves; `fallen`: of apps for which no release was named
/// since ostlerd fell.
pub(crate) fn links_lead_to_what_serves(
    world: &World,
    ledger: &Ledger,
    views: &[AppView],
    fallen: bool,
) -> Verdict {
    let mut wrong = at_rest(world, ledger, views)
        .filter(|(view, version)| leads_elsewhere(view, *version))
        .filter(|(view, _)| world.links.fallen.contains(&view.name) == fallen);
    match wrong.next() {
        Some((view, version)) => {
            let serving = view.blueprint.as_ref().map(|it| &it.directory);
            Err(format!("the link of {} leads to v{version}, and {serving:?} serves", view.name))
        }
        None => Ok(()),
    }
}

/// A release that does not serve and that the link leads to is written down as not proven, at any moment: a power cut finds
/// the way back.
pub(crate) fn the_way_back_is_written(world: &World, views: &[AppView]) -> Verdict {
    for view in views {
        let links = &world.links;
        let Some(version) = world.disk.app(&view.name).map(|it| it.version) else { continue };
        if !links.is_placed(&view.name, version) || links.ordered.contains(&view.name) {
            continue;
        }
        let record = links.records.get(&view.name).cloned().unwrap_or_default();
        let proven = record.serving == Some(folder(&view.name, version));
        if leads_elsewhere(view, version)
            && !proven
            && record.led_before(Some(&folder(&view.name, version))).is_none()
        {
            return Err(format!("the link of {} leads to v{version}, and {record:?} is written", view.name));
        }
    }
    Ok(())
}

/// Who named a release hears how it went when the link is where it belongs, or is known to be stuck; one that has failed is
/// not what the link leads to.
pub(crate) fn answers_wait_for_the_link(
    world: &World,
    ledger: &Ledger,
    views: &[AppView],
    actions: &[Action],
) -> Verdict {
    let named = |command: &Command| -> Option<AppName> {
        match command {
            Command::Restart { app, release: Some(_), .. } | Command::Rollback { app, .. } => {
                Some(app.clone())
            }
            _ => None,
        }
    };
    for action in actions {
        let Action::Answer { id, outcome } = action else { continue };
        let Some(app) = ledger.asked.get(id).and_then(|it| named(it.request.as_ref()?)) else { continue };
        // Neither has done anything to the link.
        if let Outcome::Refused { .. } | Outcome::Invalid { .. } = outcome {
            continue;
        }
        let Some(version) = world.disk.app(&app).map(|it| it.version) else { continue };
        let goes_on = |it: &AppView| it.rollout.is_some() || it.migration.is_some();
        let reads = ledger.start.reading.is_some();
        let is_ours = world.links.is_placed(&app, version) && !world.links.stuck.contains(&app);
        let view = views.iter().find(|view| view.name == app).filter(|view| !goes_on(view) && !reads);
        if is_ours && view.is_some_and(|view| leads_elsewhere(view, version)) {
            return Err(format!("{id:?} is answered ({outcome}), and the link of {app} leads to v{version}"));
        }
    }
    Ok(())
}
