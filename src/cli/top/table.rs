//! Tables that fit: where the screen is narrow, the columns that matter least are left out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::observe::words::Tone;
use crate::observe::{AppRow, Cell, WorkerRow, heights};

use super::ink::Ink;

/// A column.
pub(super) struct Column<R> {
    title: &'static str,
    width: u16,
    right: bool,
    /// What is left out first has the highest number.
    rank: u8,
    cell: fn(&R) -> Cell,
}

const GAP: u16 = 1;

/// What stands before each row: `>` where it is selected.
const MARK: u16 = 2;

fn plain(text: &str) -> Cell {
    Cell { tone: Tone::Plain, text: text.to_owned() }
}

const fn left<R>(title: &'static str, width: u16, rank: u8, cell: fn(&R) -> Cell) -> Column<R> {
    Column { title, width, right: false, rank, cell }
}

const fn right<R>(title: &'static str, width: u16, rank: u8, cell: fn(&R) -> Cell) -> Column<R> {
    Column { title, width, right: true, rank, cell }
}

/// The columns of apps, whose names take `name`; the course follows in what is left.
pub(super) fn apps(name: u16) -> Vec<Column<AppRow>> {
    vec![
        left("APP", name, 0, |app| plain(app.name.as_str())),
        left("STATE", 12, 0, |app| app.state.clone()),
        right("READY", 7, 1, |app| app.ready.clone()),
        right("REQ/S", 6, 2, |app| plain(&app.rate)),
        right("NOW", 4, 3, |app| app.in_flight.clone()),
        right("OLDEST", 6, 4, |app| app.oldest.clone()),
        right("QUEUE", 7, 5, |app| app.queue.clone()),
        right("MEMORY", 9, 6, |app| plain(&app.memory)),
    ]
}

/// The columns of workers.
pub(super) fn workers() -> Vec<Column<WorkerRow>> {
    vec![
        left("WORKER", 6, 0, |worker| plain(&worker.id.to_string())),
        right("PID", 7, 6, |worker| plain(&worker.pid)),
        left("GEN", 4, 5, |worker| plain(&worker.generation)),
        left("STATE", 8, 0, |worker| worker.state.clone()),
        right("AGE", 6, 7, |worker| plain(&worker.age)),
        right("REQUESTS", 9, 8, |worker| plain(&worker.requests)),
        right("REQ/S", 6, 1, |worker| plain(&worker.rate)),
        right("NOW", 4, 2, |worker| plain(&worker.in_flight)),
        right("OLDEST", 6, 3, |worker| worker.oldest.clone()),
        right("MEMORY", 9, 4, |worker| plain(&worker.memory)),
    ]
}

/// Draws the rows around the selected one, below their heads. Gives where the columns end.
pub(super) fn draw<R>(
    buffer: &mut Buffer,
    area: Rect,
    ink: Ink,
    mut columns: Vec<Column<R>>,
    rows: &[R],
    selected: Option<usize>,
) -> Shown {
    let needed = |columns: &[Column<R>]| columns.iter().map(|it| it.width + GAP).sum::<u16>() + MARK - GAP;
    while needed(&columns) > area.width && columns.len() > 1 {
        let last = columns.iter().enumerate().max_by_key(|(_, it)| it.rank).map_or(0, |(at, _)| at);
        columns.remove(last);
    }
    let width = needed(&columns).min(area.width);
    let height = usize::from(area.height.saturating_sub(1));
    let first = first(rows.len(), height, selected.unwrap_or(0));
    let mut x = area.x + MARK;
    for column in &columns {
        let room = column.width.min(area.right().saturating_sub(x));
        put(buffer, (x, area.y), room, column.right, column.title, ink.of(Tone::Faint));
        for (at, row) in rows.iter().enumerate().skip(first).take(height) {
            let cell = (column.cell)(row);
            let y = area.y + 1 + (at - first) as u16;
            put(buffer, (x, y), room, column.right, &cell.text, ink.of(cell.tone));
        }
        x += column.width + GAP;
    }
    for (at, _) in rows.iter().enumerate().skip(first).take(height).filter(|(at, _)| selected == Some(*at)) {
        let line = Rect::new(area.x, area.y + 1 + (at - first) as u16, area.width, 1);
        buffer.set_string(line.x, line.y, ">", ink.strong());
        buffer.set_style(line, ink.strong());
    }
    Shown { first, count: height.min(rows.len() - first), end: area.x + width }
}

/// Which rows are in sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The first.
    pub(super) first: usize,
    /// How many.
    pub(super) count: usize,
    /// Where the columns end.
    pub(super) end: u16,
}

/// The first row in sight, so that the selected one is.
fn first(rows: usize, height: usize, selected: usize) -> usize {
    if rows <= height {
        return 0;
    }
    selected.saturating_sub(height.saturating_sub(1) / 2).min(rows - height)
}

/// `text` in `room` columns; what does not fit ends in `…`.
fn put(
    buffer: &mut Buffer,
    (x, y): (u16, u16),
    room: u16,
    right: bool,
    text: &str,
    style: ratatui::style::Style,
) {
    let (room, length) = (usize::from(room), text.chars().count());
    if room == 0 || y >= buffer.area.bottom() {
        return;
    }
    let text = match length > room {
        true => text.chars().take(room - 1).chain(['…']).collect(),
        false => text.to_owned(),
    };
    let offset = if right { room.saturating_sub(length) } else { 0 };
    buffer.set_stringn(x + offset as u16, y, text, room, style);
}

/// The course in `room` columns, the newest at the right.
pub(super) fn spark(course: &[Option<f64>], room: usize) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let newest = &course[course.len().saturating_sub(room)..];
    let bars: String =
        heights(newest, 8).into_iter().map(|height| BARS[usize::from(height.min(8))]).collect();
    format!("{bars:>room$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_in_sight() {
        for selected in 0..200 {
            let first = first(200, 15, selected);
            assert!((first..first + 15).contains(&selected) && first + 15 <= 200, "{selected}: {first}");
        }
        assert_eq!(first(3, 15, 2), 0);
        assert_eq!(first(3, 0, 2), 2);
    }

    #[test]
    fn a_spark_stands_at_the_right() {
        assert_eq!(spark(&[Some(4.0), None, Some(0.0), Some(8.0)], 6), "  ▄  █");
        assert_eq!(spark(&[Some(4.0), Some(8.0)], 1), "█");
        assert_eq!(spark(&[], 0), "");
    }
}
