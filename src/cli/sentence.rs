//! An event in a line.

use super::screen::{Colour, Screen, one_line};
use crate::supervise::{AppEvent, Level};

/// `shop  worker w3 of g2 ready after 0.41 s (1 of 4)`, in the colour of its level.
pub(super) fn sentence(screen: Screen, event: &AppEvent) -> String {
    let words = one_line(&event.kind.to_string());
    let words = match event.kind.level() {
        Level::Info => words,
        Level::Warn => screen.paint(Colour::Yellow, &words),
        Level::Error => screen.paint(Colour::Red, &words),
    };
    format!("{}  {words}", screen.paint(Colour::Bold, event.app.as_str()))
}
