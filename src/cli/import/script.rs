//! A command line or a start script: what it sets, where it goes, and the command that is gunicorn.

use super::draft::{Python, base};
use super::error::ImportError;
use super::migrations::is_migrate;
use super::reading::ImportContext;
use super::shell::{self, Piece, SimpleCommand, Word};
use super::{command, holes};

const SCRIPT: [&str; 10] = ["if", "for", "while", "until", "case", "function", "{", "!", "[[", "select"];
const QUIET: [&str; 11] =
    ["set", "ulimit", "umask", "echo", "printf", "true", ":", "mkdir", "test", "[", "trap"];

/// Reads shell text; the command in it that is gunicorn goes on in [`command`].
pub(super) fn read(reading: &mut ImportContext<'_>, text: &str) -> Result<(), ImportError> {
    const REMEDY: &str = "give the one line of it that starts gunicorn, as a Procfile: `web: gunicorn …`";
    reading.deeper()?;
    let steps = shell::parse(text).map_err(|slip| reading.error(slip, REMEDY))?;
    let (mut found, mut own) = (false, None);
    for step in steps {
        let shown = shown(&step);
        if found {
            reading.draft.leave_to_owner(shown, "it stands behind gunicorn and does not run");
            continue;
        }
        let Some(words) = words(reading, &step) else { continue };
        if SCRIPT.contains(&words[0].as_str()) {
            let what = format!("it is a script that decides for itself (`{}`)", holes::plain(&words[0]));
            return Err(reading.error(what, REMEDY));
        }
        if prepares(reading, &words, &shown) {
            continue;
        }
        let serves = command::served(&words);
        if command::run(reading, words)? {
            found = true;
            redirects(reading, &step);
        } else if step.then == "|" || QUIET.iter().any(|quiet| shown.starts_with(quiet)) {
            reading.draft.left_out(shown, "it says or prepares something, and starts nothing");
        } else if is_migrate(&shown) {
            reading.draft.ran_migrations.push(shown);
        } else {
            own = own.or(serves);
            reading
                .draft
                .leave_to_owner(shown, "it ran before gunicorn: make it a step of building the release");
        }
    }
    match (found, own) {
        (true, _) => Ok(()),
        (false, Some(own)) => Err(command::not_gunicorn(reading, "it does not start gunicorn", &own)),
        (false, None) => {
            Err(reading.error("gunicorn is not started in it", "give the file that starts gunicorn"))
        }
    }
}

/// The same for a script of an image, most of which decide something before they start gunicorn: of one that cannot be
/// followed, what it sets and the one line that starts gunicorn.
pub(super) fn read_or_its_line(reading: &mut ImportContext<'_>, text: &str) -> Result<(), ImportError> {
    let (draft, variables, depth) = (reading.draft.clone(), reading.variables.clone(), reading.depth);
    let Err(error) = read(reading, text) else { return Ok(()) };
    (reading.draft, reading.variables, reading.depth) = (draft, variables, depth);
    let joined = text.replace("\\\n", " ");
    let starts = |line: &&str| shell::parse(line).is_ok_and(|steps| steps.iter().any(starts_gunicorn));
    let mut lines = joined.lines().filter(starts);
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(error) };
    let sets = |line: &&str| {
        let set = line.strip_prefix("export ").unwrap_or(line).split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        (set || line.starts_with("cd ")) && shell::parse(line).is_ok()
    };
    let kept: Vec<&str> = joined.lines().filter(sets).chain([line.trim()]).collect();
    read(reading, &kept.join("\n")).map_err(|_| error)?;
    let why = "it decides for itself, and was not followed: the line that starts gunicorn was taken, and nothing else of it \
               runs; what it prepares belongs into the building of the image";
    let place = reading.place.clone();
    reading.draft.leave_to_owner(place, why);
    Ok(())
}

/// Whether a step has gunicorn for a word of its own, and does not only speak of it.
fn starts_gunicorn(step: &SimpleCommand) -> bool {
    let text = |word: &Word| match word.0.as_slice() {
        [Piece::Text(text)] => base(text).to_owned(),
        _ => String::new(),
    };
    let words: Vec<String> = step.words.iter().map(text).collect();
    let speaks = |word: &String| {
        QUIET.contains(&word.as_str()) || SCRIPT.contains(&word.as_str()) || word.starts_with("pip")
    };
    !words.first().is_some_and(speaks) && words.iter().any(|word| word == "gunicorn")
}

/// The step's words, its assignments taken; `None` where nothing is left.
fn words(reading: &mut ImportContext<'_>, step: &SimpleCommand) -> Option<Vec<String>> {
    let mut rest = step.words.as_slice();
    let mut local = Vec::new();
    while let Some((word, after)) = rest.split_first() {
        let Some((name, value)) = assignment(word) else { break };
        let value = value.joined(&|name| reading.value(name));
        // One in front of a command is seen by that command only, one that stands alone by all of the script.
        if step.words.iter().any(|word| assignment(word).is_none()) {
            local.push((name, value));
        } else {
            // One that is exported already stays so.
            match reading.draft.env.get_mut(&name) {
                Some(exported) => *exported = value,
                None => {
                    reading.variables.insert(name, value);
                }
            }
        }
        rest = after;
    }
    let arguments = |word: &Word| {
        let all = word.0.iter().filter(|piece| **piece != Piece::Text(String::new()));
        let mut all =
            all.map(|piece| matches!(piece, Piece::Variable(name, _) if name == "@" || name == "*"));
        reading.arguments.clone().filter(|_| all.next() == Some(true) && all.next().is_none())
    };
    let expand = |word: &Word| arguments(word).unwrap_or_else(|| word.expand(&|name| reading.value(name)));
    let words: Vec<String> = rest.iter().flat_map(expand).collect();
    reading.draft.env.extend(local);
    (!words.is_empty()).then_some(words)
}

/// `NAME=value`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Piece::Text(first)) = word.0.first() else { return None };
    let (name, rest) = first.split_once('=')?;
    let mut letters = name.chars();
    let good = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut value = word.clone();
    value.0[0] = Piece::Text(rest.to_owned());
    good.then(|| (name.to_owned(), value))
}

/// Whether the step only prepared something for those after it.
fn prepares(reading: &mut ImportContext<'_>, words: &[String], shown: &str) -> bool {
    match words[0].as_str() {
        "cd" => {
            let to = reading.draft.absolute(words.get(1).map_or("", String::as_str));
            if to.starts_with('/') {
                reading.draft.directory = Some(to);
            }
        }
        "export" | "declare" => {
            for word in &words[1..] {
                match word.split_once('=') {
                    Some((name, value)) => {
                        reading.draft.env.insert(name.to_owned(), value.to_owned());
                    }
                    None => {
                        if let Some(value) = reading.variables.get(word) {
                            reading.draft.env.insert(word.clone(), value.clone());
                        }
                    }
                }
            }
        }
        "source" | "." => {
            let file = words.get(1).cloned().unwrap_or_default();
            match file.strip_suffix("/activate") {
                Some(bin) => {
                    let python = reading.draft.absolute(&format!("{bin}/python"));
                    reading.draft.python = Python::Interpreter(python);
                }
                None => reading.draft.leave_to_owner(
                    shown,
                    "put the variables that it sets, as NAME=value lines, into a file of `env_files`",
                ),
            }
        }
        _ => return false,
    }
    true
}

fn redirects(reading: &mut ImportContext<'_>, step: &SimpleCommand) {
    for (mark, to) in &step.redirects {
        let to = to.joined(&|name| reading.value(name));
        if mark.contains(">&") || to == "/dev/null" || base(&to).starts_with("std") {
            continue;
        }
        match mark.contains('>') {
            true => reading.draft.log_file = Some(reading.draft.absolute(&to)),
            false => reading.draft.leave_to_owner(format!("{mark} {to}"), "workers have no standard input"),
        }
    }
}

/// The step as it stood, more or less.
fn shown(step: &SimpleCommand) -> String {
    let word = |word: &Word| word.joined(&|_| None);
    step.words.iter().map(word).collect::<Vec<_>>().join(" ")
}
