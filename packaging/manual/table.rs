//! A table on a terminal: drawn if that can be read, else a list.

use super::roff::{columns, filled};

/// What a page leaves of 80 columns.
const ROOM: usize = 70;
/// Between two columns.
const GAP: usize = 3;
/// A row that takes more lines than this is hard to follow across.
const LINES: usize = 4;

/// The rows, the heads of the columns first.
#[derive(Default)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    pub(super) fn row(&mut self) {
        self.0.push(Vec::new());
    }

    pub(super) fn cell(&mut self, text: String) {
        self.0.last_mut().expect("a cell has a row").push(text);
    }

    /// The table for roff, and whether it has to be drawn by tbl(1).
    pub(super) fn roff(self) -> (String, bool) {
        match self.widths() {
            Some(widths) => (self.drawn(&widths), true),
            None => (self.listed(), false),
        }
    }

    /// The greatest of a column.
    fn most(&self, column: usize, of: impl Fn(&str) -> usize) -> usize {
        self.0.iter().filter_map(|row| row.get(column)).map(|cell| of(cell)).max().unwrap_or(0)
    }

    /// How wide to draw each column; nothing if that would not be read.
    fn widths(&self) -> Option<Vec<usize>> {
        // A page about a file's keys lists them, as all such pages do.
        if self.0[0][0] == "key" {
            return None;
        }
        let all = 0..self.0[0].len();
        let word = |cell: &str| cell.split(' ').map(columns).max().unwrap_or(0);
        let least: Vec<usize> = all.clone().map(|column| self.most(column, word)).collect();
        let mut widths: Vec<usize> = all.clone().map(|column| self.most(column, columns)).collect();
        let room = ROOM.checked_sub(GAP * (widths.len() - 1))?;
        while widths.iter().sum::<usize>() > room {
            let widest = all.clone().filter(|at| widths[*at] > least[*at]).max_by_key(|at| widths[*at])?;
            widths[widest] -= 1;
        }
        let lines = all.map(|column| self.most(column, columns).div_ceil(widths[column].max(1)));
        (lines.max()? <= LINES).then_some(widths)
    }

    fn drawn(&self, widths: &[usize]) -> String {
        let format = |font: &str| {
            let column = |width: &usize| format!("l{font}w({}n)", (*width).max(1));
            widths.iter().map(column).collect::<Vec<_>>().join(" ")
        };
        let mut text = format!(".TS\n{}\n{}.\n", format("b"), format(""));
        let wraps = (0..widths.len()).any(|column| self.most(column, columns) > widths[column]);
        for (index, row) in self.0.iter().enumerate() {
            let cell = |cell: &String| match cell.is_empty() {
                true => String::new(),
                false => format!("T{{\n{}T}}", filled(cell)),
            };
            text += &(row.iter().map(cell).collect::<Vec<_>>().join("\t") + "\n");
            // A row of several lines is told from the next by an empty one.
            text += match index {
                0 => "_\n",
                index if wraps && index + 1 < self.0.len() => "\n",
                _ => "",
            };
        }
        text + ".TE\n"
    }

    /// Each row as an entry: its first cell, and below it the others with the heads of their columns, but for what it is.
    fn listed(&self) -> String {
        let heads = &self.0[0];
        let plain = |head: &String| heads.len() == 2 || head == "what" || head.starts_with("what it means");
        let mut text = String::new();
        for row in &self.0[1..] {
            // On one line, which is what .TP takes.
            text += &format!(".TP\n\\fB{}\\fR\n", row[0].replace("\\fR", "\\fR\\fB"));
            let mut cells = row.iter().enumerate().skip(1).filter(|(_, cell)| !cell.is_empty()).peekable();
            // What has a head of its own does not go on from the first cell, however short that is.
            if cells.peek().is_some_and(|(column, _)| !plain(&heads[*column])) {
                text += ".br\n";
            }
            let cells = cells.map(|(column, cell)| match plain(&heads[column]) {
                true => filled(cell),
                false => filled(&format!("\\fI{}:\\fR {cell}", heads[column])),
            });
            text += &cells.collect::<Vec<_>>().join(".br\n");
        }
        text
    }
}
