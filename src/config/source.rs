//! A file's text, and places in it.

use std::ops::Range;
use std::path::Path;

use super::database_url::is_database_url;
use super::error::{Place, Spot};
use super::visible::{shortened, visible_char};

/// The longest line that is shown whole, in characters.
const WIDEST: usize = 120;

/// A file that was read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The file as a whole.
    pub(super) fn whole(&self) -> Place {
        Place { file: self.file.to_owned(), spot: None }
    }

    /// The place of these bytes of the text; of several lines, what lies in the first.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end).max(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let before = self.text[line_start..start].chars().count();
        let inside = self.text[start..end.min(line_end)].trim_end().chars().count();
        let shown: String = self.text[line_start..line_end].trim_end().chars().map(visible_char).collect();
        let line: Vec<char> = hide_secrets(&shown).chars().collect();
        let (text, indent) = window(&line, before);
        let width = inside.clamp(1, WIDEST.saturating_sub(indent).max(1));
        let number = self.text[..line_start].matches('\n').count() + 1;
        let spot = Spot { line: number, column: before + 1, text, indent, width };
        Place { file: self.file.to_owned(), spot: Some(spot) }
    }

    /// The value as written, for messages: one line, 60 characters at most.
    pub(super) fn written(&self, span: Range<usize>) -> String {
        let start = self.boundary(span.start);
        let text = &self.text[start..self.boundary(span.end).max(start)];
        shortened(text, 60)
    }

    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// The line with as many stars in place of what may be a password: what stands behind `database_url =`, and behind
/// `scheme://` where the URL names a user or a database. It is shown to whoever may read a log.
fn hide_secrets(line: &str) -> String {
    const KEY: &str = "database_url";
    let mut hidden = String::with_capacity(line.len());
    let mut rest = line;
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',');
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        let (url, after) = behind.split_at(behind.find(is_end).unwrap_or(behind.len()));
        hidden.push_str(before);
        let scheme = before[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next();
        let secret = url.contains('@') || scheme.is_some_and(|it| is_database_url(&format!("{it}://")));
        hidden.extend(url.chars().map(|c| if secret { '*' } else { c }));
        rest = after;
    }
    hidden.push_str(rest);
    let value = hidden.find(KEY).and_then(|at| Some(at + hidden[at..].find(['"', '\''])? + 1));
    let Some(value) = value.filter(|at| !hidden[*at..].starts_with("env:")) else { return hidden };
    let quote = hidden[..value].chars().next_back().expect("a quote was found");
    let end = hidden[value..].find(quote).map_or(hidden.len(), |length| value + length);
    let stars: String = hidden[value..end].chars().map(|_| '*').collect();
    hidden.replace_range(value..end, &stars);
    hidden
}

/// The part of a long line around a column, and where the column is in it.
fn window(line: &[char], column: usize) -> (String, usize) {
    if line.len() <= WIDEST {
        return (line.iter().collect(), column);
    }
    let first = column.saturating_sub(WIDEST / 3).min(line.len());
    let last = (first + WIDEST).min(line.len());
    let lead = if first > 0 { "…" } else { "" };
    let trail = if last < line.len() { "…" } else { "" };
    let text: String = line[first..last].iter().collect();
    (format!("{lead}{text}{trail}"), column - first + lead.chars().count())
}
