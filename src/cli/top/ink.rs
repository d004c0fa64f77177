//! Tones as the terminal shows them, with colours or without.

use ratatui::style::{Color, Modifier, Style};

use crate::observe::words::Tone;

/// How tones are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    pub(super) colour: bool,
    /// The picture is an old one.
    pub(super) dim: bool,
}

impl Ink {
    /// The style of a tone.
    pub(super) fn of(self, tone: Tone) -> Style {
        let style = match (tone, self.colour) {
            (Tone::Plain, _) => Style::new(),
            (Tone::Faint, _) => Style::new().add_modifier(Modifier::DIM),
            (Tone::Bad, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Bad | Tone::Warn, false) => Style::new().add_modifier(Modifier::BOLD),
            (Tone::Good, true) => Style::new().fg(Color::Green),
            (Tone::Busy, true) => Style::new().fg(Color::Cyan),
            (Tone::Warn, true) => Style::new().fg(Color::Yellow),
            (Tone::Good | Tone::Busy, false) => Style::new(),
        };
        if self.dim { style.remove_modifier(Modifier::BOLD).add_modifier(Modifier::DIM) } else { style }
    }

    /// What is selected, or a title.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(if self.dim { Modifier::DIM } else { Modifier::BOLD })
    }
}
