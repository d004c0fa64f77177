//! Files that somebody else than root may hold up: the one way to touch them.
//!
//! A path that an app's user may change can hang whoever looks at it: it may lie on a dead network file system, where even
//! `stat` waits for ever. So whatever looks at such paths does so on a thread of its own, with a limit. A thread that hangs is
//! left behind: neither the loop nor the end of ostlerd waits for it, and for whoever asks next it counts as hanging still.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use tokio::sync::oneshot;

use crate::plan::Refusal;

/// So long a few files may take.
pub(super) const FEW: Duration = Duration::from_secs(5);

/// So long a whole release may take, on a slow disk.
pub(super) const WHOLE: Duration = Duration::from_secs(60);

/// No more threads than this are left hanging for one purpose; then nobody looks until one of them comes back.
const HANGING_MOST: usize = 4;

/// What looks and has not come back.
static LOOKING: Mutex<BTreeMap<u64, Looking>> = Mutex::new(BTreeMap::new());

thread_local! {
    static AT: RefCell<Option<CurrentPath>> = const { RefCell::new(None) };
}

/// Where a look is.
pub(super) type CurrentPath = Arc<Mutex<PathBuf>>;

struct Looking {
    purpose: String,
    at: CurrentPath,
    began: Instant,
}

/// A look that has not come back, or not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It waits for a file.
    Hangs {
        /// What hangs.
        path: PathBuf,
        /// For how long.
        since: Duration,
    },
    /// There is no thread for it, in the system's words.
    NoThread(String),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, since) = match self {
            Held::Hangs { path, since } => (path.display(), since.as_secs()),
            Held::NoThread(error) => {
                return write!(
                    f,
                    "no thread can be made to look at files: {error}; who has so many processes (`ps -eLo user= | sort | uniq -c`), \
                     or so much memory (`free`)? What runs goes on"
                );
            }
        };
        write!(
            f,
            "{path} hangs: whoever looks at it has waited for {since} s; is its file system dead (`timeout 5 stat {path}`)? \
             Bring it back, or name another path; the other apps are not held up"
        )
    }
}

impl From<Held> for Refusal {
    fn from(held: Held) -> Refusal {
        Refusal::new(held.to_string())
    }
}

/// What a look found, where it comes back in time. One that does not goes on alone, and what it finds is lost: it must
/// change nothing.
pub(super) async fn within<T: Send + 'static>(
    purpose: String,
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Held> {
    // The oldest first.
    let hanging: Vec<Held> = looking()
        .values()
        .filter(|it| it.purpose == purpose && it.began.elapsed() > limit)
        .map(Looking::held)
        .collect();
    if hanging.len() >= HANGING_MOST {
        return Err(hanging.into_iter().next().expect("there are several"));
    }
    let (answer, answered) = oneshot::channel();
    let at = CurrentPath::default();
    let number = begin(Looking { purpose, at: at.clone(), began: Instant::now() });
    let began = apart(move || {
        AT.set(Some(at));
        let found = look();
        looking().remove(&number);
        // Whoever asked may have given up.
        let _ = answer.send(found);
    });
    if let Err(error) = began {
        looking().remove(&number);
        return Err(Held::NoThread(error.to_string()));
    }
    match tokio::time::timeout(limit, answered).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => panic!("a look at files has panicked"),
        Err(_) => {
            let held = looking().get(&number).map(Looking::held);
            Err(held.unwrap_or_else(|| Held::Hangs { path: PathBuf::new(), since: limit }))
        }
    }
}

/// Runs it on a thread that nobody waits for, also not the end of ostlerd.
pub(super) fn apart(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("files".to_owned()).stack_size(512 * 1024).spawn(work).map(drop)
}

/// Closes what somebody else has chosen: even that may ask a file system.
pub(super) fn let_go(fd: OwnedFd) {
    // Without a thread it is closed here.
    let _ = apart(move || drop(fd));
}

/// What the kernel knows of a path, or of a descriptor of another process, without asking its file system.
pub(super) fn known(path: &Path) -> Option<Statx> {
    statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS).ok()
}

/// To be said before a path is looked at, by whatever may run in [`within`]: the path that hangs is named.
pub(super) fn at(path: &Path) {
    AT.with_borrow(|at| {
        if let Some(at) = at {
            path.clone_into(&mut lock(at));
        }
    });
}

/// Where this thread looks, for one that goes on with it ([`go_on_at`]).
pub(super) fn here() -> Option<CurrentPath> {
    AT.with_borrow(Clone::clone)
}

/// Has this thread say where it looks in the name of another one.
pub(super) fn go_on_at(at: Option<CurrentPath>) {
    AT.set(at);
}

impl Looking {
    fn held(&self) -> Held {
        Held::Hangs { path: lock(&self.at).clone(), since: self.began.elapsed() }
    }
}

fn begin(look: Looking) -> u64 {
    let mut all = looking();
    let number = all.last_key_value().map_or(0, |(last, _)| last + 1);
    all.insert(number, look);
    number
}

fn looking() -> MutexGuard<'static, BTreeMap<u64, Looking>> {
    lock(&LOOKING)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Time for a thread to begin, on a busy machine too.
    const SHORT: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_look_that_hangs_is_named_and_holds_up_no_other() {
        let (end, wait) = mpsc::channel::<()>();
        let hanging = within("a".to_owned(), SHORT, move || {
            at(Path::new("/dead/file"));
            let _ = wait.recv();
        });
        let held = hanging.await.unwrap_err();
        assert!(held.to_string().starts_with("/dead/file hangs"), "{held}");
        assert_eq!(within("a".to_owned(), FEW, || 1).await, Ok(1));
        drop(end);
    }

    #[tokio::test]
    async fn no_more_than_a_few_threads_hang_for_one_purpose() {
        let (end, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for _ in 0..HANGING_MOST {
            let wait = wait.clone();
            let hanging = within("b".to_owned(), SHORT, move || drop(wait.lock().map(|it| it.recv())));
            hanging.await.unwrap_err();
        }
        within("b".to_owned(), SHORT, || ()).await.unwrap_err();
        assert_eq!(within("c".to_owned(), FEW, || ()).await, Ok(()));
        drop(end);
        // They come back one after the other.
        while within("b".to_owned(), SHORT, || ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
