//! The picture on the screen.

use std::time::Duration;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::observe::words::{Tone, duration};
use crate::observe::{AppRow, host};

use super::ink::Ink;
use super::state::{Pane, Top};
use super::{boxes, table};

/// Less than this shows nothing that is of use.
const SMALLEST: (u16, u16) = (24, 6);

/// The longest name that is shown whole.
const LONGEST_NAME: usize = 24;

/// What the keys are, where there is room.
const HINTS: &str = "q quit  ? help  r restart  s scale  d drain  u undrain  e more  Enter all";
const FEW_HINTS: &str = "q quit  ? help";

/// Behind an ending that has more to say.
const MORE: &str = " (e: more)";

/// Draws everything, at the time `now` of the clock that pictures are counted by.
pub(super) fn draw(frame: &mut Frame<'_>, top: &mut Top, colour: bool, now: Duration) {
    let area = frame.area();
    let ink = Ink { colour, dim: top.lost.is_some() };
    let buffer = frame.buffer_mut();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        buffer.set_stringn(area.x, area.y, "too small; q quits", area.width.into(), ink.strong());
        return;
    }
    let mut lines = LinePainter { buffer, left: Rect { height: area.height - 2, ..area } };
    header(&mut lines, top, ink, now);
    match top.leaf {
        Some(_) => boxes::leaf(lines.buffer, lines.left, ink, top),
        None => lists(&mut lines, top, ink),
    }
    let foot = Rect { y: area.bottom() - 2, height: 1, ..area };
    footer(buffer, foot, top, Ink { dim: false, ..ink });
    if let Some(dialog) = &mut top.dialog {
        boxes::dialog(frame.buffer_mut(), area, Ink { dim: false, ..ink }, dialog);
    }
}

/// Lines from top to bottom, for as long as there is room.
struct LinePainter<'a> {
    buffer: &'a mut Buffer,
    left: Rect,
}

impl LinePainter<'_> {
    fn line(&mut self, text: &str, style: Style) {
        if self.left.height > 0 {
            let line = self.take(1);
            self.buffer.set_stringn(line.x, line.y, cut(text, line.width), line.width.into(), style);
        }
    }

    fn take(&mut self, height: u16) -> Rect {
        let height = height.min(self.left.height);
        let taken = Rect { height, ..self.left };
        self.left = Rect { y: self.left.y + height, height: self.left.height - height, ..self.left };
        taken
    }
}

/// `text` in `width` columns.
pub(super) fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn header(lines: &mut LinePainter<'_>, top: &Top, ink: Ink, now: Duration) {
    if let Some((why, since)) = &top.lost {
        let since = duration(now.saturating_sub(*since).as_secs_f64().floor());
        let alarm = Ink { dim: false, ..ink };
        lines.line(
            &format!("{why}, trying again since {since}; what is below was so before"),
            alarm.of(Tone::Bad),
        );
    } else {
        lines.line(&format!("{}  {}", host(), top.board.daemon), ink.strong());
    }
    lines.line(&top.board.sum, ink.of(Tone::Plain));
    for (tone, note) in &top.board.notes {
        lines.line(note, ink.of(*tone));
    }
}

fn lists(lines: &mut LinePainter<'_>, top: &Top, ink: Ink) {
    let apps = &top.board.apps;
    let Some(app) = top.app() else { return };
    lines.take(1);
    // Half of the room at most, but a few rows; without many workers below, what they leave.
    let below = app.workers.len() as u16 + 4 + app.notes.len() as u16;
    let half = (lines.left.height / 2).max(4).max(lines.left.height.saturating_sub(below));
    let area = lines.take((apps.len() as u16 + 1).min(half));
    let name =
        apps.iter().map(|app| app.name.as_str().len()).max().unwrap_or(0).clamp(3, LONGEST_NAME) as u16;
    let is_here = |pane| top.pane == pane;
    let shown = table::draw(lines.buffer, area, ink, table::apps(name), apps, Some(top.index()));
    sparks(lines.buffer, area, ink, &apps[shown.first..shown.first + shown.count], shown.end + 2);
    rest(lines, ink, apps.len() - shown.first - shown.count, "app");
    lines.take(1);
    about(lines, app, ink, is_here(Pane::Workers));
    let room = lines.left;
    let selected = is_here(Pane::Workers).then_some(top.worker);
    if app.workers.is_empty() {
        lines.line("  no workers", ink.of(Tone::Faint));
    } else if room.height > 1 {
        let fits = app.workers.len() < usize::from(room.height);
        let area = lines.take(if fits { room.height } else { room.height - 1 });
        let shown = table::draw(lines.buffer, area, ink, table::workers(), &app.workers, selected);
        rest(lines, ink, app.workers.len() - shown.first - shown.count, "worker");
    }
}

/// What is known of the selected app beside its row, and how it went in the last minute.
fn about(lines: &mut LinePainter<'_>, app: &AppRow, ink: Ink, has_keys: bool) {
    let title = if has_keys { ink.strong() } else { ink.of(Tone::Plain) };
    let most = app.course.iter().flatten().copied().fold(0.0, f64::max);
    let room = usize::from(lines.left.width).saturating_sub(app.name.as_str().len() + 44).min(60);
    let course = table::spark(&app.course, room);
    lines.line(&format!("{} {}  {course}  {most:.1} requests/s at most", app.name, app.generation), title);
    for note in &app.notes {
        lines.line(&format!("  {}", note.text), ink.of(note.tone));
    }
    if app.last_words.is_some() {
        lines.line("  e: what its worker said last", ink.of(Tone::Faint));
    }
}

fn rest(lines: &mut LinePainter<'_>, ink: Ink, count: usize, what: &str) {
    if count > 0 {
        let plural = if count == 1 { "" } else { "s" };
        lines.line(&format!("  … {count} more {what}{plural} below"), ink.of(Tone::Faint));
    }
}

/// The course of each app beside its row, where there is room.
fn sparks(buffer: &mut Buffer, area: Rect, ink: Ink, apps: &[AppRow], x: u16) {
    let room = area.right().saturating_sub(x).min(60);
    if room < 6 {
        return;
    }
    buffer.set_stringn(x, area.y, "LAST MINUTE", room.into(), ink.of(Tone::Faint));
    for (line, app) in apps.iter().enumerate() {
        let text = table::spark(&app.course, room.into());
        buffer.set_stringn(x, area.y + 1 + line as u16, text, room.into(), ink.of(Tone::Busy));
    }
}

/// How the last change went, or what is under way; the keys below it.
fn footer(buffer: &mut Buffer, line: Rect, top: &Top, ink: Ink) {
    let (tone, text, more) = match (top.under_way(), &top.ending) {
        (Some(words), _) => (Tone::Busy, words, false),
        (None, Some(ending)) => (ending.tone, ending.words.clone(), ending.more.is_some()),
        (None, None) => (Tone::Plain, String::new(), false),
    };
    // What is cut off can be read as well.
    let text = match more || top.ending.is_some() && text.chars().count() > line.width.into() {
        true => format!("{}{MORE}", cut(&text, line.width.saturating_sub(MORE.len() as u16))),
        false => cut(&text, line.width),
    };
    buffer.set_stringn(line.x, line.y, text, line.width.into(), ink.of(tone));
    let hints = if HINTS.len() <= line.width.into() { HINTS } else { FEW_HINTS };
    buffer.set_stringn(line.x, line.y + 1, hints, line.width.into(), ink.of(Tone::Faint));
}

/// A long text, from the line on that `first` gives for the number of lines and the height.
pub(super) fn text(
    buffer: &mut Buffer,
    area: Rect,
    text: &[(String, Style)],
    first: impl FnOnce(usize, usize) -> usize,
) {
    let lines: Vec<(String, Style)> =
        text.iter().flat_map(|(line, style)| folded(line, area.width).map(|line| (line, *style))).collect();
    let height = usize::from(area.height);
    let first = first(lines.len(), height);
    for (y, (line, style)) in (area.y..).zip(lines.iter().skip(first).take(height)) {
        buffer.set_stringn(area.x, y, line, area.width.into(), *style);
    }
}

/// A line in as many as it takes: broken anywhere, so that it can be counted, and read as it was written.
fn folded(line: &str, width: u16) -> impl Iterator<Item = String> {
    let (mut lines, mut room) = (vec![String::new()], usize::from(width));
    for c in line.chars() {
        // A tab is no column of its own.
        let (piece, wide) = match c {
            '\t' => ("    ".to_owned(), 4),
            c if c.is_ascii() => (c.to_string(), 1),
            c => (c.to_string(), Span::raw(c.to_string()).width()),
        };
        if wide > room {
            lines.push(String::new());
            room = usize::from(width);
        }
        room = room.saturating_sub(wide);
        if let Some(last) = lines.last_mut() {
            last.push_str(&piece);
        }
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_and_none_of_it_lost() {
        let lines = |line, width| folded(line, width).collect::<Vec<_>>();
        assert_eq!(lines("", 4), [""]);
        assert_eq!(lines("abcdefghi", 4), ["abcd", "efgh", "i"]);
        assert_eq!(lines("\ta", 4), ["    ", "a"]);
        assert_eq!(lines("日本語", 5), ["日本", "語"]);
        assert_eq!(lines("ab", 0), ["", "a", "b"]);
    }
}
