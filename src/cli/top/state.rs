//! What `ostler top` shows and what a key does to it. Pure: pictures, keys and endings in, effects out.

use std::time::Duration;

use crate::cli::progress::Progress;
use crate::config::{AppName, counted};
use crate::observe::words::Tone;
use crate::observe::{AppRow, Board, Status, Trend};
use crate::supervise::{AppEvent, Command, ScaleTo};

use super::change::ChangeEnd;
use super::dialog::{Dialog, DialogAction, Leaf};
use super::key::KeyPress;

/// What follows from a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyEffect {
    /// Another picture at most.
    Nothing,
    /// The end.
    Quit,
    /// A change, under this number.
    Command(u64, Command),
}

/// Which list the arrows move in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Apps,
    Workers,
}

/// A change under way.
#[derive(Clone, Debug)]
pub(super) struct ChangeUnderWay {
    number: u64,
    /// What it is, `restart of shop`.
    pub(super) what: String,
    app: Option<AppName>,
    progress: Progress,
}

/// Everything that is on the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Top {
    pub(super) board: Board,
    pub(super) trend: Trend,
    draining: bool,
    /// Why the picture is an old one, and since when, counted from anywhere.
    pub(super) lost: Option<(String, Duration)>,
    pub(super) pane: Pane,
    app: Option<AppName>,
    pub(super) worker: usize,
    /// Whether one app has the whole screen, and how far down it is read.
    pub(super) leaf: Option<Leaf>,
    pub(super) dialog: Option<Dialog>,
    /// How the last change went.
    pub(super) ending: Option<ChangeEnd>,
    changes: Vec<ChangeUnderWay>,
    next: u64,
}

impl Top {
    /// A new picture.
    pub(super) fn seen(&mut self, status: &Status, now: Duration) {
        self.trend.seen(status, now);
        let before = self.index();
        self.board = Board::new(status, &self.trend);
        self.draining = status.draining;
        self.lost = None;
        if self.app().is_none() {
            let near = before.min(self.board.apps.len().saturating_sub(1));
            self.app = self.board.apps.get(near).map(|app| app.name.clone());
        }
        let workers = self.app().map_or(0, |app| app.workers.len());
        self.worker = self.worker.min(workers.saturating_sub(1));
    }

    /// No picture came.
    pub(super) fn missed(&mut self, why: String, now: Duration) {
        let since = self.lost.take().map_or(now, |(_, since)| since);
        self.lost = Some((why, since));
    }

    /// A step of a change.
    pub(super) fn step(&mut self, number: u64, event: &AppEvent) {
        let change = self.changes.iter_mut().find(|change| change.number == number);
        if let Some(change) = change.filter(|it| it.app.as_ref().is_none_or(|app| *app == event.app)) {
            change.progress.note(&event.kind);
        }
    }

    /// The end of a change.
    pub(super) fn ended(&mut self, number: u64, mut ending: ChangeEnd) {
        if let Some(at) = self.changes.iter().position(|change| change.number == number) {
            let change = self.changes.remove(at);
            // What is said of the machine names what it is about by itself.
            if change.app.is_some() {
                ending.words = format!("{}: {}", change.what, ending.words);
            }
        }
        self.ending = Some(ending);
    }

    /// The app that is selected.
    pub(super) fn app(&self) -> Option<&AppRow> {
        let name = self.app.as_ref()?;
        self.board.apps.iter().find(|app| app.name == *name)
    }

    /// Its place among the apps.
    pub(super) fn index(&self) -> usize {
        let is_it = |app: &AppRow| Some(&app.name) == self.app.as_ref();
        self.board.apps.iter().position(is_it).unwrap_or(0)
    }

    /// What is under way, in words.
    pub(super) fn under_way(&self) -> Option<String> {
        let newest = self.changes.last()?;
        let words = newest.progress.words();
        let more = match self.changes.len() {
            1 => String::new(),
            several => format!(" (and {} more)", several - 1),
        };
        Some(format!("{}: {}{more}", newest.what, if words.is_empty() { "asked for" } else { &words }))
    }

    /// What goes on without us.
    pub(super) fn unfinished(&self) -> Vec<&str> {
        self.changes.iter().map(|change| change.what.as_str()).collect()
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyPress) -> KeyEffect {
        if key == KeyPress::Interrupt {
            return KeyEffect::Quit;
        }
        if let Some(dialog) = &mut self.dialog {
            match dialog.key(key) {
                DialogAction::Stay => {}
                DialogAction::Close => self.dialog = None,
                DialogAction::Ask(change) => self.dialog = Some(self.confirm(change)),
                DialogAction::Do(change) => {
                    self.dialog = None;
                    return self.begin(change);
                }
            }
            return KeyEffect::Nothing;
        }
        match key {
            KeyPress::Char('q') => return KeyEffect::Quit,
            KeyPress::Escape => (self.leaf, self.ending) = (None, None),
            KeyPress::Char('?') => self.dialog = Some(Dialog::help()),
            KeyPress::Char('r') => self.of_app(|app| Command::restart(app.name.clone())),
            KeyPress::Char('+' | '=') => self.scale_by(1),
            KeyPress::Char('-') => self.scale_by(-1),
            KeyPress::Char('s') => {
                self.dialog = self.app().map(|app| Dialog::number(app.name.clone(), app.wanted));
            }
            KeyPress::Char('d') => self.dialog = Some(self.confirm(Command::Drain { length: None })),
            KeyPress::Char('e') => self.explain(),
            KeyPress::Char('u') => self.dialog = Some(self.confirm(Command::Undrain)),
            KeyPress::Enter if self.leaf.is_some() => self.leaf = None,
            KeyPress::Enter => self.leaf = self.app().map(|_| Leaf::default()),
            KeyPress::Tab => self.pane = if self.pane == Pane::Apps { Pane::Workers } else { Pane::Apps },
            _ => self.go(key),
        }
        KeyEffect::Nothing
    }

    /// How the last change went, or what is wrong with the app, with all its words.
    fn explain(&mut self) {
        let more = self.ending.as_ref().map(|it| it.more.clone().unwrap_or_else(|| it.words.clone()));
        if let Some(text) = more.or_else(|| self.app().and_then(|app| app.last_words.clone())) {
            self.dialog = Some(Dialog::Words(text, Leaf::at_the_end()));
        }
    }

    fn begin(&mut self, change: Command) -> KeyEffect {
        let app = change.app().cloned();
        let what = match (&change, &app) {
            (Command::Restart { app, .. }, _) => format!("restart of {app}"),
            (Command::Scale { app, workers: ScaleTo::Count(workers) }, _) => {
                format!("{app} to {}", counted(*workers, "worker"))
            }
            (Command::Undrain, _) => "end of the drain".to_owned(),
            (_, _) => "drain".to_owned(),
        };
        if let Some(change) = self.changes.iter().find(|change| change.app == app && change.what == what) {
            let words = format!("{} is under way already", change.what);
            self.ending = Some(ChangeEnd { tone: Tone::Warn, words, more: None });
            return KeyEffect::Nothing;
        }
        self.next += 1;
        self.ending = None;
        self.changes.push(ChangeUnderWay { number: self.next, what, app, progress: Progress::default() });
        KeyEffect::Command(self.next, change)
    }

    fn of_app(&mut self, change: impl FnOnce(&AppRow) -> Command) {
        self.dialog = self.app().map(change).map(|change| self.confirm(change));
    }

    fn scale_by(&mut self, more: i64) {
        let Some(app) = self.app() else { return };
        let workers = i64::from(app.wanted) + more;
        if workers < 1 {
            let words = format!("{} keeps 1 worker at least; `ostler stop {}` stops it", app.name, app.name);
            self.ending = Some(ChangeEnd { tone: Tone::Warn, words, more: None });
            return;
        }
        self.of_app(|app| Command::Scale { app: app.name.clone(), workers: ScaleTo::Count(workers) });
    }

    fn confirm(&self, change: Command) -> Dialog {
        let app = change.app().and_then(|name| self.board.apps.iter().find(|app| app.name == *name));
        Dialog::confirm(change.clone(), app, self.draining)
    }

    fn go(&mut self, key: KeyPress) {
        if let Some(leaf) = &mut self.leaf {
            leaf.go(key);
            return;
        }
        let (at, count) = match self.pane {
            Pane::Apps => (self.index(), self.board.apps.len()),
            Pane::Workers => (self.worker, self.app().map_or(0, |app| app.workers.len())),
        };
        let Some(last) = count.checked_sub(1) else { return };
        let to = match key {
            KeyPress::Up => at.saturating_sub(1),
            KeyPress::Down => at + 1,
            KeyPress::PageUp => at.saturating_sub(10),
            KeyPress::PageDown => at + 10,
            KeyPress::Home => 0,
            KeyPress::End => last,
            _ => return,
        };
        match self.pane {
            Pane::Apps => {
                self.app = Some(self.board.apps[to.min(last)].name.clone());
                if to.min(last) != at {
                    self.worker = 0;
                }
            }
            Pane::Workers => self.worker = to.min(last),
        }
    }
}
