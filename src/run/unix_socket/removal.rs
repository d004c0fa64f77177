//! Socket files on their way out: each is removed by a thread that may hang, and none is made at the same path meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;

use crate::run::files;
use crate::run::listen_error::ListenError;

/// So long whoever comes next waits.
const MOST: Duration = Duration::from_secs(4);

/// Paths at which files are being removed, and how many.
static UNDER_WAY: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

static ENDED: Condvar = Condvar::new();

/// Begins to remove the file at this path.
pub(super) fn begin(path: &Path, remove: impl FnOnce() + Send + 'static) {
    *under_way().entry(path.to_owned()).or_default() += 1;
    let ended = path.to_owned();
    let begun = files::apart(move || {
        remove();
        end(&ended);
    });
    if begun.is_err() {
        end(path);
    }
}

fn end(path: &Path) {
    let mut all = under_way();
    if let Some(count) = all.get_mut(path) {
        *count -= 1;
        if *count == 0 {
            all.remove(path);
        }
    }
    drop(all);
    ENDED.notify_all();
}

/// Waits until no file is being removed at this path.
pub(in crate::run) fn wait_for(path: &Path) -> Result<(), ListenError> {
    files::at(path);
    match wait_while(|all| all.contains_key(path)) {
        true => Ok(()),
        false => Err(ListenError::at_socket(
            path,
            "have the file of the socket before it removed",
            Errno::ETIMEDOUT,
        )),
    }
}

/// Waits until every file has been removed, or hangs. It may take a while: not for the loop.
pub(in crate::run) fn wait_for_all() {
    wait_while(|all| !all.is_empty());
}

/// Whether it came to an end in time.
fn wait_while(is_under_way: impl Fn(&BTreeMap<PathBuf, usize>) -> bool) -> bool {
    let waited = ENDED.wait_timeout_while(under_way(), MOST, |all| is_under_way(all));
    !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
}

fn under_way() -> MutexGuard<'static, BTreeMap<PathBuf, usize>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}
