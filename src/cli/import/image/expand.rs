//! Words of a Dockerfile's instructions, and the variables in them.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::cli::import::holes::hole;
use crate::cli::import::words::{LineError, UNCLOSED};

/// Defaults of defaults of defaults: more nobody has.
const DEEPEST: u8 = 8;

/// What an instruction may refer to.
#[derive(Debug)]
pub(super) struct DockerVariables<'a> {
    pub(super) escape: char,
    /// ENV, which wins over ARG.
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) args: &'a BTreeMap<String, String>,
    /// How much may still be put in: `ENV A=$A$A` doubles.
    pub(super) left: &'a Cell<usize>,
}

impl DockerVariables<'_> {
    /// The words, variables put in and quotes taken off.
    pub(super) fn words(&self, text: &str) -> Result<Vec<String>, LineError> {
        self.split(text, true, 0)
    }

    /// As one text.
    pub(super) fn text(&self, text: &str) -> Result<String, LineError> {
        Ok(self.split(text, false, 0)?.concat())
    }

    fn split(&self, text: &str, into_words: bool, depth: u8) -> Result<Vec<String>, LineError> {
        let letters: Vec<char> = text.chars().collect();
        let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
        let mut at = 0;
        while let Some(&letter) = letters.get(at) {
            at += 1;
            match letter {
                '\'' if !quoted => {
                    let length = letters[at..].iter().position(|it| *it == '\'').ok_or(UNCLOSED)?;
                    word.get_or_insert_default().extend(&letters[at..at + length]);
                    at += length + 1;
                }
                '"' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                it if it == self.escape => {
                    let next = letters.get(at).copied();
                    let kept =
                        quoted && !next.is_some_and(|next| next == self.escape || "\"$".contains(next));
                    let word = word.get_or_insert_default();
                    if kept {
                        word.push(letter);
                    }
                    word.extend(next);
                    at += 1;
                }
                '$' => {
                    let (value, next) = self.variable(&letters, at, depth)?;
                    word.get_or_insert_default().push_str(&value);
                    at = next;
                }
                space if space.is_whitespace() && !quoted && into_words => words.extend(word.take()),
                other => word.get_or_insert_default().push(other),
            }
        }
        if quoted {
            return Err(UNCLOSED);
        }
        words.extend(word);
        Ok(words)
    }

    /// The value of what stands behind a `$`, and where it ends.
    fn variable(&self, letters: &[char], from: usize, depth: u8) -> Result<(String, usize), LineError> {
        let in_name = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
        let braced = letters.get(from) == Some(&'{');
        let start = from + usize::from(braced);
        let length = letters[start.min(letters.len())..].iter().take_while(in_name).count();
        let name: String = letters[start..start + length].iter().collect();
        if !braced {
            let value = if name.is_empty() { "$".to_owned() } else { self.value(&name)?.unwrap_or_default() };
            return Ok((value, start + length));
        }
        let mut open = 0usize;
        let end = letters[from..].iter().position(|letter| {
            open = match letter {
                '{' => open + 1,
                '}' => open - 1,
                _ => open,
            };
            open == 0
        });
        let end = from + end.ok_or("a ${ is not closed")?;
        let rest: String = letters[start + length..end].iter().collect();
        let known = self.value(&name)?;
        let filled = known.as_ref().is_some_and(|it| !it.is_empty());
        let other = |text: &str| match depth < DEEPEST {
            true => Ok(self.split(text, false, depth + 1)?.concat()),
            false => Err("its defaults have defaults without an end"),
        };
        let value = if rest.is_empty() || rest.starts_with(":?") || rest.starts_with('?') {
            known.unwrap_or_default()
        } else if let Some(text) = rest.strip_prefix(":-") {
            if filled { known.unwrap_or_default() } else { other(text)? }
        } else if let Some(text) = rest.strip_prefix(":+") {
            if filled { other(text)? } else { String::new() }
        } else if let Some(text) = rest.strip_prefix('-') {
            known.map_or_else(|| other(text), Ok)?
        } else if let Some(text) = rest.strip_prefix('+') {
            if known.is_some() { other(text)? } else { String::new() }
        } else {
            // `${A#x}`, `${A/x/y}`: whoever asks shall be told.
            hole(&letters[start..end].iter().collect::<String>())
        };
        Ok((value, end + 1))
    }

    fn value(&self, name: &str) -> Result<Option<String>, LineError> {
        let known = self.env.get(name).or_else(|| self.args.get(name)).cloned();
        // Base images have one, and name it nowhere.
        let known = known.or_else(|| (name == "PATH").then(|| super::settle::SYSTEM_PATH.to_owned()));
        let length = known.as_ref().map_or(0, String::len);
        self.left.set(self.left.get().checked_sub(length).ok_or("its variables grow without an end")?);
        Ok(known)
    }
}
