//! The status, drawn for people.

use crate::config::counted;
use crate::observe::background::{background_tone, background_words};
use crate::observe::traceback::brief;
use crate::observe::words::{app_word, worker_tone, worker_word};
use crate::observe::{AppStatus, ConfigStatus, Status, Topic, WorkerStatus, notes};
use crate::observe::{drain_words, zygote_words};
use crate::supervise::{LastWords, WorkerState};

use super::screen::{Colour, Screen, bytes, duration, one_line, plain};
use super::verdict;

/// So many lines of a traceback are enough for a first look.
const FIRST_LINES: usize = 16;

/// The whole picture, each line ended.
pub(super) fn render(status: &Status, screen: Screen, whole: bool) -> String {
    let mut page = Page { screen, whole, text: String::new() };
    page.config(&status.config);
    let daemon = format!("ostlerd {}, pid {}, {}", status.version, status.pid, status.config.file);
    page.line(0, &screen.paint(Colour::Faint, &one_line(&daemon)));
    if let Some(drain) = &status.drain {
        page.line(0, &screen.paint(Colour::Yellow, &drain_words(drain)));
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
    /// Whether tracebacks are shown whole.
    whole: bool,
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
        for words in &config.unanswered {
            self.line(0, &self.screen.paint(Colour::Yellow, &one_line(words)));
            self.text.push('\n');
        }
        if config.valid {
            return;
        }
        let headline = "the configuration's files are refused; what ran before goes on";
        self.line(0, &self.screen.paint(Colour::Red, headline));
        self.block(config.problem.as_deref().unwrap_or("no reason was given"), usize::MAX);
        self.text.push('\n');
    }

    fn app(&mut self, app: &AppStatus, widest: usize) {
        self.line(0, &headline(app, widest, self.screen));
        if !app.listeners.is_empty() {
            self.line(2, &format!("listens on {}", one_line(&app.listeners.join("  "))));
        }
        if let Some(directory) = &app.directory {
            let before = app.before.as_ref().map(|it| format!(", before it from {}", one_line(it)));
            self.line(2, &format!("code from {}{}", one_line(directory), before.unwrap_or_default()));
        }
        if let Some(image) = &app.image {
            self.line(2, &format!("image {}", one_line(&image.to_string())));
        }
        let good = app.proof.as_ref().filter(|proof| proof.probe.as_ref().is_none_or(|probe| probe.good));
        if let Some(proof) = good {
            self.line(2, &format!("proof: {}", one_line(&proof.words)));
        }
        if let Some(migrations) = &app.migrations {
            self.line(2, &format!("migrations: {}", one_line(migrations)));
        }
        for note in notes(app) {
            self.line(2, &self.screen.paint(note.tone.into(), &note.text));
            if note.topic == Topic::LastMigration {
                self.remedies(app);
            }
        }
        if let Some(words) = &app.last_words {
            self.last_words(words);
        }
        self.workers(&app.workers);
        for zygote in &app.zygotes {
            self.line(2, &format!("zygote {}", zygote_words(zygote)));
        }
        for command in &app.processes {
            let text = format!("process {}", background_words(command));
            self.line(2, &self.screen.paint(background_tone(command.state).into(), &text));
        }
    }

    fn remedies(&mut self, app: &AppStatus) {
        let Some(last) = &app.last_migration else { return };
        for line in verdict::remedies(app.name.as_str(), &last.verdict).lines() {
            self.line(4, &plain(line));
        }
    }

    fn last_words(&mut self, words: &LastWords) {
        let text = if words.traceback.trim().is_empty() { &words.message } else { &words.traceback };
        if text.trim().is_empty() {
            return;
        }
        match self.whole {
            true => self.block(text, usize::MAX),
            false => self.block(&brief(text), FIRST_LINES),
        }
    }

    /// Somebody else's words, set off by a bar: the first `most` lines.
    fn block(&mut self, text: &str, most: usize) {
        let text = plain(text);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        for line in lines.iter().take(most) {
            self.line(2, &format!("{} {line}", self.screen.paint(Colour::Faint, "│")));
        }
        if let Some(left) = lines.len().checked_sub(most).filter(|left| *left > 0) {
            let more = format!("│ … {} more: `ostler status --verbose`", counted(left, "line"));
            self.line(2, &self.screen.paint(Colour::Faint, &more));
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
                    (0, _) => self.screen.paint(Colour::Faint, &padded),
                    (_, STATE) => self.screen.paint(worker_tone(workers[number - 1].state).into(), &padded),
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
    let (word, tone) = app_word(app.state);
    let mut parts = vec![
        screen.paint(Colour::Bold, &format!("{:<widest$}", app.name.as_str())),
        screen.paint(tone.into(), word),
    ];
    parts.extend(app.generation.map(|id| id.to_string()));
    parts.push(format!("{ready} of {} ready", counted(app.workers_wanted, "worker")));
    parts.extend(app.runs.as_deref().map(one_line));
    parts.join("  ")
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
