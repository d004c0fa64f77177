//! Why a command failed that does not say so itself: from its exit and its last lines.

use super::bounded;
use crate::supervise::{CommandFailure, Exit, FailureKind};

/// What databases and their drivers say, and what it means. The first that is found counts.
const TELLTALES: [(&str, FailureKind); 16] = [
    ("canceling statement due to lock timeout", FailureKind::Lock),
    ("deadlock detected", FailureKind::Lock),
    ("Lock wait timeout exceeded", FailureKind::Lock),
    ("Deadlock found when trying to get lock", FailureKind::Lock),
    ("database is locked", FailureKind::Lock),
    ("canceling statement due to user request", FailureKind::Cancelled),
    ("terminating connection due to administrator command", FailureKind::Cancelled),
    ("Query execution was interrupted", FailureKind::Cancelled),
    ("No space left on device", FailureKind::Full),
    ("database or disk is full", FailureKind::Full),
    ("The table is full", FailureKind::Full),
    ("could not extend file", FailureKind::Full),
    ("server closed the connection unexpectedly", FailureKind::Connection),
    ("the connection is closed", FailureKind::Connection),
    ("Lost connection to", FailureKind::Connection),
    ("server has gone away", FailureKind::Connection),
];

/// What our own lines in a command's output begin with.
const OURS: &str = "ostler: ";

/// `None` where the exit is a good one.
pub(super) fn failure(exit: Exit, last: &str) -> Option<CommandFailure> {
    if exit == Exit::Code(0) {
        return None;
    }
    let kind = TELLTALES.iter().find(|(text, _)| last.contains(text)).map(|(_, kind)| *kind);
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with(OURS);
    let line = last.lines().rev().find(said).unwrap_or_default().trim();
    let message = if line.is_empty() { exit.to_string() } else { format!("{exit}: {line}") };
    let kind = kind.unwrap_or_default();
    let mut failure =
        CommandFailure { kind, message, traceback: bounded::end_of(last), ..CommandFailure::default() };
    bounded::failure(&mut failure);
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_from_other_failures_by_the_database_s_own_words() {
        let last =
            "Traceback…\npsycopg2.errors.LockNotAvailable: canceling statement due to lock timeout\n\n";
        let told = failure(Exit::Code(1), last).unwrap();
        assert_eq!(told.kind, FailureKind::Lock);
        assert_eq!(
            told.message,
            "exit status 1: psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout"
        );
        let last = "acme is locked\nostler: progress is not seen: it may be anywhere\n";
        assert_eq!(failure(Exit::Code(3), last).unwrap().message, "exit status 3: acme is locked");
        assert_eq!(failure(Exit::Signal(9), "").unwrap().message, "killed by signal 9 (KILL)");
        assert_eq!(failure(Exit::Code(3), "no such table").unwrap().kind, FailureKind::Migration);
        assert_eq!(failure(Exit::Code(0), "deadlock detected"), None);
    }
}
