//! Problems of the configuration, shown the way rustc shows its own: file, line, the text underlined, rule and remedy.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// Every problem that was found; never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems {
    problems: Vec<Problem>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What is wrong, with the value.
    pub message: String,
    /// The rule that it breaks, or empty.
    pub rule: String,
    /// What to do, or empty.
    pub help: String,
    /// The other places that it is about, each with a few words.
    pub also: Vec<(Place, String)>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Where in it; `None` for the whole file.
    pub spot: Option<Spot>,
}

/// A stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line as it is shown: without control characters, shortened where it is long.
    pub text: String,
    /// How many characters of `text` stand before the underlined ones.
    pub indent: usize,
    /// How many characters are underlined, at least 1.
    pub width: usize,
}

/// Why a value is refused, before it is known where it stands. Reads on from the key: "`workers` is 0".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `is 0`.
    pub what: String,
    /// `1 to 1000`.
    pub rule: String,
    /// What to do, or empty.
    pub help: String,
}

impl Fault {
    pub(crate) fn new(what: impl Into<String>, rule: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault { what: what.into(), rule: rule.into(), help: help.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.what, &self.rule, &self.help];
        let said: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        f.write_str(&said.join(": "))
    }
}

impl Problem {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Problem {
        Problem { place, message: message.into(), rule: String::new(), help: String::new(), also: Vec::new() }
    }

    pub(crate) fn rule(mut self, rule: impl Into<String>) -> Problem {
        self.rule = rule.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = help.into();
        self
    }

    pub(crate) fn also(mut self, place: Place, words: impl Into<String>) -> Problem {
        self.also.push((place, words.into()));
        self
    }

    /// Whether the rule can stand beside the underlined text on an ordinary terminal.
    fn rule_fits(&self) -> bool {
        const WIDTH: usize = 100;
        let used = |spot: &Spot| spot.indent + spot.width + self.rule.chars().count();
        self.place.spot.as_ref().is_some_and(|spot| used(spot) <= WIDTH)
    }

    fn line(&self) -> Option<usize> {
        self.place.spot.as_ref().map(|spot| spot.line)
    }

    fn column(&self) -> Option<usize> {
        self.place.spot.as_ref().map(|spot| spot.column)
    }
}

impl Problems {
    pub(crate) fn new(problems: Vec<Problem>) -> Problems {
        Problems { problems }
    }

    /// The problems, file by file, in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The first problem on one line, and how many more there are: for a status line.
    pub fn summary(&self) -> String {
        let Some(first) = self.problems.first() else { return "no problem".to_owned() };
        let more = match self.problems.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more problem)".to_owned(),
            more => format!(" (and {more} more problems)"),
        };
        let rule = if first.rule.is_empty() { String::new() } else { format!(": {}", first.rule) };
        format!("{}: {}{rule}{more}", first.place, first.message)
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let mut files: Vec<_> = self.problems.iter().map(|problem| &problem.place.file).collect();
        files.sort();
        files.dedup();
        let many = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        writeln!(f, "{} in {}", many(self.len(), "problem"), many(files.len(), "file"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = std::iter::once(&self.place).chain(self.also.iter().map(|(place, _)| place));
        let last = places.filter_map(|place| place.spot.as_ref()).map(|spot| spot.line).max();
        let gutter = last.map_or(1, |line| line.to_string().len());
        writeln!(f, "error: {}", self.message)?;
        let beside = if self.rule_fits() { self.rule.as_str() } else { "" };
        excerpt(f, gutter, "-->", &self.place, '^', beside)?;
        for (place, words) in &self.also {
            excerpt(f, gutter, ":::", place, '-', words)?;
        }
        if !self.rule.is_empty() && !self.rule_fits() {
            writeln!(f, "{:gutter$} = rule: {}", "", self.rule)?;
        }
        if !self.help.is_empty() {
            writeln!(f, "{:gutter$} = help: {}", "", self.help)?;
        }
        Ok(())
    }
}

/// One place with its line, the text underlined with `mark`, and a few words beside the line of marks.
fn excerpt(
    f: &mut fmt::Formatter<'_>,
    gutter: usize,
    arrow: &str,
    place: &Place,
    mark: char,
    words: &str,
) -> fmt::Result {
    writeln!(f, "{:gutter$}{arrow} {place}", "")?;
    let Some(spot) = &place.spot else { return Ok(()) };
    let marks: String = std::iter::repeat_n(mark, spot.width).collect();
    let underline = format!("{:indent$}{marks} {words}", "", indent = spot.indent);
    writeln!(f, "{:gutter$} |", "")?;
    writeln!(f, "{:gutter$} | {}", spot.line, spot.text)?;
    writeln!(f, "{:gutter$} | {}", "", underline.trim_end())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match &self.spot {
            Some(spot) => write!(f, ":{}:{}", spot.line, spot.column),
            None => Ok(()),
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut object = to.serialize_struct("Problem", 6)?;
        object.serialize_field("file", &self.place.file.to_string_lossy())?;
        object.serialize_field("line", &self.line())?;
        object.serialize_field("column", &self.column())?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("rule", &self.rule)?;
        object.serialize_field("help", &self.help)?;
        object.end()
    }
}
