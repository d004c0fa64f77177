//! Python's tracebacks for people: the cause first, then the app's own frames; what others did on the way is counted.

use std::path::Path;

/// So many lines are shown of one.
const MOST: usize = 60;

const HEADER: &str = "Traceback (most recent call last):";
/// The end of a heading of `faulthandler`.
const STACK: &str = "(most recent call first):";
const CHAINED: [(&str, &str); 2] = [
    ("The above exception was the direct cause of the following exception:", "It was caused by:"),
    ("During handling of the above exception, another exception occurred:", "That came of handling:"),
];

/// The same, short: what was raised last comes first, frames of libraries are folded, an exception that it came of follows.
/// Text that holds no frame of Python's stays as it is.
pub fn brief(text: &str) -> String {
    let text = beginning_with_a_frame(text.trim_end());
    if !text.lines().any(|line| frame(line).is_some()) {
        return text.to_owned();
    }
    let mut shown: Vec<String> = Vec::new();
    for (number, (section, link)) in sections(text).into_iter().rev().enumerate() {
        if number > 0 {
            shown.push(String::new());
            shown.push(link.to_owned());
        }
        shown.extend(of_one(&section));
    }
    if shown.len() > MOST {
        let left = shown.len() - (MOST - 1);
        shown.truncate(MOST - 1);
        shown.push(format!("... {left} lines more"));
    }
    shown.join("\n")
}

/// Without the lines of source at the top whose frame was cut off, for only the end of an output is kept.
fn beginning_with_a_frame(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, more)) = rest.split_once('\n') {
        match () {
            () if frame(line).is_some() => return rest,
            () if line.starts_with("    ") => rest = more,
            () => return text,
        }
    }
    text
}

/// Where a stack that `faulthandler` has written stands: the innermost frame of the app's own, in the thread that is asked
/// before others.
pub fn stands_in(stacks: &str, directory: &Path) -> Option<String> {
    let mut blocks: Vec<(bool, Vec<&str>)> = Vec::new();
    for line in stacks.lines() {
        if line.ends_with(STACK) {
            blocks.push((!line.starts_with("Thread "), Vec::new()));
        } else if let Some((_, block)) = blocks.last_mut() {
            block.push(line);
        }
    }
    // Those that are no other threads first.
    blocks.sort_by_key(|(first, _)| !first);
    let own = |frame: &Frame<'_>| {
        let path = Path::new(frame.path);
        !frame.is_foreign() && (path.is_relative() || path.starts_with(directory))
    };
    let frames = blocks.iter().flat_map(|(_, block)| block.iter().filter_map(|line| frame(line)));
    let found = frames.into_iter().find(own)?;
    let path = Path::new(found.path).strip_prefix(directory).unwrap_or(Path::new(found.path));
    Some(format!("{} line {} ({})", path.display(), found.line, found.name?))
}

/// The exceptions in Python's order, each with the words for what it led to.
fn sections(text: &str) -> Vec<(Vec<&str>, &'static str)> {
    let mut sections = vec![(Vec::new(), "")];
    for line in text.lines() {
        match CHAINED.iter().find(|(sentence, _)| line == *sentence) {
            Some((_, link)) => {
                if let Some(last) = sections.last_mut() {
                    last.1 = link;
                }
                sections.push((Vec::new(), ""));
            }
            None => sections.last_mut().expect("there is a first").0.push(line),
        }
    }
    sections
}

/// One exception: what it is, and the frames that led there.
fn of_one(lines: &[&str]) -> Vec<String> {
    let start = lines.iter().position(|line| *line == HEADER);
    let begins = start.map_or_else(|| lines.iter().position(|line| frame(line).is_some()), |at| Some(at + 1));
    let body = begins.unwrap_or(lines.len());
    // Whatever is less indented than a frame is the exception's own text.
    let end =
        lines[body..].iter().position(|line| !line.starts_with("  ")).map_or(lines.len(), |at| body + at);
    if let Some(group) = group_of(lines) {
        return std::iter::once(group.to_owned()).chain(folded(lines)).collect();
    }
    // What `faulthandler` has written has no cause, and its own headings.
    if start.is_none() && lines.iter().any(|line| line.ends_with(STACK)) {
        return folded(lines);
    }
    let before = lines[..start.unwrap_or(body)].iter();
    let what = lines[end..].iter().chain(before).map(|line| (*line).to_owned());
    let mut shown: Vec<String> = trimmed(what.collect());
    // Where a `SyntaxError` is says more than how it was come to.
    let place = lines[body..end].iter().rposition(|line| frame(line).is_some());
    let place = place.map(|at| body + at).filter(|at| frame(lines[*at]).is_some_and(|it| it.name.is_none()));
    let frames = place.unwrap_or(end);
    shown.extend(lines[frames..end].iter().map(|line| (*line).to_owned()));
    if body < frames {
        if !shown.is_empty() {
            shown.push(HEADER.to_owned());
        }
        shown.extend(folded(&lines[body..frames]));
    }
    shown
}

/// What a group of exceptions is, where these lines are one.
fn group_of<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let header = |line: &&str| line.trim_start().starts_with("+ Exception Group Traceback");
    let at = lines.iter().position(header)?;
    let own = lines[at..].iter().filter_map(|line| line.strip_prefix("  | "));
    own.into_iter().find(|line| !line.starts_with(' ') && !line.is_empty())
}

/// Without empty lines at either end.
fn trimmed(mut lines: Vec<String>) -> Vec<String> {
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let first = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
    lines.drain(..first);
    lines
}

/// The lines with each row of foreign frames in one line; where there are no others, the last of them stays.
fn folded(lines: &[&str]) -> Vec<String> {
    let mut frames: Vec<(Option<Frame<'_>>, Vec<&str>)> = Vec::new();
    for line in lines {
        match frame(line) {
            Some(found) => frames.push((Some(found), vec![line])),
            None => match frames.last_mut() {
                Some((Some(found), more)) if found.continues(line) => more.push(line),
                _ => frames.push((None, vec![line])),
            },
        }
    }
    let own = frames.iter().any(|(it, _)| it.as_ref().is_some_and(|it| !it.is_foreign()));
    let last = frames.iter().rposition(|(it, _)| it.is_some()).filter(|_| !own);
    let mut shown = Vec::new();
    let mut row: Vec<Frame<'_>> = Vec::new();
    for (number, (found, lines)) in frames.into_iter().enumerate() {
        match found {
            Some(found) if found.is_foreign() && Some(number) != last => row.push(found),
            _ => {
                shown.extend(row_of(&mut row));
                shown.extend(lines.into_iter().map(str::to_owned));
            }
        }
    }
    shown.extend(row_of(&mut row));
    shown
}

/// `  ... 12 frames of gunicorn and importlib`
fn row_of(row: &mut Vec<Frame<'_>>) -> Option<String> {
    let first = row.first()?;
    let prefix = first.prefix;
    let mut names: Vec<&str> = Vec::new();
    for frame in row.iter() {
        let name = frame.owner();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(4);
    names.truncate(4);
    let others = if more > 0 { format!(" and {more} others") } else { String::new() };
    let names = match (names.split_last(), more) {
        (Some((last, rest)), 0) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.join(", "),
    };
    let count = match row.len() {
        1 => "1 frame".to_owned(),
        count => format!("{count} frames"),
    };
    row.clear();
    Some(format!("{prefix}  ... {count} of {names}{others}"))
}

/// `  File "shop/urls.py", line 3, in <module>`; without a name it is where a `SyntaxError` is.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    /// What a group of exceptions has before it.
    prefix: &'a str,
    path: &'a str,
    line: &'a str,
    name: Option<&'a str>,
}

fn frame(line: &str) -> Option<Frame<'_>> {
    let at = line.find("  File \"")?;
    let (prefix, rest) = (&line[..at], &line[at + "  File \"".len()..]);
    if !prefix.chars().all(|c| matches!(c, ' ' | '|')) {
        return None;
    }
    let (path, rest) = rest.split_once("\", line ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (line, rest) = rest.split_at(digits);
    let name = rest.strip_prefix(", in ").or_else(|| rest.strip_prefix(" in "));
    Some(Frame { prefix, path, line, name })
}

impl<'a> Frame<'a> {
    /// Whether a line belongs to it: its source, marks below that, the count of its repetitions.
    fn continues(&self, line: &str) -> bool {
        let Some(rest) = line.strip_prefix(self.prefix) else { return false };
        rest.starts_with("    ") || rest.starts_with("  [Previous line repeated")
    }

    /// Whether it is not the app's own code.
    fn is_foreign(&self) -> bool {
        self.name.is_some() && (self.package().is_some() || self.is_made() || self.standard().is_some())
    }

    /// `<frozen importlib._bootstrap>`, `<ostler main>`, `<string>`.
    fn is_made(&self) -> bool {
        self.path.starts_with('<') && self.path.ends_with('>')
    }

    /// What comes after the folder of installed packages.
    fn package(&self) -> Option<&'a str> {
        let folders = ["/site-packages/", "/dist-packages/"];
        folders.iter().find_map(|folder| self.path.rfind(folder).map(|at| &self.path[at + folder.len()..]))
    }

    /// What comes after the folder of Python's own library.
    fn standard(&self) -> Option<&'a str> {
        let at = self.path.find("/lib/python3")?;
        self.path[at + "/lib/python3".len()..].split_once('/').map(|(_, rest)| rest)
    }

    /// Whose it is.
    fn owner(&self) -> &'a str {
        if self.is_made() {
            let words = self.path.trim_matches(['<', '>']);
            let made = words.strip_prefix("frozen ").unwrap_or(words);
            return match made.split(['.', ' ']).next().unwrap_or(made) {
                // The line with which the interpreter was started.
                "string" => "ostler",
                made => made,
            };
        }
        let rest = self.package().or_else(|| self.standard()).unwrap_or(self.path);
        let first = rest.split('/').next().unwrap_or(rest);
        first.strip_suffix(".py").unwrap_or(first)
    }
}

#[cfg(test)]
#[path = "traceback_tests.rs"]
mod tests;
