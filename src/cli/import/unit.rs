//! A systemd unit, with its drop-ins and its sockets.

use super::draft::base;
use super::error::ImportError;
use super::holes::hole;
use super::input::SourceFile;
use super::migrations::is_migrate;
use super::reading::ImportContext;
use super::specifiers::Specifiers;
use super::{command, unit_keys, words};

/// `Key=value` of a section, in the order of the files.
struct UnitLine {
    section: String,
    key: String,
    value: String,
    place: String,
}

/// Reads the unit: `units` are it and its drop-ins, `sockets` the .socket units that belong to it.
pub(super) fn read(
    reading: &mut ImportContext<'_>,
    units: &[SourceFile],
    sockets: &[SourceFile],
) -> Result<(), ImportError> {
    let lines: Vec<UnitLine> = units.iter().flat_map(lines).collect();
    let unit = name(&units[0]);
    reading.place = units[0].path.display().to_string();
    reading.draft.name = unit.as_deref().map(|unit| unit.trim_end_matches(".service").to_owned());
    let names = Specifiers { unit: unit.unwrap_or_default() };
    let mut starts: Vec<(String, String)> = Vec::new();
    for line in &lines {
        reading.place.clone_from(&line.place);
        match line.section.as_str() {
            "Service" => service(reading, line, &names, &mut starts)?,
            "Unit" => around(reading, line),
            _ => {}
        }
    }
    for socket in sockets {
        listens(reading, socket, &names);
    }
    start(reading, &starts, &names)
}

/// Joined over lines that end in a backslash; comments left out.
fn lines(source: &SourceFile) -> Vec<UnitLine> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut held = String::new();
    for (index, line) in source.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            held.push_str(part);
            held.push(' ');
            continue;
        }
        held.push_str(line);
        let whole = std::mem::take(&mut held);
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = whole.split_once('=') {
            let place = format!("{}:{}", source.path.display(), index + 1);
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            found.push(UnitLine { section: section.clone(), key, value, place });
        }
    }
    found
}

/// The unit's name: the file's, or what `systemctl cat` says above it.
fn name(source: &SourceFile) -> Option<String> {
    let said = source.text.lines().next().and_then(|line| line.strip_prefix("# /"));
    let path = source.path.to_string_lossy();
    let name = base(said.unwrap_or(&path)).trim();
    name.ends_with(".service").then(|| name.to_owned())
}

fn service(
    reading: &mut ImportContext<'_>,
    line: &UnitLine,
    names: &Specifiers,
    starts: &mut Vec<(String, String)>,
) -> Result<(), ImportError> {
    let value = names.expand(&line.value, reading);
    let draft = &mut reading.draft;
    let empty = value.is_empty();
    match line.key.as_str() {
        "ExecStart" if empty => starts.clear(),
        "ExecStart" => starts.push((line.value.clone(), line.place.clone())),
        "ExecStartPre" if !empty => before(reading, &value),
        "User" => draft.user = (!empty).then_some(value),
        "Group" => draft.group = (!empty).then_some(value),
        "UMask" => draft.umask = (!empty).then_some(value),
        "WorkingDirectory" => {
            let path = value.trim_start_matches('-');
            if path.starts_with('/') && reading.given.directory.is_none() {
                draft.directory = Some(path.to_owned());
            }
        }
        "Environment" if empty => draft.env.clear(),
        "Environment" => {
            let pairs = words::systemd(&line.value).map_err(|slip| {
                reading.error(
                    format!("Environment=: {slip}"),
                    "mend the unit (`systemd-analyze verify` shows where)",
                )
            })?;
            for pair in pairs {
                let pair = names.expand(&pair, reading);
                match pair.split_once('=') {
                    Some((name, value)) => {
                        reading.draft.env.insert(name.to_owned(), value.to_owned());
                    }
                    None => reading
                        .draft
                        .left_out(format!("Environment={pair}"), "systemd ignores it: it has no `=`"),
                }
            }
        }
        "EnvironmentFile" if empty => draft.env_files.clear(),
        "EnvironmentFile" => {
            let path = value.trim_start_matches('-').to_owned();
            if value.starts_with('-') {
                let why = "it is in `env_files`; systemd did without it where it is missing, ostlerd does not: make it, \
                           or take it out";
                draft.leave_to_owner(format!("EnvironmentFile={value}"), why);
            }
            draft.env_files.push(path);
        }
        "RuntimeDirectory" if !empty => {
            let folder = value.split_whitespace().next().unwrap_or_default();
            let why = format!(
                "systemd takes /run/{folder} away with the old unit, and ostlerd makes folders below /run/ostler only: \
                 listen at unix:/run/ostler/APP.sock and tell the edge, or put a line `d /run/{folder} 0755 USER` into \
                 /etc/tmpfiles.d"
            );
            draft.leave_to_owner(format!("RuntimeDirectory={value}"), why);
        }
        "StandardOutput" => match value.split_once(':') {
            Some(("file" | "append" | "truncate", path)) => draft.log_file = Some(path.to_owned()),
            _ => draft.left_out(
                format!("StandardOutput={value}"),
                "workers write to the journal: `journalctl -t APP`",
            ),
        },
        _ if empty => {}
        key => unit_keys::take(draft, key, &value),
    }
    Ok(())
}

fn before(reading: &mut ImportContext<'_>, value: &str) {
    let shown = format!("ExecStartPre={value}");
    let draft = &mut reading.draft;
    if is_migrate(value) {
        draft.ran_migrations.push(shown);
    } else if value.contains("mkdir") || value.contains("install -d") {
        draft.leave_to_owner(
            shown,
            "ostlerd makes folders below /run/ostler only; others need a line in /etc/tmpfiles.d",
        );
    } else {
        draft.leave_to_owner(
            shown,
            "ostlerd runs nothing before an app: make it a step of building the release",
        );
    }
}

fn around(reading: &mut ImportContext<'_>, line: &UnitLine) {
    const KNOWN: [&str; 11] = [
        "network",
        "postgresql",
        "mariadb",
        "mysql",
        "redis",
        "memcached",
        "remote-fs",
        "nss",
        "syslog",
        "basic",
        "local-fs",
    ];
    let orders =
        ["After", "Requires", "Wants", "BindsTo", "PartOf", "Requisite"].contains(&line.key.as_str());
    if !orders || line.value.is_empty() {
        return;
    }
    for unit in line.value.split_whitespace() {
        if KNOWN.iter().any(|known| unit.starts_with(known)) || unit.ends_with(".socket") {
            continue;
        }
        let why = "ostler.service does not wait for it: add it with `systemctl edit ostler` where the app needs it to start";
        reading.draft.leave_to_owner(format!("{}={unit}", line.key), why);
    }
}

fn listens(reading: &mut ImportContext<'_>, socket: &SourceFile, names: &Specifiers) {
    let unit = base(&socket.path.to_string_lossy()).to_owned();
    for line in lines(socket).into_iter().filter(|line| line.section == "Socket") {
        let value = names.expand(&line.value, reading);
        match line.key.as_str() {
            "ListenStream" if value.is_empty() => reading.draft.listen.clear(),
            "ListenStream" => reading.draft.listen.push(match value.parse::<u16>() {
                Ok(port) => format!("[::]:{port}"),
                Err(_) if value.starts_with('/') => format!("unix:{value}"),
                Err(_) => value,
            }),
            "SocketMode" => reading.draft.socket_mode = Some(value),
            "Backlog" if value.parse::<u32>().is_ok() => {
                reading.draft.args.extend(["--backlog".to_owned(), value]);
            }
            "SocketUser" | "SocketGroup" => {
                let why =
                    "ostlerd gives a socket's file to the app's user; `socket_mode` (0o666) lets the edge in";
                reading.draft.left_out(format!("{}={value}", line.key), why);
            }
            _ => {}
        }
    }
    let why = "ostlerd opens `listen` itself, and keeps it open through restarts: disable the unit";
    reading.draft.leave_to_owner(unit, why);
}

fn start(
    reading: &mut ImportContext<'_>,
    starts: &[(String, String)],
    names: &Specifiers,
) -> Result<(), ImportError> {
    let [(line, place)] = starts else {
        let what = match starts.len() {
            0 => "the unit has no ExecStart=",
            _ => "the unit has several ExecStart=",
        };
        return Err(reading.error(what, "give the unit that starts gunicorn"));
    };
    reading.place.clone_from(place);
    let mut words = words::systemd(line).map_err(|slip| {
        reading.error(format!("ExecStart=: {slip}"), "mend the unit (`systemd-analyze verify` shows where)")
    })?;
    let (prefixes, program) = match words.first() {
        Some(first) => {
            let program = first.trim_start_matches(['@', '-', ':', '+', '!']);
            (first[..first.len() - program.len()].to_owned(), program.to_owned())
        }
        None => (String::new(), String::new()),
    };
    if program.is_empty() {
        return Err(reading.error("ExecStart= names no program", "give the unit that starts gunicorn"));
    }
    words[0] = program;
    if prefixes.contains('@') && words.len() > 1 {
        words.remove(1);
    }
    if prefixes.contains('+') {
        reading.draft.leave_to_owner("ExecStart=+", "it ran with all privileges; workers never do");
    }
    if prefixes.contains('!') {
        reading.draft.leave_to_owner(
            "ExecStart=!",
            "gunicorn became its user by itself; ostlerd makes workers of the user that `user` names",
        );
    }
    if let Some(end) = words.iter().position(|word| word == ";") {
        let more = words.split_off(end).join(" ");
        reading.draft.leave_to_owner(more, "it stands behind gunicorn and does not run");
    }
    load_files(reading);
    let expanded: Vec<String> = words
        .iter()
        .flat_map(|word| {
            let word = names.expand(word, reading);
            if prefixes.contains(':') { vec![word] } else { variables(&word, reading) }
        })
        .collect();
    match command::run(reading, expanded)? {
        true => Ok(()),
        false => Err(command::not_gunicorn(reading, "ExecStart= does not start gunicorn", &words[0])),
    }
}

/// The variables of environment files count on the command line; they stay where they are.
fn load_files(reading: &mut ImportContext<'_>) {
    for file in reading.draft.env_files.clone() {
        let Some(text) = (reading.look.read)(file.as_ref()) else { continue };
        if let Ok(pairs) = crate::config::parse_env_file(&text, file.as_ref()) {
            reading.variables.extend(pairs);
        }
    }
}

/// `$NAME` as a word of its own becomes several, `${NAME}` anywhere its value, `$$` a `$`.
fn variables(word: &str, reading: &ImportContext<'_>) -> Vec<String> {
    let name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = |name: &str| reading.value(name).unwrap_or_else(|| hole(name));
    if let Some(alone) = word.strip_prefix('$').filter(|rest| name(rest)) {
        let value = value(alone);
        return match super::holes::open(&value) {
            true => vec![value],
            false => value.split_whitespace().map(str::to_owned).collect(),
        };
    }
    let mut expanded = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        rest = match (after.strip_prefix('$'), braced) {
            (Some(escaped), _) => {
                expanded.push('$');
                escaped
            }
            (None, Some((inside, after))) if name(inside) => {
                expanded.push_str(&value(inside));
                after
            }
            _ => {
                expanded.push('$');
                after
            }
        };
    }
    expanded.push_str(rest);
    vec![expanded]
}
