//! Other people's text as a person is to see it: what steers a terminal, turns the order of letters round or shows nothing is
//! replaced by what can be seen. Pure.

use std::borrow::Cow;

/// What Unicode calls ignorable by default, what sets the direction of writing, and what breaks a line without saying so.
const HIDDEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a person would see nothing of it, or see others in another order for it.
pub fn is_hidden(c: char) -> bool {
    c >= '\u{ad}' && HIDDEN.iter().any(|&(first, last)| (first..=last).contains(&c))
}

/// `text` with hidden characters as escapes, `\u{202e}`, and without control characters other than tabs and line ends.
pub fn visible(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    changed(text, |c| steers(c) || is_hidden(c), |c| steers(c).then_some('\u{fffd}'))
}

/// The same on one line: control characters, line ends too, are blanks.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    changed(text, |c| c.is_control() || is_hidden(c), |c| c.is_control().then_some(' '))
}

/// The first line of `text` without control characters, cut after `most` characters.
pub fn shortened(text: &str, most: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(most).map(visible_char).collect();
    if short.chars().count() < text.trim_end().chars().count() { format!("{short}…") } else { short }
}

/// A terminal must not obey what a file says, nor show it in another order than it is read.
pub(super) fn visible_char(c: char) -> char {
    match c {
        c if is_hidden(c) => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    }
}

fn changed(text: &str, bad: impl Fn(char) -> bool, instead: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if !text.contains(&bad) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match (bad(c), instead(c)) {
            (false, _) => shown.push(c),
            (true, Some(other)) => shown.push(other),
            (true, None) => shown.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_would_not_see_is_shown() {
        for (hidden, shown) in [
            ("\u{202e}nimda", "\\u{202e}nimda"),
            ("ad\u{200b}min", "ad\\u{200b}min"),
            ("\u{e0041}", "\\u{e0041}"),
            ("a\u{2028}b", "a\\u{2028}b"),
            ("\u{feff}x\u{2066}", "\\u{feff}x\\u{2066}"),
        ] {
            assert_eq!(visible(hidden), shown);
            assert_eq!(visible_line(hidden), shown);
        }
    }

    #[test]
    fn what_steers_a_terminal_is_replaced_and_lines_stay_lines() {
        assert_eq!(visible("a\x1b[2J\r\n\tb\u{9b}"), "a\u{fffd}[2J\u{fffd}\n\tb\u{fffd}");
        assert_eq!(visible_line("a\x1b[2J\r\nb"), "a [2J  b");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["größe → 3 €", "名前　と", "e\u{301}", "« ça »\u{a0}!", "▁▃█ 🐎"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }
}
