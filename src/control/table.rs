//! The status, drawn for people.

use crate::observe::{AppStatus, ConfigStatus, DrainStatus, Status, WorkerStatus};
use crate::supervise::{AppState, LastWords, PhaseView, RolloutView, WorkerState};

use super::screen::{Ink, Screen, bytes, duration, one_line, plain};
use super::verdict;

/// Of a traceback, the end tells most.
const LAST_LINES: usize = 12;

/// The whole picture, each line ended.
pub(super) fn render(status: &Status, screen: Screen) -> String {
    let mut page = Page { screen, text: String::new() };
    page.config(&status.config);
    let daemon = format!("ostlerd {}, pid {}, {}", status.version, status.pid, status.config.file);
    page.line(0, &screen.paint(Ink::Faint, &one_line(&daemon)));
    if let Some(drain) = &status.drain {
        page.line(0, &screen.paint(Ink::Yellow, &drain_words(drain)));
    }
    if status.apps.is_empty() {
        page.line(0, "no apps yet: put one into apps.d");
    }
    let widest = status.apps.iter().map(|app| app.name.as_str().len()).max().unwrap_or(0);
    for app in &status.apps {
        page.text.push('\n');
        page.app(app, widest);
    }
    page.text
}

struct Page {
    screen: Screen,
    text: String,
}

impl Page {
    fn line(&mut self, indent: usize, text: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn config(&mut self, config: &ConfigStatus) {
        if !config.needs_restart.is_empty() {
            let keys = one_line(&config.needs_restart.join(", "));
            self.line(0, &format!("only after a restart of ostlerd: {keys}"));
            self.text.push('\n');
        }
        if config.valid {
            return;
        }
        let headline = "the configuration's files are refused; what ran before goes on";
        self.line(0, &self.screen.paint(Ink::Red, headline));
        self.block(config.problem.as_deref().unwrap_or("no reason was given"), usize::MAX);
        self.text.push('\n');
    }

    fn app(&mut self, app: &AppStatus, widest: usize) {
        self.line(0, &headline(app, widest, self.screen));
        if !app.listeners.is_empty() {
            self.line(2, &format!("listens on {}", one_line(&app.listeners.join("  "))));
        }
        if let Some(directory) = &app.directory {
            self.line(2, &format!("code from {}", one_line(directory)));
        }
        if let Some(rollout) = &app.rollout {
            self.line(2, &self.screen.paint(Ink::Cyan, &rollout_words(rollout)));
        }
        self.migration(app);
        // What is wrong because of a migration has been said with it.
        let migration = app.last_migration.as_ref().filter(|last| !last.verdict.kind.is_good());
        let said = migration.map(|last| format!("migration {}: {}", last.verdict.kind, last.verdict.reason));
        let is_news = |words: &Option<String>| words.is_none() || *words != said;
        if let Some(last) = app.last_rollout.as_ref().filter(|last| !last.committed && is_news(&last.reason))
        {
            let generation = last.generation.map(|id| format!(" to {id}")).unwrap_or_default();
            let reason = one_line(last.reason.as_deref().unwrap_or("no reason was given"));
            let words = format!("the last rollout{generation} was rolled back: {reason}");
            self.line(2, &self.screen.paint(Ink::Red, &words));
        }
        if let Some(change) = &app.release_changed {
            self.line(2, &self.screen.paint(Ink::Yellow, &one_line(change)));
        }
        if let Some(problem) = app.problem.as_ref().filter(|_| is_news(&app.problem)) {
            self.line(2, &self.screen.paint(Ink::Red, &format!("problem: {}", one_line(problem))));
        }
        if let Some(seconds) = app.backoff_seconds {
            self.line(2, &self.screen.paint(Ink::Yellow, &format!("next start in {}", duration(seconds))));
        }
        if let Some(words) = &app.last_words {
            self.last_words(words);
        }
        self.workers(&app.workers);
    }

    fn migration(&mut self, app: &AppStatus) {
        if let Some(migration) = &app.migration {
            let ink = if migration.is_troubled() { Ink::Yellow } else { Ink::Cyan };
            self.line(2, &self.screen.paint(ink, &format!("migration: {}", one_line(&migration.summary))));
        }
        let Some(last) = app.last_migration.as_ref().filter(|last| !last.verdict.kind.is_good()) else {
            return;
        };
        let words = format!(
            "the last migration of {}: {}: {}",
            last.database, last.verdict.kind, last.verdict.reason
        );
        self.line(2, &self.screen.paint(Ink::Red, &one_line(&words)));
        for line in verdict::remedies(app.name.as_str(), &last.verdict).lines() {
            self.line(4, &plain(line));
        }
    }

    fn last_words(&mut self, words: &LastWords) {
        let text = if words.traceback.trim().is_empty() { &words.message } else { &words.traceback };
        if !text.trim().is_empty() {
            self.block(text, LAST_LINES);
        }
    }

    /// Somebody else's words, set off by a bar: the last `most` lines.
    fn block(&mut self, text: &str, most: usize) {
        let text = plain(text);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let skipped = lines.len().saturating_sub(most);
        if skipped > 0 {
            self.line(2, &self.screen.paint(Ink::Faint, &format!("│ … {skipped} lines more")));
        }
        for line in &lines[skipped..] {
            self.line(2, &format!("{} {line}", self.screen.paint(Ink::Faint, "│")));
        }
    }

    fn workers(&mut self, workers: &[WorkerStatus]) {
        if workers.is_empty() {
            return;
        }
        let mut rows = vec![COLUMNS.map(str::to_owned)];
        rows.extend(workers.iter().map(row));
        let widths: Vec<usize> = (0..COLUMNS.len())
            .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
            .collect();
        for (number, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                // Names and words to the left, numbers to the right.
                let padded = if TEXT.contains(&column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                };
                match (number, column) {
                    (0, _) => self.screen.paint(Ink::Faint, &padded),
                    (_, STATE) => self.screen.paint(worker_ink(workers[number - 1].state), &padded),
                    _ => padded,
                }
            });
            let text = cells.collect::<Vec<_>>().join("  ");
            self.line(2, &text);
        }
    }
}

const COLUMNS: [&str; 9] = ["WORKER", "PID", "GEN", "STATE", "AGE", "REQUESTS", "NOW", "OLDEST", "MEMORY"];
const STATE: usize = 3;
const TEXT: [usize; 3] = [0, 2, STATE];

fn row(worker: &WorkerStatus) -> [String; 9] {
    let none = || "-".to_owned();
    [
        worker.id.to_string(),
        worker.pid.map_or_else(none, |pid| pid.to_string()),
        worker.generation.to_string(),
        worker_word(worker.state).to_owned(),
        duration(worker.age_seconds),
        worker.requests.to_string(),
        worker.in_flight.to_string(),
        worker.oldest_request_seconds.map_or_else(none, duration),
        worker.rss_bytes.map_or_else(none, bytes),
    ]
}

/// `shop  serving  g7  4 of 4 workers ready  gthread, gunicorn 27.0.1`
fn headline(app: &AppStatus, widest: usize, screen: Screen) -> String {
    let ready = app.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count();
    let (word, ink) = app_word(app.state);
    let mut parts =
        vec![screen.paint(Ink::Bold, &format!("{:<widest$}", app.name.as_str())), screen.paint(ink, word)];
    parts.extend(app.generation.map(|id| id.to_string()));
    parts.push(format!("{ready} of {} workers ready", app.workers_wanted));
    parts.extend(app.runs.as_deref().map(one_line));
    parts.join("  ")
}

/// `draining since 2m05s: readiness fails; the edge notices within 3.0s; ends by itself in 10m`
fn drain_words(drain: &DrainStatus) -> String {
    let mut words = format!("draining since {}: readiness fails", duration(drain.since_seconds));
    if drain.edge_wait_seconds > 0.0 {
        words.push_str(&format!("; the edge notices within {}", duration(drain.edge_wait_seconds)));
    }
    match (drain.stopping, drain.ends_in_seconds) {
        (true, _) => words.push_str("; ostlerd stops after it"),
        (false, Some(left)) => words.push_str(&format!("; ends by itself in {}", duration(left))),
        (false, None) => words.push_str("; `ostler undrain` ends it"),
    }
    words
}

fn rollout_words(rollout: &RolloutView) -> String {
    let to = rollout.generation.map(|id| format!(" to {id}")).unwrap_or_default();
    let phase = match rollout.phase {
        PhaseView::Preparing => "preparing",
        PhaseView::Migrating => "migrating",
        PhaseView::Replacing => "replacing workers",
        PhaseView::Settling => "watching the new workers",
        PhaseView::RollingBack => "rolling back",
    };
    let failures = match rollout.failures {
        0 => String::new(),
        1 => ", 1 failure".to_owned(),
        n => format!(", {n} failures"),
    };
    format!("rollout{to}: {phase}, {} of {} ready{failures}", rollout.ready, rollout.wanted)
}

fn app_word(state: AppState) -> (&'static str, Ink) {
    match state {
        AppState::Starting => ("starting", Ink::Cyan),
        AppState::Serving => ("serving", Ink::Green),
        AppState::RollingOut => ("rolling out", Ink::Cyan),
        AppState::RollingBack => ("rolling back", Ink::Yellow),
        AppState::Degraded => ("degraded", Ink::Yellow),
        AppState::Failed => ("failed", Ink::Red),
        AppState::Stopping => ("stopping", Ink::Yellow),
        AppState::Stopped => ("stopped", Ink::Faint),
    }
}

fn worker_word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Booting => "booting",
        WorkerState::Held => "held",
        WorkerState::Ready => "ready",
        WorkerState::Draining => "draining",
        WorkerState::Ending => "ending",
    }
}

fn worker_ink(state: WorkerState) -> Ink {
    match state {
        WorkerState::Ready => Ink::Green,
        WorkerState::Booting | WorkerState::Held => Ink::Cyan,
        WorkerState::Draining => Ink::Yellow,
        WorkerState::Ending => Ink::Red,
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
