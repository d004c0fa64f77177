//! `${NAME}` in a compose file: what compose puts in before it reads anything.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::cli::import::holes::hole;

/// Defaults of defaults of defaults: more nobody has.
const DEEPEST: u8 = 8;

/// The values that are known: said on the command line, and of the `.env` beside the file.
pub(super) struct Values {
    pub(super) known: BTreeMap<String, String>,
    /// How much may still be put in.
    pub(super) left: Cell<usize>,
}

impl Values {
    /// The text with each variable put in; a hole for one that nobody has said.
    pub(super) fn fill(&self, text: &str) -> String {
        self.at(text, 0)
    }

    fn at(&self, text: &str, depth: u8) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if let Some(after) = after.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else if let Some((inside, after)) = after.strip_prefix('{').and_then(braced) {
                filled.push_str(&self.value(inside, depth));
                rest = after;
            } else {
                let length = after.find(|c| !in_name(c)).unwrap_or(after.len());
                match &after[..length] {
                    "" => filled.push('$'),
                    name => filled.push_str(&self.value(name, depth)),
                }
                rest = &after[length..];
            }
        }
        filled + rest
    }

    /// The value of what stands in the braces.
    fn value(&self, inside: &str, depth: u8) -> String {
        let length = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
        let (name, rest) = inside.split_at(length);
        let known = self.known.get(name).filter(|value| {
            let left = self.left.get().checked_sub(value.len());
            self.left.set(left.unwrap_or_default());
            left.is_some()
        });
        let filled = known.filter(|value| !value.is_empty());
        let other = |text: &str| if depth < DEEPEST { self.at(text, depth + 1) } else { hole(name) };
        let unknown = || hole(name);
        if let Some(text) = rest.strip_prefix(":-") {
            filled.cloned().unwrap_or_else(|| other(text))
        } else if let Some(text) = rest.strip_prefix('-') {
            known.cloned().unwrap_or_else(|| other(text))
        } else if let Some(text) = rest.strip_prefix(":+") {
            filled.map_or_else(String::new, |_| other(text))
        } else if let Some(text) = rest.strip_prefix('+') {
            known.map_or_else(String::new, |_| other(text))
        } else {
            known.cloned().unwrap_or_else(unknown)
        }
    }
}

/// What stands before the brace that closes, and behind it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 1usize;
    // Longer nobody writes; without an end, each one that is not closed would be looked for in all of the text.
    for (at, letter) in text.char_indices().take(4_096) {
        match letter {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::holes::plain;

    #[test]
    fn each_form_of_a_variable_is_put_in() {
        let known = [("A", "1"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let values = Values { known: known.into(), left: Cell::new(1000) };
        for (text, filled) in [
            ("x$A-${A}y", "x1-1y"),
            ("$$A $ 5$", "$A $ 5$"),
            ("${B:-b} ${EMPTY:-e} ${EMPTY-e}", "b e "),
            ("${B:-${A}}/${B:-${C-c}}", "1/c"),
            ("${A:+set}${B:+set}", "set"),
            ("${A:?must be set}", "1"),
            ("$B", "$B"),
            ("${unclosed", "${unclosed"),
            ("ä${A}ä$", "ä1ä$"),
        ] {
            assert_eq!(plain(&values.fill(text)), filled, "{text}");
        }
        let endless = "${B:-".repeat(50_000) + &"}".repeat(50_000) + &"${".repeat(100_000);
        assert!(values.fill(&endless).len() < 1_000_000);
    }
}
