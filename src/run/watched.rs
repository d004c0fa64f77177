//! Which directories have to be watched to learn of every change of some files, whatever links lead to them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::files;

/// As many links in one path as the kernel follows.
const LINKS_MOST: usize = 40;

/// Directories, and what in them is of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchedPaths {
    /// To be watched, each without those below it.
    pub directories: BTreeSet<PathBuf>,
    /// Names in them that matter: files, links, and what is not there yet.
    names: BTreeSet<PathBuf>,
    /// Directories where every name matters.
    whole: BTreeSet<PathBuf>,
}

impl WatchedPaths {
    /// Adds what decides what is found under `path`: where it stands, and each link that leads there. What does not
    /// exist is awaited where it would appear.
    ///
    /// Gives the path without links, where it exists.
    pub fn add(&mut self, path: &Path) -> Option<PathBuf> {
        let mut links = 0;
        let mut at = PathBuf::from("/");
        let mut left = parts(path);
        while let Some(part) = left.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            files::at(&next);
            let Ok(meta) = fs::symlink_metadata(&next) else {
                self.see(&at, next);
                return None;
            };
            if meta.is_symlink() {
                self.see(&at, next.clone());
                links += 1;
                let target = fs::read_link(&next).ok().filter(|_| links <= LINKS_MOST)?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    left.push_front(part);
                }
                continue;
            }
            if left.is_empty() {
                self.see(&at, next.clone());
            }
            at = next;
        }
        Some(at)
    }

    /// Adds a directory with all that is in it.
    pub fn add_whole(&mut self, path: &Path) {
        if let Some(directory) = self.add(path)
            && directory.is_dir()
        {
            self.directories.insert(directory.clone());
            self.whole.insert(directory);
        }
    }

    /// Adds what others hold.
    pub fn merge(&mut self, other: &WatchedPaths) {
        self.directories.extend(other.directories.iter().cloned());
        self.names.extend(other.names.iter().cloned());
        self.whole.extend(other.whole.iter().cloned());
    }

    /// Whether a change of this path may be a change of what was added.
    pub fn concern(&self, path: &Path) -> bool {
        self.names.contains(path)
            || self.directories.contains(path)
            || path.parent().is_some_and(|directory| self.whole.contains(directory))
    }

    fn see(&mut self, directory: &Path, name: PathBuf) {
        self.directories.insert(directory.to_owned());
        self.names.insert(name);
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn places(path: &Path) -> (WatchedPaths, PathBuf) {
        let mut places = WatchedPaths::default();
        places.add(path);
        (places, path.parent().unwrap().to_owned())
    }

    #[test]
    fn a_plain_file_is_watched_in_its_directory_and_its_neighbours_are_of_no_concern() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::write(root.join("a"), "").unwrap();
        let (places, _) = places(&root.join("a"));
        assert_eq!(places.directories, BTreeSet::from([root.clone()]));
        assert!(places.concern(&root.join("a")) && !places.concern(&root.join("b")));
        assert!(places.concern(&root), "the directory itself may be taken away");
    }

    #[test]
    fn every_link_on_the_way_is_watched_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("..2026/x")).unwrap();
        fs::write(root.join("..2026/x/file"), "").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/x/file", root.join("file")).unwrap();
        let (places, _) = places(&root.join("file"));
        for name in ["file", "..data", "..2026/x/file"] {
            assert!(places.concern(&root.join(name)), "{name}: {places:?}");
        }
        assert!(places.directories.contains(&root.join("..2026/x")));
    }

    #[test]
    fn what_is_not_there_is_awaited_where_it_would_appear() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let (places, _) = places(&root.join("later/apps.d"));
        assert_eq!(places.directories, BTreeSet::from([root.clone()]));
        assert!(places.concern(&root.join("later")));
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        assert!(WatchedPaths::default().add(&folder.path().join("a")).is_none());
    }
}
