//! What the instructions of a Dockerfile come to, stage by stage.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::expand::DockerVariables;
use super::files::{Copied, CopiedFrom};
use super::lines::{DockerFault, DockerLines, Instruction};
use super::{ImageDraft, Start};
use crate::cli::import::draft::absolute;
use crate::cli::import::holes::hole;
use crate::cli::import::words::LineError;

/// More stages nobody has, and each has what the one before it has.
const MOST: usize = 64;

#[derive(Clone, Default)]
struct Stage {
    name: String,
    image: ImageDraft,
    args: BTreeMap<String, String>,
    copies: Vec<Copied>,
    /// Whether CMD stands in this stage itself: an ENTRYPOINT takes away one that was inherited.
    has_command: bool,
}

/// The image of the last stage, or of the one that is named.
pub(super) fn read(
    file: &DockerLines,
    given: &BTreeMap<String, String>,
    target: Option<&str>,
    length: usize,
) -> Result<ImageDraft, DockerFault> {
    let left = Cell::new((64 << 10) + 8 * length);
    let mut globals = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in &file.instructions {
        let at = |what: LineError| (instruction.line, what);
        let escape = file.escape;
        if instruction.name == "FROM" {
            if stages.len() == MOST {
                return Err(at("it has more stages than anybody has"));
            }
            if is_target(stages.last(), target) {
                break;
            }
            let none = BTreeMap::new();
            let variables = DockerVariables { escape, env: &none, args: &globals, left: &left };
            let words = variables.words(&instruction.rest).map_err(at)?;
            stages.push(begin(&words, &stages));
        } else if let Some(stage) = stages.last_mut() {
            step(stage, instruction, (escape, &left), given, &globals).map_err(at)?;
        } else if instruction.name == "ARG" {
            let none = BTreeMap::new();
            let variables = DockerVariables { escape, env: &none, args: &globals, left: &left };
            let pairs = pairs(&variables, &instruction.rest).map_err(at)?;
            for (name, value) in pairs {
                let value = given.get(&name).cloned().or(value).unwrap_or_else(|| hole(&name));
                globals.insert(name, value);
            }
        }
    }
    let names: Vec<String> = stages.iter().map(|stage| stage.name.clone()).collect();
    let copies: Vec<Vec<Copied>> = stages.iter().map(|stage| stage.copies.clone()).collect();
    let mut image = stages.pop().unwrap_or_default().image;
    image.files.stages = copies;
    image.files.names = names;
    image.built = true;
    Ok(image)
}

fn is_target(stage: Option<&Stage>, target: Option<&str>) -> bool {
    stage.is_some_and(|stage| target.is_some_and(|target| stage.name == target.to_ascii_lowercase()))
}

/// `FROM [--platform=…] image [AS name]`: an image of elsewhere, or an earlier stage of the same file.
fn begin(words: &[String], stages: &[Stage]) -> Stage {
    let mut words = words.iter().filter(|word| !word.starts_with("--"));
    let from = words.next().map(|it| it.to_ascii_lowercase()).unwrap_or_default();
    let mut stage = stages.iter().rev().find(|stage| !stage.name.is_empty() && stage.name == from).cloned();
    let stage = stage.get_or_insert_default();
    stage.name = words.nth(1).map(|it| it.to_ascii_lowercase()).unwrap_or_default();
    stage.args = BTreeMap::new();
    stage.has_command = false;
    std::mem::take(stage)
}

fn step(
    stage: &mut Stage,
    instruction: &Instruction,
    (escape, left): (char, &Cell<usize>),
    given: &BTreeMap<String, String>,
    globals: &BTreeMap<String, String>,
) -> Result<(), LineError> {
    let rest = instruction.rest.as_str();
    // Taken out, so that none of it is copied for each line.
    let (mut env, mut args) = (std::mem::take(&mut stage.image.env), std::mem::take(&mut stage.args));
    let (mut more_env, mut more_args) = (Vec::new(), Vec::new());
    let variables = DockerVariables { escape, env: &env, args: &args, left };
    let image = &mut stage.image;
    match instruction.name.as_str() {
        "ARG" => {
            for (name, value) in pairs(&variables, rest)? {
                let value = given.get(&name).cloned().or(value).or_else(|| globals.get(&name).cloned());
                more_args.push((name.clone(), value.unwrap_or_else(|| hole(&name))));
            }
        }
        "ENV" => {
            let first = rest.split_whitespace().next().unwrap_or_default();
            if first.contains('=') {
                let pairs = pairs(&variables, rest)?;
                more_env.extend(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))));
            } else {
                let value = variables.text(rest[first.len()..].trim())?;
                more_env.push((first.to_owned(), value));
            }
        }
        "WORKDIR" => {
            let to = variables.text(rest)?;
            image.directory = Some(absolute(&to, Some(&image.workdir())));
        }
        "USER" => image.user = Some(variables.text(rest)?),
        "EXPOSE" => {
            for word in variables.words(rest)? {
                image.ports.extend(word.strip_suffix("/tcp").unwrap_or(&word).parse::<u16>());
            }
        }
        "VOLUME" => match listed(rest)? {
            Some(words) => image.volumes.extend(words),
            None => image.volumes.extend(variables.words(rest)?),
        },
        "STOPSIGNAL" => image.stop_signal = Some(variables.text(rest)?),
        "CMD" => {
            image.command = Some(start(rest)?);
            stage.has_command = true;
        }
        "ENTRYPOINT" => {
            image.entrypoint = Some(start(rest)?);
            if !stage.has_command {
                image.command = None;
            }
        }
        "HEALTHCHECK" => {
            let (_, test) = flags(rest);
            image.health = match test.split_once(char::is_whitespace) {
                Some((word, test)) if word.eq_ignore_ascii_case("CMD") => Some(start(test.trim())?),
                _ => None,
            };
        }
        "COPY" | "ADD" => {
            let workdir = image.workdir();
            let copied = copied(&variables, instruction, &workdir)?;
            stage.copies.extend(copied);
        }
        _ => {}
    }
    env.extend(more_env);
    args.extend(more_args);
    (stage.image.env, stage.args) = (env, args);
    Ok(())
}

/// `NAME=value` and `NAME` alone.
fn pairs(variables: &DockerVariables<'_>, rest: &str) -> Result<Vec<(String, Option<String>)>, LineError> {
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    };
    let words = variables.words(rest)?.into_iter().map(pair);
    Ok(words.filter(|(name, _)| !name.is_empty()).collect())
}

/// A list of JSON's; `None` where it is none.
fn listed(rest: &str) -> Result<Option<Vec<String>>, LineError> {
    const QUOTES: LineError = "the list in [ ] is no JSON: it needs double quotes and commas";
    match serde_json::from_str::<Vec<String>>(rest) {
        Ok(words) => Ok(Some(words)),
        // To Docker it is a line for a shell then, which knows nothing that is called so.
        Err(_) if rest.starts_with('[') && rest.ends_with(']') && !rest.starts_with("[ -") => Err(QUOTES),
        Err(_) => Ok(None),
    }
}

fn start(rest: &str) -> Result<Start, LineError> {
    Ok(listed(rest)?.map_or_else(|| Start::Line(rest.to_owned()), Start::Words))
}

/// The options in front of an instruction's own words.
fn flags(rest: &str) -> (Vec<&str>, &str) {
    let (mut flags, mut rest) = (Vec::new(), rest.trim());
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        flags.push(flag);
        rest = after.trim_start();
    }
    (flags, rest)
}

fn copied(
    variables: &DockerVariables<'_>,
    instruction: &Instruction,
    workdir: &str,
) -> Result<Vec<Copied>, LineError> {
    let (flags, rest) = flags(&instruction.rest);
    let stage = flags.iter().find_map(|flag| flag.strip_prefix("--from=")).map(str::to_ascii_lowercase);
    let mut words = match listed(rest)? {
        Some(words) => words,
        None => variables.words(rest)?,
    };
    let Some(to) = words.pop() else { return Ok(Vec::new()) };
    let to = match absolute(&to, Some(workdir)) {
        whole if to.ends_with('/') && !whole.ends_with('/') => format!("{whole}/"),
        whole => whole,
    };
    let from = |word: String| {
        let mark = word.trim_start_matches('<').trim_start_matches('-').trim_matches(['"', '\'']);
        let text = instruction.texts.iter().find(|(name, _)| word.starts_with("<<") && name == mark);
        let from = match (text, &stage) {
            (Some((_, text)), _) => CopiedFrom::Text(text.clone()),
            (None, Some(stage)) => CopiedFrom::Stage(stage.clone(), word),
            (None, None) => CopiedFrom::Context(word),
        };
        Copied { from, to: to.clone() }
    };
    Ok(words.into_iter().map(from).collect())
}
