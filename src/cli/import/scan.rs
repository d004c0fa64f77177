//! gunicorn.conf.py, looked at and not run: which settings it makes, and the values of those that are plain.

use std::collections::BTreeMap;

/// What it sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conf {
    /// The file, for notes.
    pub(super) name: String,
    /// Whether its text was there to look at.
    pub(super) known: bool,
    /// Each name on the left of a `=` in its first column, with the text where it is one plain string.
    pub(super) settings: BTreeMap<String, Option<String>>,
    /// Each function.
    pub(super) hooks: Vec<String>,
}

impl Conf {
    pub(super) fn sets(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.as_deref()
    }
}

/// Looks at the text. Lines that begin in the first column are its statements; strings over several lines are passed.
pub(super) fn scan(name: &str, text: &str) -> Conf {
    let mut conf = Conf { name: name.to_owned(), known: true, ..Conf::default() };
    let mut open: Option<&str> = None;
    for line in text.lines() {
        if let Some(mark) = open {
            open = after_texts(line.split_once(mark).map_or("", |(_, rest)| rest), line.contains(mark), mark);
            continue;
        }
        open = after_texts(line, true, "");
        let word: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let rest = line[word.len()..].trim_start();
        let function = ["def ", "async def "].iter().find_map(|head| line.strip_prefix(head));
        if let Some(function) = function {
            let name = function.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
            conf.hooks.extend(name.map(str::to_owned));
        } else if !word.is_empty() && rest.starts_with('=') && !rest.starts_with("==") {
            conf.settings.insert(word, string(rest[1..].trim()));
        }
    }
    conf
}

/// The mark of a text over several lines that is open behind this line.
fn after_texts(line: &str, closed: bool, mark: &str) -> Option<&'static str> {
    const MARKS: [&str; 2] = ["\"\"\"", "'''"];
    if !closed {
        return MARKS.into_iter().find(|it| *it == mark);
    }
    let mut rest = line;
    loop {
        let first = MARKS.into_iter().filter_map(|mark| Some((rest.find(mark)?, mark))).min()?;
        let behind = &rest[first.0 + 3..];
        match behind.split_once(first.1) {
            Some((_, after)) => rest = after,
            None => return Some(first.1),
        }
    }
}

/// The content of a plain string that is all of the value.
fn string(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|c| "\"'".contains(*c))?;
    let (inside, after) = value[1..].split_once(quote)?;
    let after = after.trim();
    let alone = after.is_empty() || after.starts_with('#');
    (alone && !inside.contains('\\') && !inside.is_empty()).then(|| inside.to_owned())
}
