//! Whose worker a process is, by what no other user can forge.
//!
//! Names prove nothing: whoever has a user namespace mounts what he likes where he likes, and has a file of any name
//! open. What he cannot have is the app's user without a namespace of his own, a file that belongs to ostlerd's user and
//! that nobody else may open, and a place in the app's scope.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Statx};

use super::super::adopt::SCOREBOARD;
use super::super::board_file::{self, BoardFileId, Left};
use super::super::children::Children;
use super::super::environ;
use super::super::files;
use super::super::identity;
use super::super::mark::Mark;
use super::super::proc::{Stat, cgroup_of, users_of};
use super::super::scope::{ROOT, group_of};
use crate::config::{AppName, Config};
use crate::plan::slice_of;

/// The namespaces that a worker shares with ostlerd.
const SHARED: [&str; 2] = ["user", "pid"];

/// What the workers of the apps have.
#[derive(Debug)]
pub(super) struct OwnershipProof {
    apps: Vec<ExpectedApp>,
    folder: PathBuf,
    namespaces: [PathBuf; SHARED.len()],
    own: u32,
    in_scopes: bool,
}

/// What those of one app have.
#[derive(Debug)]
struct ExpectedApp {
    app: AppName,
    /// `None` of an app that is not configured any more.
    uid: Option<u32>,
    /// The scoreboard that is there now.
    board: Option<BoardFileId>,
    /// The mark in the environment, for a directory that was moved away.
    mark: String,
}

/// One that has proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) app: AppName,
    started: u64,
}

impl OwnershipProof {
    pub(super) fn new(
        children: &Children,
        runtime_directory: &Path,
        config: &Config,
    ) -> Option<OwnershipProof> {
        let folder = runtime_directory.join("scoreboards");
        let own = identity::own_account();
        let expected = |app: &AppName, uid| {
            let (name, value) = Mark::of(runtime_directory, app).variable();
            let board = board_at(&folder.join(app.as_str()));
            ExpectedApp { app: app.clone(), uid, board, mark: format!("{name}={value}") }
        };
        let configured = config.apps.values().map(|app| {
            let account = identity::account_of(app, &own).ok();
            expected(&app.name, account.map(|it| it.map_or(own.uid, |account| account.uid)))
        });
        let files = fs::read_dir(&folder).into_iter().flatten();
        let names = files.filter_map(|file| file.ok()?.file_name().to_str()?.parse::<AppName>().ok());
        let gone = names.filter(|name| !config.apps.contains_key(name)).map(|name| expected(&name, None));
        let apps = configured.chain(gone).collect();
        let namespaces = namespaces("self")?;
        Some(OwnershipProof {
            apps,
            folder,
            namespaces,
            own: own.uid,
            in_scopes: children.scopes().is_some(),
        })
    }

    /// Whose this process is, where it proves that.
    pub(super) fn of(&self, pid: i32) -> Option<Proven> {
        let stat = Stat::of(pid)?;
        // The name costs least, and is asked first for that reason alone.
        let held = PathBuf::from(format!("/proc/{pid}/fd/{SCOREBOARD}"));
        let name = fs::read_link(&held).ok()?;
        if !stat.lives || !is_scoreboard_name(&name) || namespaces(&pid.to_string())? != self.namespaces {
            return None;
        }
        let (uid, board) = (uid_of(pid)?, files::known(&held)?);
        if !self.is_private(&board) {
            return None;
        }
        let is_one = |it: &&ExpectedApp| match it.uid {
            Some(wanted) => uid == wanted && self.is_of(pid, it, &name, &board),
            None => it.board == Some(identity_of(&board)),
        };
        let found = self.apps.iter().find(is_one)?;
        Some(Proven { app: found.app.clone(), started: stat.start })
    }

    fn is_of(&self, pid: i32, expected: &ExpectedApp, name: &Path, board: &Statx) -> bool {
        if self.in_scopes {
            return is_in_scope(pid, &expected.app);
        }
        // Without scopes there is the scoreboard: where it is, or where it was until it was removed or moved.
        let path = self.folder.join(expected.app.as_str());
        let mut removed = path.clone().into_os_string();
        removed.push(" (deleted)");
        let is_named = name.as_os_str() == removed || name.as_os_str() == board_file::link(&path).as_str();
        expected.board == Some(identity_of(board))
            || board.stx_nlink == 0 && is_named
            || expected.uid.is_some_and(|uid| is_marked(pid, uid, &expected.mark))
    }

    /// Whether it is a file that ostlerd's user alone can open.
    fn is_private(&self, board: &Statx) -> bool {
        let mode = u32::from(board.stx_mode);
        FileType::from_raw_mode(mode) == FileType::RegularFile
            && board.stx_uid == self.own
            && mode & 0o077 == 0
    }
}

/// Which scoreboard is the app's: the memory that is noted there, or the file itself.
fn board_at(path: &Path) -> Option<BoardFileId> {
    match board_file::left(path).ok()? {
        Left::Memory(identity) => Some(identity),
        Left::File(file) => board_file::identity(&file).ok(),
    }
}

fn identity_of(board: &Statx) -> BoardFileId {
    (u64::from(board.stx_dev_major) << 32 | u64::from(board.stx_dev_minor), board.stx_ino)
}

/// Whether an open file's name may be that of a scoreboard: with the whole directory its mount may have gone, and then
/// only what was below is left of the name.
fn is_scoreboard_name(name: &Path) -> bool {
    name.parent().and_then(Path::file_name).is_some_and(|folder| folder == "scoreboards")
}

fn is_in_scope(pid: i32, app: &AppName) -> bool {
    let slice = group_of(&slice_of(app));
    let slice = Path::new("/").join(slice.strip_prefix(ROOT).unwrap_or(&slice));
    cgroup_of(pid).is_some_and(|group| Path::new(&group).starts_with(&slice))
}

fn is_marked(pid: i32, uid: u32, mark: &str) -> bool {
    let mut is_one = false;
    environ::each(uid, [pid], |_, environ| {
        is_one = environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes());
    });
    is_one
}

fn namespaces(process: &str) -> Option<[PathBuf; SHARED.len()]> {
    let of = |name| fs::read_link(format!("/proc/{process}/ns/{name}")).ok();
    let [user, pid] = SHARED.map(of);
    Some([user?, pid?])
}

/// Its user, where that is one: real, effective and saved.
fn uid_of(pid: i32) -> Option<u32> {
    let users = users_of(pid)?;
    let first = *users.first()?;
    users.iter().all(|user| *user == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scoreboard_is_looked_for_where_its_name_could_be_one() {
        let is_one = |path: &str| is_scoreboard_name(Path::new(path));
        assert!(is_one("/run/ostler/scoreboards/shop"));
        assert!(is_one("/run/ostler/scoreboards/shop (deleted)"));
        assert!(is_one("/scoreboards/shop (deleted)"));
        assert!(is_one("/memfd:/run/ostler/scoreboards/shop (deleted)"));
        assert!(!is_one("/run/ostler/shop"));
        assert!(!is_one("pipe:[5031923]"));
    }

    #[test]
    fn this_very_process_is_in_its_own_namespaces_and_has_one_user() {
        let own = std::process::id();
        assert_eq!(namespaces(&own.to_string()), namespaces("self"));
        assert_eq!(uid_of(own as i32), Some(nix::unistd::geteuid().as_raw()));
    }
}
