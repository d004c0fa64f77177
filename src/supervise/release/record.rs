//! What is known of an app's release link, as it is written down: it has to outlive ostlerd, and a power cut too.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The link that an app's `directory` leads through, and what of `directory` lies below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLink {
    /// Where it is.
    pub path: PathBuf,
    /// The rest of `directory`; often empty.
    pub below: PathBuf,
}

/// Which release serves, which did before, and which the link leads to without proof. Folders are those that the app is run
/// in, links resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseRecord {
    /// What serves.
    pub serving: Option<PathBuf>,
    /// What did before: a rollback goes there.
    pub before: Option<PathBuf>,
    /// What a rollback has left, if that was the last change.
    pub left: Option<PathBuf>,
    /// What was named since and is not proven.
    pub unproven: Option<Unproven>,
}

/// Releases that were named and are not proven. It is written down before the link is moved, and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    /// The link that was moved for them.
    pub link: ReleaseLink,
    /// Where it led before the first of them.
    pub from: PathBuf,
    /// What it said then.
    pub text: PathBuf,
    /// The releases, the newest last. The link leads there, or, while it is moved, still to one before.
    pub named: Vec<Named>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its folder.
    pub directory: PathBuf,
    /// Whether it is a rollback.
    pub back: bool,
}

impl ReleaseRecord {
    /// The release that the link leads to without proof.
    pub fn newest(&self) -> Option<&Path> {
        Some(&self.unproven.as_ref()?.named.last()?.directory)
    }

    /// Whether a release was named and is not proven.
    pub(super) fn has_named(&self, directory: &Path) -> bool {
        self.unproven.iter().flat_map(|it| &it.named).any(|it| it.directory == directory)
    }

    /// A release is named; the link led to `from` until now, and said `text`.
    pub(super) fn name(&mut self, link: ReleaseLink, from: PathBuf, text: PathBuf, release: Named) {
        let unproven = self.unproven.get_or_insert_with(|| Unproven { link, from, text, named: Vec::new() });
        unproven.named.retain(|it| it.directory != release.directory);
        unproven.named.push(release);
    }

    /// The link leads to that folder: it may have been on the way there, or back, when somebody was killed. What somebody
    /// else has moved elsewhere is theirs. A link that leads nowhere is not.
    pub(super) fn leads_to(&mut self, folder: Option<&Path>) {
        let (Some(unproven), Some(folder)) = (&mut self.unproven, folder) else { return };
        match unproven.named.iter().rposition(|it| it.directory == folder) {
            Some(at) => unproven.named.truncate(at + 1),
            None => self.unproven = None,
        }
    }

    /// `directory` serves, and is proven.
    pub fn keep(&mut self, directory: &Path) {
        let unproven = self.unproven.take();
        let back = unproven.iter().flat_map(|it| &it.named).any(|it| it.back && it.directory == directory);
        if self.serving.as_deref() == Some(directory) {
            return;
        }
        let earlier = self.serving.replace(directory.to_owned());
        // A rollback is no way to what was rolled back from: who asks twice is not taken there.
        (self.before, self.left) = if back { (None, earlier) } else { (earlier, None) };
    }

    /// Where the link has to lead again, if everything ended while it led to `folder`: nobody has proven that.
    pub fn led_before(&self, folder: Option<&Path>) -> Option<&Path> {
        let mut found = self.clone();
        found.leads_to(folder);
        found.unproven.as_ref()?;
        Some(&self.unproven.as_ref()?.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(named: &[&str]) -> ReleaseRecord {
        let mut record = ReleaseRecord::default();
        record.keep(Path::new("/1"));
        for directory in named {
            let link = ReleaseLink { path: "/current".into(), below: PathBuf::new() };
            let release = Named { directory: directory.into(), back: false };
            record.name(link, "/1".into(), "1".into(), release);
        }
        record
    }

    #[test]
    fn a_rollback_goes_one_step_and_not_to_and_fro() {
        let mut record = record(&[]);
        record.keep(Path::new("/2"));
        record.keep(Path::new("/2"));
        assert_eq!((record.serving.clone(), record.before.clone()), (Some("/2".into()), Some("/1".into())));
        let link = ReleaseLink { path: "/current".into(), below: PathBuf::new() };
        record.name(link, "/2".into(), "2".into(), Named { directory: "/1".into(), back: true });
        record.keep(Path::new("/1"));
        assert_eq!((record.before.clone(), record.left.clone()), (None, Some("/2".into())));
        record.keep(Path::new("/3"));
        assert_eq!((record.before.clone(), record.left.clone()), (Some("/1".into()), None));
    }

    #[test]
    fn whatever_ends_in_the_middle_the_way_back_is_known() {
        let two = record(&["/2", "/3"]);
        for (folder, newest) in [("/3", Some("/3")), ("/2", Some("/2")), ("/1", None), ("/4", None)] {
            let mut found = two.clone();
            found.leads_to(Some(Path::new(folder)));
            assert_eq!(found.newest(), newest.map(Path::new), "it leads to {folder}");
            let back = two.led_before(Some(Path::new(folder)));
            assert_eq!(back, newest.map(|_| Path::new("/1")), "it leads to {folder}");
        }
        assert_eq!(two.led_before(None), Some(Path::new("/1")), "the release is gone");
    }

    #[test]
    fn a_release_that_is_named_again_is_the_newest() {
        let mut named = record(&["/2", "/3", "/2"]);
        assert_eq!(named.newest(), Some(Path::new("/2")));
        named.leads_to(Some(Path::new("/3")));
        assert_eq!(named.newest(), Some(Path::new("/3")));
    }
}
