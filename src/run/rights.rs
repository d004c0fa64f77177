//! Whose rights a path is followed with.
//!
//! Root does nothing for an app that its user could not do himself: what an app names is done with the rights on files of its
//! user. What the configuration names may be root's own to do as well, but only where nobody but root can lead the way to it
//! elsewhere ([`roots_own`]).

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::files;
use crate::plan::Account;

/// As the kernel has it.
const LINKS_MOST: usize = 40;

/// Does something with the rights on files of `whom`, in a thread of its own that has no others and ends with it.
///
/// # Errors
///
/// The rights cannot be had, or no thread.
pub(super) fn as_whom<T: Send>(whom: Option<&Account>, what: impl FnOnce() -> T + Send) -> io::Result<T> {
    let at = files::here();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rights".to_owned()).spawn_scoped(scope, || {
            files::go_on_at(at);
            if let Some(whom) = whom {
                let groups: Vec<_> =
                    whom.groups.iter().map(|gid| rustix::process::Gid::from_raw(*gid)).collect();
                rustix::thread::set_thread_groups(&groups)?;
                setfsgid(Gid::from_raw(whom.gid));
                // With it go root's capabilities on files.
                setfsuid(Uid::from_raw(whom.uid));
            }
            Ok(what())
        })?;
        thread.join().expect("looking at files does not panic")
    })
}

/// Why root does not touch a path for somebody else.
#[derive(Debug)]
pub(super) enum NotRoots {
    /// Somebody else could lead it elsewhere: this part of it.
    Changeable {
        /// Which.
        part: PathBuf,
        /// By whom.
        by: String,
    },
    /// It cannot be followed.
    Failed(Errno),
}

impl From<Errno> for NotRoots {
    fn from(error: Errno) -> NotRoots {
        NotRoots::Failed(error)
    }
}

/// The folder `path`, where all of the way to it is root's: no folder or link of it can be changed by anybody else, so it is
/// the same folder for whoever follows the path next. Missing folders are made where `make` says so.
pub(super) fn roots_own(path: &Path, make: bool) -> Result<OwnedFd, NotRoots> {
    let mut way = PathWalk::at_root()?;
    let mut rest: VecDeque<OsString> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            way.up()?;
            continue;
        }
        let found = match way.step(&part) {
            Err(Errno::ENOENT) if make => {
                mkdirat(&way.at, part.as_os_str(), Mode::from_bits_truncate(0o755))?;
                way.step(&part)
            }
            found => found,
        };
        let found = found?;
        let stat = fstat(&found)?;
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFLNK => {
                // Whoever owns a link in a folder like /tmp can replace it.
                is_roots(&stat, &way.path.join(&part))?;
                links += 1;
                if links > LINKS_MOST {
                    return Err(Errno::ELOOP.into());
                }
                let target = PathBuf::from(readlinkat(&found, "")?);
                if target.is_absolute() {
                    way = PathWalk::at_root()?;
                }
                let mut more = parts(&target);
                more.append(&mut rest);
                rest = more;
            }
            SFlag::S_IFDIR => way = way.into(found, &stat, &part)?,
            _ => return Err(Errno::ENOTDIR.into()),
        }
    }
    // In one like /tmp others make files of their own, which are not root's to remove.
    if way.is_shared {
        return Err(NotRoots::Changeable { part: way.path, by: "everybody".to_owned() });
    }
    Ok(way.at)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |it: Component<'_>| match it {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

/// How far a path has been followed.
struct PathWalk {
    at: OwnedFd,
    path: PathBuf,
    /// Whether others may make files here, as in /tmp, but not touch those of root's.
    is_shared: bool,
}

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

impl PathWalk {
    fn at_root() -> Result<PathWalk, NotRoots> {
        let at = open("/", FOLDER, Mode::empty())?;
        let path = PathBuf::from("/");
        let is_shared = is_shared(&fstat(&at)?, &path)?;
        Ok(PathWalk { at, path, is_shared })
    }

    fn step(&self, part: &OsString) -> Result<OwnedFd, Errno> {
        files::at(&self.path.join(part));
        openat(&self.at, part.as_os_str(), FOLDER, Mode::empty())
    }

    fn into(self, at: OwnedFd, stat: &FileStat, part: &OsString) -> Result<PathWalk, NotRoots> {
        let path = self.path.join(part);
        let is_shared = is_shared(stat, &path)?;
        Ok(PathWalk { at, path, is_shared })
    }

    fn up(&mut self) -> Result<(), NotRoots> {
        self.at = openat(&self.at, "..", FOLDER, Mode::empty())?;
        self.path.pop();
        self.is_shared = is_shared(&fstat(&self.at)?, &self.path)?;
        Ok(())
    }
}

fn is_roots(stat: &FileStat, path: &Path) -> Result<(), NotRoots> {
    if stat.st_uid == 0 {
        return Ok(());
    }
    let by = super::identity::account_of_uid(stat.st_uid, stat.st_gid).name;
    Err(NotRoots::Changeable { part: path.to_owned(), by: format!("{by}, whose it is") })
}

/// Whether others may make files in a folder of root's, but nothing else; where they may do more, it is an error.
fn is_shared(stat: &FileStat, path: &Path) -> Result<bool, NotRoots> {
    is_roots(stat, path)?;
    let by = match stat.st_mode {
        mode if mode & 0o002 != 0 => "everybody",
        mode if mode & 0o020 != 0 && stat.st_gid != 0 => "its group",
        _ => return Ok(false),
    };
    if stat.st_mode & 0o1000 != 0 {
        return Ok(true);
    }
    Err(NotRoots::Changeable { part: path.to_owned(), by: by.to_owned() })
}

/// Whether `whom` could put something else in the place of what is in a folder, by its owner, group and mode.
pub(super) fn may_change(whom: &Account, (uid, gid, mode): (u32, u32, u32)) -> bool {
    let in_group = whom.gid == gid || whom.groups.contains(&gid);
    let is_open = mode & 0o002 != 0 || mode & 0o020 != 0 && in_group;
    uid == whom.uid || is_open && mode & 0o1000 == 0
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    const SOMEBODY: u32 = 4711;

    fn folder(path: PathBuf, owner: u32, mode: u32) -> PathBuf {
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }

    #[test]
    fn root_goes_where_nobody_else_can_lead_him_elsewhere() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can make what is others'");
            return;
        }
        let site = tempfile::tempdir().unwrap();
        let own = folder(site.path().join("own"), 0, 0o755);
        let refused = |path: &Path, part: &Path| match roots_own(path, false) {
            Err(NotRoots::Changeable { part: found, .. }) => assert_eq!(found, part),
            other => panic!("{}: {other:?}", path.display()),
        };
        roots_own(&own, false).unwrap();
        roots_own(&own.join("../own"), false).unwrap();
        roots_own(&own.join("a/b"), false).unwrap_err();
        roots_own(&own.join("a/b"), true).unwrap();
        assert!(own.join("a/b").is_dir());

        let his = folder(own.join("his"), SOMEBODY, 0o755);
        let inner = folder(his.join("inner"), 0, 0o755);
        refused(&his, &his);
        refused(&inner, &his);
        let open = folder(own.join("open"), 0, 0o757);
        refused(&open, &open);
        let group = folder(own.join("group"), 0, 0o775);
        roots_own(&group, false).unwrap();
        chown(&group, None, Some(SOMEBODY)).unwrap();
        refused(&group, &group);

        // As in /tmp: what is root's there stays where it is, and new files are anybody's.
        let shared = folder(own.join("shared"), 0, 0o1777);
        let deep = folder(shared.join("deep"), 0, 0o755);
        roots_own(&deep, false).unwrap();
        refused(&shared, &shared);

        for (owner, name) in [(0, "link"), (SOMEBODY, "his-link")] {
            let link = shared.join(name);
            symlink("../a", &link).unwrap();
            std::os::unix::fs::lchown(&link, Some(owner), None).unwrap();
            let found = roots_own(&link.join("b"), false);
            assert_eq!(found.is_ok(), owner == 0, "{found:?}");
        }
        symlink("round", own.join("round")).unwrap();
        assert!(matches!(roots_own(&own.join("round"), false), Err(NotRoots::Failed(Errno::ELOOP))));
    }
}
