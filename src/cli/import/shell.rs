//! Lines of shell, as far as start scripts go: simple commands one after the other, quotes, variables, redirections.
//!
//! Of 33 start scripts of public projects 28 are read. Words with quotes, comments, `$NAME` and `${NAME:-default}` would do for
//! 20 of them; 8 have operators, redirections or `$(…)` as well, 4 of these in what gunicorn's own command is made of. A line
//! of a Procfile has its `&&` besides. Not read, and told so: 4 that decide (`if`, `while`), one with a text in it (`<<`).

use super::holes::hole;
use super::words::{LineError, UNCLOSED};

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SimpleCommand {
    pub(super) words: Vec<Word>,
    /// Where its output goes.
    pub(super) redirects: Vec<(String, Word)>,
    /// What joins it to the next: `&&`, `;`, `|`, …
    pub(super) then: String,
}

/// A word, before anything in it is expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// What stands behind the `$`, and whether it is in quotes.
    Variable(String, bool),
}

const REDIRECTS: [&str; 11] = ["2>&1", "1>&2", "&>>", "&>", "2>>", "2>", "1>>", "1>", ">>", ">", "<"];
const OPERATORS: [&str; 8] = ["&&", "||", ";;", ";", "|", "&", "\n", "\r"];

/// Takes a line or a whole script apart.
pub(super) fn parse(text: &str) -> Result<Vec<SimpleCommand>, LineError> {
    let letters: Vec<char> = text.replace("\\\n", " ").chars().collect();
    let mut steps = Vec::new();
    let mut step = SimpleCommand::default();
    let mut redirect: Option<String> = None;
    let mut at = 0;
    while at < letters.len() {
        let starts = |mark: &&str| mark.chars().enumerate().all(|(i, c)| letters.get(at + i) == Some(&c));
        if letters[at] == '#' {
            at += letters[at..].iter().take_while(|it| **it != '\n').count();
        } else if let Some(mark) = REDIRECTS.iter().find(|mark| starts(mark)) {
            at += mark.chars().count();
            match mark.contains(">&") {
                true => step.redirects.push(((*mark).to_owned(), Word::default())),
                false => redirect = Some((*mark).to_owned()),
            }
        } else if let Some(mark) = OPERATORS.iter().find(|mark| starts(mark)) {
            at += mark.chars().count();
            step.then = mark.trim().to_owned();
            finish(&mut steps, &mut step);
        } else if letters[at].is_whitespace() {
            at += 1;
        } else if "()".contains(letters[at]) {
            return Err("it has a subshell or a function");
        } else {
            let (word, next) = word(&letters, at)?;
            at = next;
            match redirect.take() {
                Some(mark) => step.redirects.push((mark, word)),
                None => step.words.push(word),
            }
        }
    }
    finish(&mut steps, &mut step);
    Ok(steps)
}

fn finish(steps: &mut Vec<SimpleCommand>, step: &mut SimpleCommand) {
    let done = std::mem::take(step);
    if !done.words.is_empty() || !done.redirects.is_empty() {
        steps.push(done);
    }
}

fn word(letters: &[char], from: usize) -> Result<(Word, usize), LineError> {
    let mut word = Word::default();
    let mut quoted = false;
    let mut at = from;
    while let Some(&letter) = letters.get(at) {
        // Of a line in a line (`sh -c "… $(nproc)"`): the brackets in it are none of this one's.
        if let Some(length) = super::holes::length(&letters[at..]) {
            word.push(&letters[at..at + length].iter().collect::<String>());
            at += length;
            continue;
        }
        match letter {
            '"' => {
                quoted = !quoted;
                // An empty pair of quotes is a word too.
                word.push("");
                at += 1;
            }
            '\'' if !quoted => {
                let length = letters[at + 1..].iter().position(|it| *it == '\'').ok_or(UNCLOSED)?;
                word.push(&letters[at + 1..at + 1 + length].iter().collect::<String>());
                at += length + 2;
            }
            '\\' => {
                let Some(next) = letters.get(at + 1) else { return Err("the line ends in a backslash") };
                let kept = quoted && !"$`\"\\".contains(*next);
                word.push(&if kept { format!("\\{next}") } else { next.to_string() });
                at += 2;
            }
            '$' => {
                let (expression, next) = variable(letters, at + 1)?;
                match expression {
                    Some(expression) => word.0.push(Piece::Variable(expression, quoted)),
                    None => word.push("$"),
                }
                at = next;
            }
            '`' => {
                let length = letters[at + 1..].iter().position(|it| *it == '`').ok_or(UNCLOSED)?;
                let inside: String = letters[at + 1..at + 1 + length].iter().collect();
                word.0.push(Piece::Variable(format!("({inside})"), quoted));
                at += length + 2;
            }
            _ if quoted => {
                word.push(&letter.to_string());
                at += 1;
            }
            _ if letter.is_whitespace() || ";|&<>()".contains(letter) => break,
            _ => {
                word.push(&letter.to_string());
                at += 1;
            }
        }
    }
    if quoted { Err(UNCLOSED) } else { Ok((word, at)) }
}

/// What stands behind a `$`: a name, `{…}` without its braces, `(…)` with its own; and where it ends.
fn variable(letters: &[char], from: usize) -> Result<(Option<String>, usize), LineError> {
    let name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    match letters.get(from) {
        Some('{') => {
            let end = closing(letters, from, '{', '}')?;
            Ok((Some(letters[from + 1..end].iter().collect()), end + 1))
        }
        Some('(') => {
            let end = closing(letters, from, '(', ')')?;
            Ok((Some(letters[from..=end].iter().collect()), end + 1))
        }
        Some(c) if "@*#?$!".contains(*c) || c.is_ascii_digit() => Ok((Some(c.to_string()), from + 1)),
        Some(c) if name(c) => {
            let length = letters[from..].iter().take_while(|c| name(c)).count();
            Ok((Some(letters[from..from + length].iter().collect()), from + length))
        }
        _ => Ok((None, from)),
    }
}

fn closing(letters: &[char], from: usize, open: char, close: char) -> Result<usize, LineError> {
    let mut depth = 0usize;
    for (at, letter) in letters.iter().enumerate().skip(from) {
        if *letter == open {
            depth += 1;
        } else if *letter == close {
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
        }
    }
    Err("a bracket is not closed")
}

impl Word {
    fn push(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    /// The words that it becomes: none where a variable is empty, several where one out of quotes has spaces.
    pub(super) fn expand(&self, value: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut last: Option<String> = None;
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => last.get_or_insert_default().push_str(text),
                Piece::Variable(expression, true) => {
                    last.get_or_insert_default().push_str(&resolve(expression, value));
                }
                Piece::Variable(expression, false) => {
                    let text = resolve(expression, value);
                    if super::holes::open(&text) {
                        last.get_or_insert_default().push_str(&text);
                        continue;
                    }
                    if text.starts_with(char::is_whitespace) {
                        words.extend(last.take());
                    }
                    for (index, part) in text.split_whitespace().enumerate() {
                        if index > 0 {
                            words.extend(last.take());
                        }
                        last.get_or_insert_default().push_str(part);
                    }
                    if !text.is_empty() && text.ends_with(char::is_whitespace) {
                        words.extend(last.take());
                    }
                }
            }
        }
        words.extend(last);
        words
    }

    /// As one text, as in an assignment.
    pub(super) fn joined(&self, value: &dyn Fn(&str) -> Option<String>) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(expression, _) => resolve(expression, value),
        });
        pieces.collect()
    }
}

/// The value of what stands behind a `$`; a hole where nobody knows it.
pub(super) fn resolve(expression: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    if let Some(known) = value(expression) {
        return known;
    }
    let name_length =
        expression.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(expression.len());
    let (name, rest) = expression.split_at(name_length);
    let or = |rest: &str| {
        [":-", ":=", "-", "="].iter().find_map(|mark| rest.strip_prefix(mark).map(str::to_owned))
    };
    match (or(rest), value(name)) {
        (Some(_), Some(known)) if !known.is_empty() => known,
        (Some(other), _) if !other.contains(['$', '`']) => other.trim_matches(['"', '\'']).to_owned(),
        _ if rest.starts_with(":?") || rest.starts_with('?') => value(name).unwrap_or_else(|| hole(name)),
        _ => hole(expression),
    }
}
