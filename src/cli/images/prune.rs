//! Which image releases stay, and what goes with the others.

use std::io;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::list::on_disk;
use super::lock::{Lock, denied};
use super::place::Place;
use super::record::{self, Recorded};
use super::remove;
use super::staging::keep_what_is_needed;
use super::steps::{Step, Steps};
use crate::cli::error::VerbError;
use crate::observe::Status;

/// So many of the newest stay, whatever they are.
const KEPT: usize = 5;

/// The folders that ostlerd names as an app's: of the release that serves, and of the one before.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct InUse {
    pub(super) serves: Vec<PathBuf>,
    pub(super) before: Vec<PathBuf>,
}

impl InUse {
    /// Of every app: several may share a folder of releases.
    pub(in crate::cli) fn of(status: &Status) -> InUse {
        let all = |of: fn(&crate::observe::AppStatus) -> Option<&String>| {
            status.apps.iter().filter_map(of).map(PathBuf::from).collect()
        };
        InUse { serves: all(|app| app.directory.as_ref()), before: all(|app| app.before.as_ref()) }
    }
}

/// Whether one of these is the release, or below it.
pub(super) fn names(folders: &[PathBuf], release: &Path) -> bool {
    folders.iter().any(|folder| folder.starts_with(release))
}

/// Removes what is not kept.
pub(in crate::cli) fn prune(place: &Place, used: &InUse, steps: &Steps) -> Result<(), VerbError> {
    let lock = super::lock::take(&place.releases)?;
    prune_locked(&lock, place, used, steps)
}

/// The same while the folder is locked.
pub(super) fn prune_locked(_: &Lock, place: &Place, used: &InUse, steps: &Steps) -> Result<(), VerbError> {
    let failed = |error: io::Error| denied(&place.releases, &error);
    let all = record::all(&place.releases).map_err(failed)?;
    let before = on_disk(&place.releases);
    let gone = surplus(&all, place.leads_to.as_deref(), used);
    for release in &gone {
        remove::tree(&release.folder).map_err(failed)?;
    }
    keep_what_is_needed(&place.releases, &Layout::of(&place.releases)).map_err(failed)?;
    let removed: Vec<String> = gone.iter().map(|it| it.id.clone()).collect();
    let bytes = before.saturating_sub(on_disk(&place.releases));
    Ok(steps.tell(&Step::Pruned { removed: &removed, bytes })?)
}

/// Those that go; `all` has the newest first.
fn surplus<'a>(all: &'a [Recorded], leads_to: Option<&Path>, used: &InUse) -> Vec<&'a Recorded> {
    let linked = |release: &Path| leads_to.is_some_and(|it| it.starts_with(release));
    let needed = |it: &Recorded| {
        linked(&it.folder) || names(&used.serves, &it.folder) || names(&used.before, &it.folder)
    };
    all.iter().skip(KEPT).filter(|it| !needed(it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases(count: usize) -> Vec<Recorded> {
        let release = |number: usize| {
            let folder = PathBuf::from(format!("/srv/shop/releases/r{number}"));
            Recorded::sample(&format!("r{number}"), folder)
        };
        (0..count).map(release).collect()
    }

    fn gone(count: usize, leads_to: Option<&str>, serves: &[&str], before: &[&str]) -> Vec<String> {
        let paths = |names: &[&str]| {
            names.iter().map(|it| PathBuf::from(format!("/srv/shop/releases/{it}"))).collect()
        };
        let used = InUse { serves: paths(serves), before: paths(before) };
        let leads_to = leads_to.map(|it| PathBuf::from(format!("/srv/shop/releases/{it}")));
        surplus(&releases(count), leads_to.as_deref(), &used).into_iter().map(|it| it.id.clone()).collect()
    }

    #[test]
    fn the_last_five_stay_and_what_is_in_use_whatever_its_age() {
        assert_eq!(gone(5, None, &[], &[]), [""; 0]);
        assert_eq!(gone(8, None, &[], &[]), ["r5", "r6", "r7"]);
        assert_eq!(gone(8, Some("r6"), &[], &[]), ["r5", "r7"]);
        assert_eq!(gone(8, None, &["r5/rootfs/app"], &["r7"]), ["r6"]);
        assert_eq!(gone(8, Some("r1"), &["r2"], &["r60"]), ["r5", "r6", "r7"], "r60 is not r6");
    }
}
