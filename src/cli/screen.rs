//! Writing for people: colour where it is wanted, never a control character that somebody else chose.

use std::io::{self, IsTerminal, Write};

use crate::observe::words::Tone;
pub(super) use crate::observe::words::{bytes, duration, one_line, plain};

/// How what is found is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// For programs.
    pub(super) json: bool,
    /// Tracebacks whole.
    pub(super) verbose: bool,
}

/// What standard output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    /// A terminal that can redraw a line.
    pub(super) live: bool,
    /// Escape sequences for colour are wanted.
    pub(super) colour: bool,
}

impl Screen {
    /// The process's standard output.
    pub(super) fn stdout() -> Screen {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let live = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Screen { live, colour: live && !set("NO_COLOR") }
    }

    /// `text` in `ink`.
    pub(super) fn paint(self, ink: Colour, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", ink as u8) } else { text.to_owned() }
    }
}

impl From<Tone> for Colour {
    fn from(tone: Tone) -> Colour {
        match tone {
            Tone::Plain => Colour::Plain,
            Tone::Good => Colour::Green,
            Tone::Busy => Colour::Cyan,
            Tone::Warn => Colour::Yellow,
            Tone::Bad => Colour::Red,
            Tone::Faint => Colour::Faint,
        }
    }
}

/// A colour, by its escape code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Plain = 0,
    Bold = 1,
    Faint = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// Somebody else's words, indented: no line of them can pass for one of ostler's own.
pub(super) fn set_off(text: &str) -> String {
    plain(text).trim_end().lines().map(|line| format!("    {line}\n")).collect()
}

/// Writes a line to standard output.
///
/// # Errors
///
/// The reader is gone ([`io::ErrorKind::BrokenPipe`]), or the disk is full.
pub(super) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a line to standard error; where that fails, nobody is left to be told.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}
