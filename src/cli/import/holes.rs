//! A value that is not known yet, kept where it belongs in a text until somebody says it.

use super::error::Need;

/// Private characters: what is read has none of them, see [`clean`].
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// Text without the marks of holes, and without NULs.
pub(super) fn clean(text: &str) -> String {
    text.replace([OPEN, CLOSE, '\0'], "\u{fffd}")
}

/// The hole of an expression, `PORT` or `%H`.
pub(super) fn hole(expression: &str) -> String {
    format!("{OPEN}{expression}{CLOSE}")
}

/// How many of the letters are one, where they begin with one.
pub(super) fn length(letters: &[char]) -> Option<usize> {
    letters.first().filter(|it| **it == OPEN)?;
    letters.iter().position(|it| *it == CLOSE).map(|at| at + 1)
}

/// Whether a value has one.
pub(super) fn open(text: &str) -> bool {
    text.contains(OPEN)
}

/// The text as it stood before, for people.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(OPEN) {
        let (name, after) = inside.split_once(CLOSE).unwrap_or((inside, ""));
        shown.push_str(before);
        if !name.starts_with('%') {
            shown.push('$');
        }
        shown.push_str(name);
        rest = after;
    }
    shown + &rest.replace(CLOSE, "")
}

/// What has to be said for the holes of `value`.
pub(super) fn needs(value: &str, what: &str) -> Vec<Need> {
    let names = value.split(OPEN).skip(1).map(|rest| rest.split(CLOSE).next().unwrap_or_default());
    let need = |name: &str| {
        let quoted = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let option = if quoted { format!("--set {name}=VALUE") } else { format!("--set '{name}=VALUE'") };
        Need { what: format!("{what} is {:?}", plain(value)), option }
    };
    names.map(need).collect()
}
