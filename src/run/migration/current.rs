//! Which code has run on its databases with nothing pending: a mark beside the app's history. A start with the same code needs
//! nothing of them.

use std::hash::{DefaultHasher, Hasher};

use crate::run::own_file;
use crate::supervise::Opening;

use super::history::{History, HistoryError};

/// A longer file is no mark.
const LONGEST: u64 = 1024;

/// Whether the mark is that of this code, with these settings. What cannot be read, or is not ostlerd's own, is not.
pub(super) fn is(history: &History, opening: &Opening) -> bool {
    let kept = history.is_ours().is_ok().then(|| own_file::read(&history.mark(), LONGEST).ok()).flatten();
    kept.is_some_and(|kept| kept.trim_ascii_end() == mark(opening).as_bytes())
}

/// Keeps it for this code.
///
/// # Errors
///
/// The history's folder cannot be made or is not ostlerd's own, or the file cannot be written.
pub(super) fn keep(history: &History, opening: &Opening) -> Result<(), HistoryError> {
    match is(history, opening) {
        true => Ok(()),
        false => history.keep_mark(&mark(opening)),
    }
}

/// All by which it is decided what is pending, and where. Nothing of the environment, which may hold secrets, can be read from
/// it. Another Rust may make another mark of the same: then a start needs the databases once.
fn mark(opening: &Opening) -> String {
    let Opening { blueprint, migrate, .. } = opening;
    let all = (
        (&blueprint.directory, &blueprint.python, &blueprint.release, &blueprint.env),
        blueprint.account.as_ref().map(|it| it.uid),
        (&migrate.command, &migrate.databases),
    );
    let mut hasher = DefaultHasher::new();
    hasher.write(format!("{all:?}").as_bytes());
    format!("{:016x}", hasher.finish())
}
