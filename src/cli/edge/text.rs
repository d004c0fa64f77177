//! Lines with comments, and names that are quoted where they would mean something to the program that reads them.

use super::program::Program;
use crate::cli::screen::one_line;
use crate::config::is_hidden;

/// Comments are broken here.
const WIDTH: usize = 112;

/// For lines that a machine without it does not take.
pub(super) const WITHOUT_IPV6: &str = "Where IPv6 is switched off, the lines with :: have to go.";

/// For a server that has no other one beside it.
pub(super) const NO_CHECK: &str = "No check: where there is no other server, one that fails would only turn clients away, and \
                                   while it drains this one goes on serving.";

/// A file in the making.
#[derive(Debug)]
pub(super) struct Text {
    lines: String,
    depth: usize,
    unit: &'static str,
}

impl Text {
    /// Nothing yet, with this for each step to the right.
    pub(super) fn new(unit: &'static str) -> Text {
        Text { lines: String::new(), depth: 0, unit }
    }

    /// One line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        debug_assert!(!line.contains(['\n', '\r']), "{line:?} is more than a line");
        self.indent();
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// An empty one.
    pub(super) fn gap(&mut self) {
        self.lines.push('\n');
    }

    /// A line, and what follows is within it.
    pub(super) fn open(&mut self, line: impl AsRef<str>) {
        self.line(line);
        self.depth += 1;
    }

    /// The end of that, with its last line where there is one.
    pub(super) fn close(&mut self, line: &str) {
        self.depth -= 1;
        if !line.is_empty() {
            self.line(line);
        }
    }

    /// A comment.
    pub(super) fn note(&mut self, words: &str) {
        let mut line = String::new();
        for word in harmless(words).split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(format!("# {line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(format!("# {line}"));
    }

    /// A command in a comment, on a line of its own.
    pub(super) fn command(&mut self, words: &str) {
        self.line(format!("#     {}", harmless(words)));
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        self.lines
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.lines.push_str(self.unit);
        }
    }
}

/// One line without what programs look for in comments too: Traefik's templates, Caddy's variables, a line's
/// continuation.
fn harmless(words: &str) -> String {
    one_line(words).replace("{{", "{ {").replace("{$", "{ $").replace('\\', "\u{fffd}")
}

/// A path as a word of the program's language; an error where that has no way to write it.
pub(super) fn path(program: &Program, what: &str, path: &str) -> Result<String, String> {
    let rules = &program.paths;
    // What nobody sees is as bad: the file is printed for a person to read.
    let control = path.chars().find(|c| c.is_control() || is_hidden(*c)).map(|c| c.to_string());
    let found =
        rules.never.iter().find(|part| path.contains(**part)).map(|part| (*part).to_owned()).or(control);
    if let Some(found) = found {
        return Err(format!(
            "{what} is {path:?}, which cannot be written for {}: {found:?} means something else there, or cannot be seen; \
             choose another path",
            program.name
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    match path.chars().all(plain) && !rules.always_quoted {
        true => Ok(path.to_owned()),
        false => Ok((rules.quote)(path)),
    }
}
