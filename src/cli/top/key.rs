//! Keys, as far as they mean something here.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPress {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Tab,
    Escape,
    Backspace,
    /// Ctrl-C
    Interrupt,
    Char(char),
}

/// The key of an event; `None` for what is none, such as text that is pasted.
pub(super) fn key(event: &Event) -> Option<KeyPress> {
    let Event::Key(event) = event else { return None };
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char('c') if control => KeyPress::Interrupt,
        KeyCode::Char('d') if control => KeyPress::PageDown,
        KeyCode::Char('u') if control => KeyPress::PageUp,
        KeyCode::Char(_) if control || event.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Up | KeyCode::Char('k') => KeyPress::Up,
        KeyCode::Down | KeyCode::Char('j') => KeyPress::Down,
        KeyCode::PageUp => KeyPress::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => KeyPress::PageDown,
        KeyCode::Home | KeyCode::Char('g') => KeyPress::Home,
        KeyCode::End | KeyCode::Char('G') => KeyPress::End,
        KeyCode::Enter => KeyPress::Enter,
        KeyCode::Tab | KeyCode::BackTab => KeyPress::Tab,
        KeyCode::Esc => KeyPress::Escape,
        KeyCode::Backspace => KeyPress::Backspace,
        KeyCode::Char(c) => KeyPress::Char(c),
        _ => return None,
    })
}
