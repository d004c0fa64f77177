//! A migration as `ostler status --json` shows it, and in one sentence for people. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::visible_line;
use crate::supervise::{Backend, MigrationPhase, MigrationView, StopSignal, Verdict, VerdictKind};

/// The longest statement of somebody else that a sentence quotes, in characters.
const QUERY_MOST: usize = 80;

/// A migration under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MigrationStatus {
    /// The number of its run.
    pub run: u64,
    /// Which database: an alias of Django's, or `url`.
    pub database: String,
    /// What it does.
    pub phase: MigrationStep,
    /// Since its beginning.
    pub since_seconds: f64,
    /// Which try, from 1; 0 before the first.
    pub attempt: u32,
    /// Who migrates, where another server does.
    #[serde(default)]
    pub holder: Option<String>,
    /// Seconds to the next try, where one is waited for.
    #[serde(default)]
    pub next_try_seconds: Option<f64>,
    /// The migration that is being applied.
    #[serde(default)]
    pub migration: Option<String>,
    /// Which of how many, from 1.
    #[serde(default)]
    pub number: u32,
    /// How many will be applied.
    #[serde(default)]
    pub of: u32,
    /// For how long this one has been.
    #[serde(default)]
    pub migration_seconds: Option<f64>,
    /// How long it took before.
    #[serde(default)]
    pub usually_seconds: Option<f64>,
    /// The operation that is under way.
    #[serde(default)]
    pub operation: Option<OperationStatus>,
    /// What the server says that it does.
    #[serde(default)]
    pub doing: Option<String>,
    /// How much of that is done.
    #[serde(default)]
    pub percent: Option<f64>,
    /// Who blocks it.
    #[serde(default)]
    pub blockers: Vec<Backend>,
    /// How many wait behind it.
    #[serde(default)]
    pub blocked: u32,
    /// For how long the one that has waited longest has.
    #[serde(default)]
    pub harm_seconds: Option<f64>,
    /// Why it is being ended, and how.
    #[serde(default)]
    pub aborting: Option<AbortStatus>,
    /// Something that should be known.
    #[serde(default)]
    pub warning: Option<String>,
    /// All of it in one sentence, as `ostler status` shows it.
    pub summary: String,
}

/// An operation of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// Which, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// What it does.
    pub words: String,
}

/// The end of a migration that is being ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortStatus {
    /// Why, in words.
    pub reason: String,
    /// How far.
    pub rung: StopSignal,
}

/// The steps of a migration, in one word each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationStep {
    /// It finds out what is pending.
    Opening,
    /// Another server migrates.
    Busy,
    /// The command runs.
    Running,
    /// The command is being ended.
    Aborting,
    /// What came of it is being found out.
    Verifying,
    /// It waits for the next try.
    Waiting,
    /// The commands of `post_deploy` run.
    PostDeploy,
}

impl MigrationStatus {
    /// Whether it needs somebody's eye: it is blocked, blocks others, is being ended, or warns.
    pub fn is_troubled(&self) -> bool {
        !self.blockers.is_empty() || self.blocked > 0 || self.aborting.is_some() || self.warning.is_some()
    }
}

impl From<&MigrationView> for MigrationStatus {
    fn from(view: &MigrationView) -> MigrationStatus {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let (phase, holder, next_try) = match &view.phase {
            MigrationPhase::Opening => (MigrationStep::Opening, None, None),
            MigrationPhase::Busy { holder } => (MigrationStep::Busy, Some(holder.clone()), None),
            MigrationPhase::Running => (MigrationStep::Running, None, None),
            MigrationPhase::Aborting => (MigrationStep::Aborting, None, None),
            MigrationPhase::Verifying => (MigrationStep::Verifying, None, None),
            MigrationPhase::Waiting(left) => (MigrationStep::Waiting, None, Some(*left)),
            MigrationPhase::PostDeploy => (MigrationStep::PostDeploy, None, None),
        };
        let (doing, percent) = view.doing.clone().unzip();
        let mut status = MigrationStatus {
            run: view.run.0,
            database: view.database.clone(),
            phase,
            since_seconds: view.since.as_secs_f64(),
            attempt: view.attempt,
            holder,
            next_try_seconds: seconds(next_try),
            migration: view.migration.clone(),
            number: view.number,
            of: view.of,
            migration_seconds: seconds(view.migration_since),
            usually_seconds: seconds(view.usually),
            operation: view.operation.as_ref().map(|(number, of, words)| OperationStatus {
                number: *number,
                of: *of,
                words: words.clone(),
            }),
            doing,
            percent: percent.flatten(),
            blockers: view.blockers.clone(),
            blocked: view.harm.map_or(0, |(blocked, _)| blocked),
            harm_seconds: seconds(view.harm.map(|(_, harm)| harm)),
            aborting: view.aborting.map(|(reason, rung)| AbortStatus { reason: reason.to_string(), rung }),
            warning: view.warning.clone(),
            summary: String::new(),
        };
        status.summary = sentence(&status);
        status
    }
}

/// `applies shop.0007_price (2 of 3) since 12 s (usually 40 s): operation 1 of 2, Add field …; waits for pid 4711 (…)`
fn sentence(status: &MigrationStatus) -> String {
    let mut parts = vec![what(status)];
    if status.phase == MigrationStep::Running {
        if let Some(OperationStatus { number, of, words }) = &status.operation {
            parts.push(format!("operation {number} of {of}, {words}"));
        }
        if let Some(doing) = &status.doing {
            let share = status.percent.map(|percent| format!(" {percent:.0} %")).unwrap_or_default();
            parts.push(format!("{doing}{share}"));
        }
    }
    if let Some(blocker) = status.blockers.first() {
        let more = match status.blockers.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("blocked by {}{more}", backend(blocker)));
    }
    if status.blocked > 0 {
        let who = if status.blocked == 1 {
            "1 other waits".to_owned()
        } else {
            format!("{} others wait", status.blocked)
        };
        parts.push(format!("{who} behind it for {}", time(status.harm_seconds.unwrap_or_default())));
    }
    parts.extend(status.warning.clone());
    // Names, statements and messages are other people's: they make no line of their own.
    visible_line(&parts.join("; ")).into_owned()
}

fn what(status: &MigrationStatus) -> String {
    let database = &status.database;
    let since = time(status.since_seconds);
    match status.phase {
        MigrationStep::Opening => format!("looks what is pending in {database}, since {since}"),
        MigrationStep::Busy => {
            let holder = status.holder.as_deref().unwrap_or("another server");
            format!("waits for another server that migrates {database}, since {since}: {holder}")
        }
        MigrationStep::Waiting => {
            let left = time(status.next_try_seconds.unwrap_or_default());
            format!("met a lock; try {} begins in {left}", status.attempt + 1)
        }
        MigrationStep::Verifying => format!("finds out what came of it in {database}, since {since}"),
        MigrationStep::PostDeploy => format!("runs post_deploy, since {since}"),
        MigrationStep::Running => format!("applies {}", subject(status)),
        MigrationStep::Aborting => {
            let subject = subject(status);
            match &status.aborting {
                Some(AbortStatus { reason, rung }) => format!("ends {subject}: {reason}; now: {rung}"),
                None => format!("ends {subject}"),
            }
        }
    }
}

/// `shop.0007_price (2 of 3) since 12 s (usually 40 s)`
fn subject(status: &MigrationStatus) -> String {
    let Some(name) = &status.migration else {
        return format!("what is pending in {}, since {}", status.database, time(status.since_seconds));
    };
    let count = if status.of > 1 { format!(" ({} of {})", status.number, status.of) } else { String::new() };
    let since = status.migration_seconds.map(|it| format!(" since {}", time(it))).unwrap_or_default();
    let usually = status.usually_seconds.map(|it| format!(" (usually {})", time(it))).unwrap_or_default();
    let attempt = if status.attempt > 1 { format!(", try {}", status.attempt) } else { String::new() };
    format!("{name}{count}{since}{usually}{attempt}")
}

/// `pid 4711 (psql, idle in transaction, for 3 min: SELECT 1)`; one without a process has no number.
pub fn backend(backend: &Backend) -> String {
    let Backend { pid, application, state, query, seconds } = backend;
    let age = if *seconds > 0 { format!("for {}", time(*seconds as f64)) } else { String::new() };
    let known = [application.as_str(), state.as_str(), age.as_str()];
    let known: Vec<&str> = known.into_iter().filter(|it| !it.is_empty()).collect();
    let query: String = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = query.chars().take(QUERY_MOST).collect();
    let cut = if short.len() < query.len() { "…" } else { "" };
    let query = if query.is_empty() { String::new() } else { format!(": {short}{cut}") };
    match (*pid, known.is_empty() && query.is_empty()) {
        (0, _) => format!("{}{query}", known.join(", ")),
        (_, true) => format!("pid {pid}"),
        (_, false) => format!("pid {pid} ({}{query})", known.join(", ")),
    }
}

/// `0.3 s`, `42 s`, `3 min 20 s`, `2 h 5 min`
pub fn time(seconds: f64) -> String {
    let whole = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    match whole {
        0..10 => format!("{:.1} s", if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }),
        10..60 => format!("{whole} s"),
        60..3600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// What a bad end of a migration asks of a person, where that is more than to correct it and try again.
pub fn next_step(app: &str, verdict: &Verdict) -> String {
    match verdict.kind {
        VerdictKind::Nothing | VerdictKind::Applied => String::new(),
        VerdictKind::Refused => format!(
            "nothing was changed; change the release as it says above, then `ostler restart {app}`; or let the code that \
             serves fail until the new one does: `ostler restart {app} --accept-breakage`"
        ),
        VerdictKind::Retryable => format!(
            "nothing was changed; `ostler migrate {app}` tries again, best when nobody holds the lock"
        ),
        VerdictKind::Failed => format!("no migration was applied; {}", another_try(app, verdict)),
        VerdictKind::Partial if verdict.applied.is_empty() => another_try(app, verdict),
        VerdictKind::Partial => format!(
            "{}: the code that serves runs on a newer schema; {}",
            match verdict.applied.len() {
                1 => "1 migration stays applied".to_owned(),
                applied => format!("{applied} migrations stay applied"),
            },
            another_try(app, verdict)
        ),
        VerdictKind::Dirty => format!(
            "nothing migrates by itself until you have done this and said so, on any server: `ostler migrate {app} \
             --resolve`"
        ),
        VerdictKind::Unknown => format!(
            "look at the database yourself (`ostler migrate {app} --plan` says what is pending, `--history` what \
             happened), then `ostler restart {app}` or `ostler migrate {app}`"
        ),
    }
}

fn another_try(app: &str, verdict: &Verdict) -> String {
    let commands = format!("`ostler restart {app}` or `ostler migrate {app}`");
    match verdict.elsewhere {
        true => format!("once that is over or put right, {commands} tries again"),
        false => format!("correct the migration that failed, then {commands}"),
    }
}

#[cfg(test)]
#[path = "migration_tests.rs"]
mod tests;
