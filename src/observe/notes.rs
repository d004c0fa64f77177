//! What is to be said of an app beside its numbers, one sentence each. Pure.

use super::outcome::{failed_rollout, failed_rollout_words, nameless};
use super::status::ProofStatus;
use super::words::{Tone, duration, one_line, rollout_words, scaling_words};
use super::{AppStatus, WorkerStatus};

/// What a sentence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The rollout that is under way.
    Rollout,
    /// The migration that is under way.
    Migration,
    /// The last migration, which did not succeed.
    LastMigration,
    /// Migrations that nobody runs.
    Unmigrated,
    /// The last rollout, which was rolled back.
    LastRollout,
    /// The release on disk, which is another than the one that serves.
    Release,
    /// The answer to a probe that nobody asked for, which is bad and was borne with.
    Proof,
    /// What is wrong now.
    Problem,
    /// The next start, which is waited for.
    Backoff,
    /// The number of workers, which follows the load.
    Scaling,
    /// The memory that there is not for more workers.
    Memory,
    /// Workers that drain, and have nothing under way.
    Idle,
}

/// A sentence about an app, on one line and without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub topic: Topic,
    /// How it is to be taken.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
}

/// All that is to be said of `app`, nothing of it twice.
pub fn notes(app: &AppStatus) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut say = |topic, tone, text: &str| notes.push(Note { topic, tone, text: one_line(text) });
    if let Some(rollout) = &app.rollout {
        say(Topic::Rollout, Tone::Busy, &rollout_words(rollout));
    }
    if let Some(migration) = &app.migration {
        let tone = if migration.is_troubled() { Tone::Warn } else { Tone::Busy };
        say(Topic::Migration, tone, &format!("migration: {}", migration.summary));
    }
    // What is wrong because of a migration is said with it, and not once more.
    let failed = app.last_migration.as_ref().filter(|last| !last.verdict.kind.is_good());
    let said = failed.map(|last| format!("migration {}: {}", last.verdict.kind, last.verdict.reason));
    if let Some(last) = failed {
        let words = format!(
            "the last migration of {}: {}: {}",
            last.database, last.verdict.kind, last.verdict.reason
        );
        say(Topic::LastMigration, Tone::Bad, &words);
    }
    for words in &app.unmigrated {
        say(Topic::Unmigrated, Tone::Warn, words);
    }
    let is_news = |words: &Option<String>| words.is_none() || *words != said;
    let last = failed_rollout(app).filter(|last| is_news(&last.reason));
    let is_said = last.is_some_and(|last| last.reason == app.problem);
    if let Some(words) = last.and_then(|_| failed_rollout_words(app)) {
        say(Topic::LastRollout, Tone::Bad, &words);
    }
    if let Some(change) = &app.release_changed {
        say(Topic::Release, Tone::Warn, change);
    }
    let bad = app.proof.as_ref().filter(|proof| proof.probe.as_ref().is_some_and(|probe| !probe.good));
    if let Some(ProofStatus { words, .. }) = bad {
        let remedy = "set `path` in [probe] to a page that shows that the app works";
        say(Topic::Proof, Tone::Warn, &format!("proof: {words}; {remedy}"));
    }
    if let Some(problem) = app.problem.as_ref().filter(|_| is_news(&app.problem) && !is_said) {
        say(Topic::Problem, Tone::Bad, &format!("problem: {}", nameless(app, problem)));
    }
    if let Some(seconds) = app.backoff_seconds {
        say(Topic::Backoff, Tone::Warn, &format!("next start in {}", duration(seconds)));
    }
    if let Some(words) = idle_words(&app.workers) {
        say(Topic::Idle, Tone::Plain, &words);
    }
    if let Some(scaling) = &app.scaling {
        say(Topic::Scaling, Tone::Plain, &scaling_words(scaling));
        if let Some(held) = &scaling.held_back {
            say(Topic::Memory, Tone::Warn, &format!("not more workers: {held}"));
        }
    }
    notes
}

/// `w1 drains with no request under way, and stays for idle connections, at most for the keep-alive of 1m15s`
fn idle_words(workers: &[WorkerStatus]) -> Option<String> {
    let idle = || workers.iter().filter_map(|worker| Some((worker.id, worker.keeps_idle_seconds?)));
    let longest = idle().map(|(_, seconds)| seconds).reduce(f64::max)?;
    let names: Vec<String> = idle().map(|(id, _)| id.to_string()).collect();
    let (drain, stay) = if names.len() == 1 { ("drains", "stays") } else { ("drain", "stay") };
    Some(format!(
        "{} {drain} with no request under way, and {stay} for idle connections, at most for the keep-alive of {}",
        names.join(", "),
        duration(longest),
    ))
}
