//! What is asked and told in front of the picture. Pure.

use crate::config::{AppName, WORKERS_MOST};
use crate::observe::AppRow;
use crate::supervise::{Command, ScaleTo};

use super::key::KeyPress;

/// A text that is longer than the screen: the first line in sight, as far as it is known how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaf(usize);

impl Leaf {
    pub(super) fn at_the_end() -> Leaf {
        Leaf(usize::MAX)
    }

    /// Moves in it.
    pub(super) fn go(&mut self, key: KeyPress) {
        self.0 = match key {
            KeyPress::Up => self.0.saturating_sub(1),
            KeyPress::Down => self.0.saturating_add(1),
            KeyPress::PageUp => self.0.saturating_sub(10),
            KeyPress::PageDown => self.0.saturating_add(10),
            KeyPress::Home => 0,
            KeyPress::End => usize::MAX,
            _ => self.0,
        };
    }

    /// The first line in sight where there are `lines`, and `height` of them fit. It is kept where it is looked at.
    pub(super) fn first(&mut self, lines: usize, height: usize) -> usize {
        self.0 = self.0.min(lines.saturating_sub(height));
        self.0
    }
}

/// What stands in front of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialog {
    /// A change, the question, and what it would do.
    Confirm(Command, String, String),
    /// How many workers an app should have: the app, how many it has, what was typed.
    Number(AppName, u32, String),
    /// The keys.
    Help,
    /// A long text.
    Words(String, Leaf),
}

/// What a key makes of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DialogAction {
    Stay,
    Close,
    Ask(Command),
    Do(Command),
}

impl Dialog {
    pub(super) fn help() -> Dialog {
        Dialog::Help
    }

    pub(super) fn number(app: AppName, wanted: u32) -> Dialog {
        Dialog::Number(app, wanted, String::new())
    }

    /// Names what `change` would do to `app`, or to the machine.
    pub(super) fn confirm(change: Command, app: Option<&AppRow>, draining: bool) -> Dialog {
        let (question, words) = match &change {
            Command::Restart { app: name, .. } => (
                format!("Restart {name}?"),
                format!(
                    "The release on disk is rolled out: its migrations run first, then new workers prove themselves, \
                     and {}. Where that fails, the old ones go on serving.",
                    old_workers(app)
                ),
            ),
            Command::Scale { app: name, workers: ScaleTo::Count(workers) } => (
                format!("Keep {workers} worker{} of {name}?", if *workers == 1 { "" } else { "s" }),
                format!(
                    "Now it is {}. It stays so until the configuration says otherwise; no request is lost.",
                    app.map_or(0, |app| app.wanted)
                ),
            ),
            Command::Undrain => (
                "End the drain?".to_owned(),
                match draining {
                    true => "Readiness follows the apps again.".to_owned(),
                    false => "Nothing would change: the machine does not drain.".to_owned(),
                },
            ),
            _ => (
                "Drain this machine?".to_owned(),
                match draining {
                    true => "It drains already; u ends it.".to_owned(),
                    false => {
                        "Readiness fails, so that load balancers take it out; every app goes on serving. \
                              u ends it."
                            .to_owned()
                    }
                },
            ),
        };
        Dialog::Confirm(change, question, words)
    }

    /// What a key does here.
    pub(super) fn key(&mut self, key: KeyPress) -> DialogAction {
        match (self, key) {
            (Dialog::Confirm(change, ..), KeyPress::Char('y' | 'Y')) => DialogAction::Do(change.clone()),
            (Dialog::Confirm(..), KeyPress::Char('n' | 'N' | 'q') | KeyPress::Escape) => DialogAction::Close,
            (Dialog::Confirm(..), _) => DialogAction::Stay,
            (Dialog::Number(..), KeyPress::Escape | KeyPress::Char('q')) => DialogAction::Close,
            (Dialog::Number(app, _, typed), KeyPress::Enter) => match typed.parse() {
                Ok(workers) if (1..=i64::from(WORKERS_MOST)).contains(&workers) => {
                    DialogAction::Ask(Command::Scale { app: app.clone(), workers: ScaleTo::Count(workers) })
                }
                _ => DialogAction::Stay,
            },
            (Dialog::Number(_, _, typed), KeyPress::Backspace) => {
                typed.pop();
                DialogAction::Stay
            }
            (Dialog::Number(_, _, typed), KeyPress::Char(digit)) => {
                if digit.is_ascii_digit() && typed.len() < 4 {
                    typed.push(digit);
                }
                DialogAction::Stay
            }
            (Dialog::Number(..), _) => DialogAction::Stay,
            (Dialog::Help, _) => DialogAction::Close,
            (Dialog::Words(..), KeyPress::Escape | KeyPress::Enter | KeyPress::Char('q' | 'e')) => {
                DialogAction::Close
            }
            (Dialog::Words(_, leaf), key) => {
                leaf.go(key);
                DialogAction::Stay
            }
        }
    }
}

fn old_workers(app: Option<&AppRow>) -> String {
    match app.map_or(0, |app| app.workers.len()) {
        0 => "take clients".to_owned(),
        1 => "the old one finishes what it has".to_owned(),
        workers => format!("the {workers} old ones finish what they have"),
    }
}

/// The keys, and what they do.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("↑ ↓  j k", "another app or worker"),
    ("Tab", "from the apps to the workers and back"),
    ("Enter", "everything about the app; Esc goes back"),
    ("r", "restart the app: roll out what is on disk"),
    ("s  + -", "another number of workers"),
    ("d  u", "drain the machine; end the drain"),
    ("e", "how the last change went, why it failed, its traceback"),
    ("q", "quit; what is under way goes on"),
];
