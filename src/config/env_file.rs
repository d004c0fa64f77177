//! Files with environment: `NAME=value` lines, as shells and systemd write them. Pure.
//!
//! They hold secrets, so a problem shows its line's number and never its text.

use std::path::Path;

use super::error::{Place, Problem, Problems, Spot};
use super::names::env_name_fault;

/// The variables of a file, in its order. The grammar, line by line:
///
/// - blank, or `#` first: nothing
/// - `NAME=value` or `export NAME=value`; spaces around the value fall away, ` #` begins a comment
/// - `'…'` holds everything as it stands; `"…"` knows `\"`, `\\`, `\$`, `\n`; neither goes over a line's end
/// - nothing is expanded: `$HOME` stays `$HOME`
pub fn parse_env_file(text: &str, file: &Path) -> Result<Vec<(String, String)>, Problems> {
    let mut variables = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line) {
            Ok(variable) => variables.push(variable),
            Err((message, help)) => problems.push(Problem::new(place(file, index + 1), message).help(help)),
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(Problems::new(problems)) }
}

fn place(file: &Path, line: usize) -> Place {
    let text = "(not shown: the file may hold secrets)".to_owned();
    let width = text.len();
    Place { file: file.to_owned(), spot: Some(Spot { line, column: 1, text, indent: 0, width }) }
}

type EnvFileFault = (&'static str, &'static str);

fn variable(line: &str) -> Result<(String, String), EnvFileFault> {
    let line = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(line);
    let (name, value) =
        line.split_once('=').ok_or(("a line without `=`", "write NAME=value, or # before a comment"))?;
    let name = name.trim_start();
    if name.ends_with([' ', '\t']) {
        return Err(("a space before the `=`", "write NAME=value"));
    }
    if let Some(fault) = env_name_fault(name) {
        return Err(match fault.what.as_str() {
            "is reserved" => ("a name that systemd reserves", "leave the line out"),
            _ => ("what stands before the `=` is no name", "write NAME=value"),
        });
    }
    let value = value.trim();
    let value = match value.chars().next() {
        Some('\'') => single_quoted(&value[1..])?,
        Some('"') => double_quoted(&value[1..])?,
        _ => match value.find(" #").or_else(|| value.find("\t#")) {
            Some(comment) => value[..comment].trim_end().to_owned(),
            None => value.to_owned(),
        },
    };
    if value.contains('\0') {
        return Err(("a NUL in the value", "leave it out: no program can take one"));
    }
    Ok((name.to_owned(), value))
}

const UNCLOSED: EnvFileFault =
    ("a quote that is not closed on its line", "close it, or quote the value with the other kind");

fn single_quoted(rest: &str) -> Result<String, EnvFileFault> {
    let (inside, after) = rest.split_once('\'').ok_or(UNCLOSED)?;
    nothing_after(after)?;
    Ok(inside.to_owned())
}

fn double_quoted(rest: &str) -> Result<String, EnvFileFault> {
    let mut inside = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                nothing_after(letters.as_str())?;
                return Ok(inside);
            }
            '\\' => match letters.next() {
                Some('n') => inside.push('\n'),
                Some(plain @ ('"' | '\\' | '$' | '`')) => inside.push(plain),
                Some(other) => inside.extend(['\\', other]),
                None => return Err(UNCLOSED),
            },
            other => inside.push(other),
        }
    }
    Err(UNCLOSED)
}

fn nothing_after(rest: &str) -> Result<(), EnvFileFault> {
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(());
    }
    Err(("text after the closing quote", "put the whole value into the quotes"))
}
