//! A section `[program:NAME]` of supervisord's.

use std::collections::BTreeMap;

use super::error::ImportError;
use super::holes::hole;
use super::input::SourceFile;
use super::reading::ImportContext;
use super::{command, words};

const DONE: &str = "ostlerd starts, watches and replaces workers itself";
const DRAINS: &str = "ostlerd drains: workers finish what they have for `graceful_timeout`";

/// Keys that have no place in the app's file, an ending `*` for every one that begins so, and why.
const LEFT: &[(&str, &str)] = &[
    ("autostart", "ostlerd starts every app of apps.d"),
    ("autorestart", DONE),
    ("start*", DONE),
    ("exitcodes", DONE),
    ("priority", "apps are started side by side"),
    ("process_name", "ostlerd names workers itself"),
    ("stop*", DRAINS),
    ("killasgroup", DRAINS),
    ("redirect_stderr", "both outputs go to one place"),
    ("stderr*", "both outputs go to one place"),
    (
        "stdout_*",
        "let logrotate rotate `log_file`, with `systemctl kill -s USR1 --kill-whom=main ostler` behind it",
    ),
    ("serverurl", "there is no supervisord that the app could ask"),
];

/// Reads the program that starts gunicorn; where there are several, the one that `--name` names.
pub(super) fn read(reading: &mut ImportContext<'_>, source: &SourceFile) -> Result<(), ImportError> {
    let programs = programs(&source.text);
    let wanted = reading.given.name.as_deref();
    let with: Vec<&SupervisorProgram> =
        programs.iter().filter(|it| it.get("command").contains("gunicorn")).collect();
    let named = programs.iter().find(|program| Some(program.name.as_str()) == wanted);
    let program = match (named, with.as_slice()) {
        (Some(program), _) => program,
        (None, [only]) => only,
        (None, []) if programs.len() == 1 => &programs[0],
        (None, []) => {
            return Err(reading.error("no program of it starts gunicorn", "give the file that does"));
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|program| program.name.as_str()).collect();
            let what = format!("{} programs of it start gunicorn: {}", names.len(), names.join(", "));
            return Err(reading.error(what, "say which with --name, one at a time"));
        }
    };
    reading.place = format!("{}: [program:{}]", source.path.display(), program.name);
    reading.draft.name = Some(program.name.clone());
    for (key, value) in &program.keys {
        take(reading, key, &expand(reading, program, source, value))?;
    }
    let command = expand(reading, program, source, program.get("command"));
    let words = words::shlex(&command)
        .map_err(|slip| reading.error(format!("command: {slip}"), "mend the quotes of `command`"))?;
    let first = words.first().cloned().unwrap_or_default();
    match command::run(reading, words)? {
        true => Ok(()),
        false => {
            let what = format!("`command` does not start gunicorn but {first:?}");
            Err(reading.error(what, "give the section, or the line, that does"))
        }
    }
}

fn take(reading: &mut ImportContext<'_>, key: &str, value: &str) -> Result<(), ImportError> {
    let draft = &mut reading.draft;
    match key {
        "command" => {}
        "directory" if reading.given.directory.is_some() => {}
        "directory" => draft.directory = Some(value.to_owned()),
        "user" => draft.user = Some(value.to_owned()),
        "umask" => draft.umask = Some(value.to_owned()),
        "environment" => {
            for (name, value) in environment(value) {
                draft.env.insert(name, value);
            }
        }
        "stdout_logfile" if value.starts_with('/') && value != "/dev/stdout" => {
            draft.log_file = Some(value.to_owned());
        }
        "stdout_logfile" => {
            draft.left_out(format!("{key}={value}"), "workers write to the journal: `journalctl -t APP`");
        }
        "numprocs" if value == "1" => {}
        "numprocs" => {
            draft.leave_to_owner(format!("{key}={value}"), "one app has one set of workers: see `workers`")
        }
        "socket" => draft.leave_to_owner(
            format!("{key}={value}"),
            "ostlerd opens the app's sockets: add it with --listen",
        ),
        _ => {
            let known = LEFT.iter().find(|(name, _)| match name.strip_suffix('*') {
                Some(head) => key.starts_with(head),
                None => key == *name,
            });
            let shown = format!("{key}={value}");
            match known {
                Some((_, why)) => draft.left_out(shown, *why),
                None => draft.leave_to_owner(shown, "ostler has no such key"),
            }
        }
    }
    Ok(())
}

struct SupervisorProgram {
    name: String,
    keys: BTreeMap<String, String>,
}

impl SupervisorProgram {
    fn get(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }
}

/// As supervisord's parser reads it: lines that begin with a space go on with the value above, ` ;` and ` #` begin a comment.
///
/// By hand: of the crates, rust-ini takes a line that goes on after a comment for a key, and configparser ends
/// `unix:/run/a;b.sock` at its `;`.
fn programs(text: &str) -> Vec<SupervisorProgram> {
    let mut programs: Vec<SupervisorProgram> = Vec::new();
    let mut within = false;
    let mut last: Option<String> = None;
    for line in text.lines() {
        let head = line.trim_start();
        if head.is_empty() || head.starts_with(['#', ';']) {
            continue;
        }
        let code = [" ;", "\t;", " #", "\t#"]
            .iter()
            .fold(line, |code, mark| code.split_once(mark).map_or(code, |(code, _)| code));
        if let Some(section) = code.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = section.strip_prefix("program:").or_else(|| section.strip_prefix("fcgi-program:"));
            within = name.is_some();
            last = None;
            programs.extend(
                name.map(|name| SupervisorProgram { name: name.trim().to_owned(), keys: BTreeMap::new() }),
            );
        } else if let (true, Some(program)) = (within, programs.last_mut()) {
            let continues = line.starts_with(char::is_whitespace);
            if let (true, Some(value)) = (continues, last.as_ref().and_then(|key| program.keys.get_mut(key)))
            {
                value.push(' ');
                value.push_str(code.trim());
            } else if let Some((key, value)) = code.split_once(['=', ':']) {
                let key = key.trim().to_ascii_lowercase();
                program.keys.insert(key.clone(), value.trim().to_owned());
                last = Some(key);
            }
        }
    }
    programs
}

/// `%(program_name)s`, `%(here)s`, `%(ENV_HOME)s`, and `%%`.
fn expand(
    reading: &ImportContext<'_>,
    program: &SupervisorProgram,
    source: &SourceFile,
    value: &str,
) -> String {
    let mut expanded = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            expanded.push('%');
            rest = after;
            continue;
        }
        let inside = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        let Some((name, after)) = inside else {
            expanded.push('%');
            rest = after;
            continue;
        };
        let folder = source.path.parent().map(|it| it.display().to_string());
        let known = match name {
            "program_name" | "group_name" => Some(program.name.clone()),
            "process_num" | "numprocs_start" => Some("0".to_owned()),
            "here" => folder.filter(|it| it.starts_with('/')),
            name => reading.value(name.strip_prefix("ENV_").unwrap_or(name)),
        };
        let bare = name.strip_prefix("ENV_").unwrap_or(name);
        // The command is cut into words later, and a hole must stay in one piece.
        let whole = || bare.replace(|c: char| !c.is_alphanumeric(), "_");
        expanded.push_str(&known.unwrap_or_else(|| hole(&whole())));
        rest =
            after.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(['s', 'd']).unwrap_or(after);
    }
    expanded + rest
}

/// `A="x",B=y`
fn environment(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace()).to_owned();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| "\"'".contains(*c));
        let (value, behind) = match quote {
            Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if !name.is_empty() {
            pairs.push((name, value.trim().to_owned()));
        }
        rest = behind;
    }
    pairs
}
