//! Where an app's releases are: in the folder that the link of its `directory` leads into.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::lock::denied;
use crate::cli::error::VerbError;
use crate::control::protocol::exit;

/// Of several links the one of this name leads to the release, and so does a missing one.
const USUAL: &str = "current";

/// Beside a link that is not there yet.
const RELEASES: &str = "releases";

/// Of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    link: PathBuf,
    /// The folder that holds them.
    pub(in crate::cli) releases: PathBuf,
    /// The release that the link leads to.
    pub(super) leads_to: Option<PathBuf>,
    /// Whether a file that is equal in two releases is one file: not if one release may write into it.
    pub(super) shares: bool,
}

impl Place {
    /// That of an app whose file says this `directory`.
    pub(in crate::cli) fn of(directory: &Path) -> Result<Place, VerbError> {
        let link = link_of(directory)?;
        let beside = link.parent().unwrap_or(Path::new("/"));
        let Ok(text) = fs::read_link(&link) else {
            let releases = resolved(beside)?.join(RELEASES);
            return Ok(Place { link, releases, leads_to: None, shares: true });
        };
        let target = beside.join(text);
        let folder = target.parent().unwrap_or(Path::new("/"));
        let leads_to = fs::canonicalize(&target).ok();
        Ok(Place { releases: resolved(folder)?, leads_to, link, shares: true })
    }

    /// The same, with releases that share files or do not.
    pub(in crate::cli) fn sharing(self, shares: bool) -> Place {
        Place { shares, ..self }
    }

    /// Makes the folder of releases if it is not there.
    pub(super) fn make(&self) -> Result<(), VerbError> {
        match fs::create_dir(&self.releases) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(denied(&self.releases, &error)),
            _ => Ok(()),
        }
    }

    /// Has the link lead to `release` if there is none yet; whether it does now.
    pub(in crate::cli) fn begin_with(&self, release: &Path) -> Result<bool, VerbError> {
        let text = match (self.releases.parent(), release.file_name()) {
            (Some(folder), Some(name)) if fs::canonicalize(self.folder()).is_ok_and(|it| it == folder) => {
                Path::new(RELEASES).join(name)
            }
            _ => release.to_owned(),
        };
        match symlink(text, &self.link) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(denied(self.folder(), &error)),
        }
    }

    /// The link itself.
    pub(in crate::cli) fn link(&self) -> &Path {
        &self.link
    }

    fn folder(&self) -> &Path {
        self.link.parent().unwrap_or(Path::new("/"))
    }
}

fn resolved(folder: &Path) -> Result<PathBuf, VerbError> {
    fs::canonicalize(folder).map_err(|error| {
        VerbError::said(
            exit::FAILED,
            format!("{}: {error}; make the folder, and give it to the app's user", folder.display()),
        )
    })
}

/// The link that `directory` leads through; where it is not there yet, where it belongs.
fn link_of(directory: &Path) -> Result<PathBuf, VerbError> {
    let is_usual = |it: &&Path| it.file_name().is_some_and(|name| name == USUAL);
    let links: Vec<&Path> = directory.ancestors().filter(|it| it.is_symlink()).collect();
    let missing: Vec<&Path> = directory.ancestors().filter(|it| fs::symlink_metadata(it).is_err()).collect();
    let found = links.iter().copied().find(is_usual).or(match links.as_slice() {
        [link] => Some(link),
        [] => missing.iter().copied().find(is_usual).or(missing.last().copied()),
        _ => None,
    });
    found.map(Path::to_owned).ok_or_else(|| {
        let directory = directory.display();
        let why = match links.is_empty() {
            true => format!("{directory} leads through no link, which could lead to a release: `directory` has to name `{USUAL}`"),
            false => format!("{directory} leads through several links, and none of them is called {USUAL}"),
        };
        VerbError::said(exit::USAGE, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_where_the_link_leads_and_beside_it_where_there_is_none() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let current = root.join("current");
        let place = Place::of(&current.join("app")).unwrap();
        assert_eq!(
            (place.link.clone(), place.releases.clone(), place.leads_to.clone()),
            (current.clone(), root.join("releases"), None)
        );
        place.make().unwrap();
        fs::create_dir_all(root.join("releases/1")).unwrap();
        assert!(place.begin_with(&root.join("releases/1")).unwrap());
        assert_eq!(fs::read_link(&current).unwrap(), Path::new("releases/1"));
        let place = Place::of(&current).unwrap();
        assert_eq!(place.leads_to, Some(root.join("releases/1")));
        assert!(!place.begin_with(&root.join("releases/2")).unwrap(), "a link that is there is left alone");
        fs::remove_file(&current).unwrap();
        fs::create_dir_all(root.join("elsewhere/1")).unwrap();
        symlink("elsewhere/1", &current).unwrap();
        assert_eq!(Place::of(&current).unwrap().releases, root.join("elsewhere"));
    }

    #[test]
    fn without_a_link_there_is_no_place() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("current")).unwrap();
        let error = Place::of(&root.path().join("current")).unwrap_err();
        assert_eq!(error.exit_status(), 64);
        assert!(error.to_string().contains("leads through no link"), "{error}");
    }
}
