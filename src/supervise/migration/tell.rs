//! The events of migrations as sentences for people.

use std::fmt;

use super::super::app_event::AppEventKind;
use super::fact::Backend;
use super::outcome::{Verdict, VerdictKind};

/// So many pending migrations are named in a line; `--plan` and the events have all.
const SHOWN: usize = 5;

/// Says what happened to a migration; nothing of what is about workers.
pub(in crate::supervise) fn tell(kind: &AppEventKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use AppEventKind::*;
    match kind {
        MigrationStarted { database, owed: true, .. } => write!(
            f,
            "migrating database {database}: nothing is pending; `migrate` runs once for this code, for what hangs on it \
             (post_migrate)"
        ),
        MigrationStarted { database, pending, .. } => match pending.len() {
            0 => write!(f, "migrating database {database}"),
            count => {
                let (shown, more) = (&pending[..count.min(SHOWN)], count.saturating_sub(SHOWN));
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                write!(f, "migrating database {database}: {count} pending: {}{more}", shown.join(", "))
            }
        },
        MigrationQueued => write!(f, "waits for the work on its databases that is under way"),
        MigrationBusy { holder } => write!(f, "waits for another server that migrates: {holder}"),
        StartDelayed { delay } => {
            write!(f, "nothing serves: the start is tried again in {:.1} s", delay.as_secs_f64())
        }
        StartedWithoutDatabase { reason } => write!(
            f,
            "started although its databases could not be asked ({reason}): this code has run here before with nothing pending. The \
             databases are asked until they answer"
        ),
        MigrationSwept { backends } => {
            write!(f, "ended what an earlier, dead migration had left running: {}", listed(backends))
        }
        MigrationBegins { name, number, of } => write!(f, "applying {name} ({number} of {of})"),
        MigrationApplied { name, seconds } => write!(f, "applied {name} in {seconds:.2} s"),
        MigrationBlocked { by } => write!(f, "the migration waits for a lock that is held by {}", listed(by)),
        MigrationHarm { blocked } => write!(f, "{blocked} others wait behind the migration"),
        MigrationWarned { words } => write!(f, "migration: {words}"),
        MigrationAborting { migration: Some(name), reason } => write!(f, "ending {name}: {reason}"),
        MigrationAborting { migration: None, reason } => write!(f, "ending the migration: {reason}"),
        MigrationRung { rung } => write!(f, "ending the migration: {rung}"),
        MigrationRetry { attempt, delay, reason } => write!(
            f,
            "try {attempt} of the migration met a lock, the next is in {:.1} s: {reason}",
            delay.as_secs_f64()
        ),
        ServingTried { generation, failure: None } => {
            write!(f, "the code that serves ({generation}) answers its probe on the migrated database")
        }
        ServingTried { generation, failure: Some(words) } => write!(
            f,
            "the code that serves ({generation}) does not go on with the migrated database: {}; its clients meet that until \
             a release that fits serves",
            words.message
        ),
        MigrationEnded { verdict, .. } => ended(verdict, f),
        NotRolledOut { reason, serving: Some(generation) } => {
            write!(f, "not rolled out: {reason}; generation {generation} goes on serving")
        }
        NotRolledOut { reason, serving: None } => write!(f, "not started: {reason}; nothing serves"),
        MigrationResolved => write!(f, "somebody says that the database is put right; migrations run again"),
        PostDeployStarted => write!(f, "running post_deploy"),
        PostDeployEnded { took } => write!(f, "post_deploy ended well after {:.1} s", took.as_secs_f64()),
        PostDeployFailed { words } => write!(f, "post_deploy failed: {words}; no code is rolled back"),
        _ => Ok(()),
    }
}

fn ended(verdict: &Verdict, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "migration {}: {}", verdict.kind, verdict.reason)?;
    for left in &verdict.leftovers {
        let did = match (left.removed, verdict.kind) {
            (true, _) => "removed",
            (false, VerdictKind::Refused) => "instead",
            (false, _) => "to put right",
        };
        match verdict.reason.contains(&left.what) {
            true => write!(f, "; {did}: {}", left.remedy)?,
            false => write!(f, "; {} ({did}: {})", left.what, left.remedy)?,
        }
    }
    Ok(())
}

/// `psql (pid 4711, idle in transaction, open for 12 s, `SELECT 1`)`, and the next. One without a process has no number.
pub(super) fn listed(backends: &[Backend]) -> String {
    let one = |it: &Backend| {
        let mut parts = Vec::new();
        if it.pid > 0 {
            parts.push(format!("pid {}", it.pid));
        }
        if !it.state.is_empty() {
            parts.push(it.state.clone());
        }
        if it.seconds > 0 {
            parts.push(format!("open for {} s", it.seconds));
        }
        if !it.query.is_empty() {
            parts.push(format!("`{}`", it.query));
        }
        if parts.is_empty() {
            it.application.clone()
        } else {
            format!("{} ({})", it.application, parts.join(", "))
        }
    };
    backends.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::ids::GenerationId;
    use crate::supervise::pool::StopSignal;

    #[test]
    fn a_migration_that_is_ended_and_a_release_that_stays_out_are_told_in_a_sentence() {
        let reason = || "migration failed: it met a lock".to_owned();
        let serving = Some(GenerationId(3));
        for (kind, told) in [
            (
                AppEventKind::NotRolledOut { reason: reason(), serving },
                "not rolled out: migration failed: it met a lock; generation g3 goes on serving",
            ),
            (
                AppEventKind::NotRolledOut { reason: reason(), serving: None },
                "not started: migration failed: it met a lock; nothing serves",
            ),
            (AppEventKind::MigrationRung { rung: StopSignal::Interrupt }, "ending the migration: SIGINT"),
            (
                AppEventKind::MigrationRung { rung: StopSignal::Cancel },
                "ending the migration: cancel its statements",
            ),
        ] {
            assert_eq!(kind.to_string(), told);
        }
    }
}
