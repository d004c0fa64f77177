//! Writing for people: colour where it is wanted, never a control character that somebody else chose.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

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
    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", ink as u8) } else { text.to_owned() }
    }
}

/// A colour, by its escape code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Bold = 1,
    Faint = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// `text` without control characters other than tabs and line ends: what an app writes must not steer a terminal.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(harmful) {
        Cow::Owned(text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// `text` on one line.
pub(super) fn one_line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
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

/// `0.3s`, `42s`, `2m05s`, `3h12m`, `4d03h`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = if seconds.is_finite() { seconds.max(0.0) as u64 } else { 0 };
    match whole {
        0..10 => format!("{:.1}s", seconds.max(0.0)),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86400, whole / 3600 % 24),
    }
}

/// `812 B`, `84.2 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_writes_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\tc\nd"), "a\u{fffd}[2Jb\tc\nd");
        assert_eq!(one_line("a\n  b\r\nc"), "a b\u{fffd} c");
        assert!(matches!(plain("häuser"), Cow::Borrowed(_)));
    }

    #[test]
    fn durations_are_short() {
        let cases =
            [(0.34, "0.3s"), (42.9, "42s"), (125.0, "2m05s"), (11_520.0, "3h12m"), (356_400.0, "4d03h")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(f64::NAN), "0.0s");
        assert_eq!(duration(-1.0), "0.0s");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(84 * 1024 * 1024 + 200 * 1024), "84.2 MiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
