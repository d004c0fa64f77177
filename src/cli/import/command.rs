//! The words of a command: what gunicorn is wrapped in comes off, one layer after the other.

use super::draft::{Python, base};
use super::error::ImportError;
use super::migrations::is_migrate;
use super::reading::ImportContext;
use super::{gunicorn, script};

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ash", "ksh"];
/// They start what follows, after a flag or two, and do nothing that ostlerd does not do itself.
const PLAIN: [&str; 7] = ["exec", "nohup", "command", "setsid", "time", "tini", "dumb-init"];
/// They choose the interpreter: the tool and how to ask it.
const TOOLS: [(&str, &str); 7] = [
    ("poetry", "poetry env info --executable"),
    ("pipenv", "pipenv --py"),
    ("pdm", "pdm info --python"),
    ("uv", "uv python find"),
    ("hatch", "hatch run which python"),
    ("rye", "rye run which python"),
    ("conda", "conda run which python"),
];
/// They put instrumentation into the interpreter before the app: the program and what does the same.
const AGENTS: [(&str, &str); 4] = [
    (
        "newrelic-admin",
        "call `newrelic.agent.initialize(…)` at the top of the module of `app`, as New Relic's guide to a manual start says",
    ),
    ("ddtrace-run", "`import ddtrace.auto` at the top of the module of `app`"),
    (
        "opentelemetry-instrument",
        "call `opentelemetry.instrumentation.auto_instrumentation.initialize()` at the top of the module of `app`",
    ),
    ("scout-admin", "start it in the module of `app`, as its guide for WSGI says"),
];
/// They fill the environment.
const ENVIRONMENTS: [&str; 9] =
    ["dotenv", "honcho", "foreman", "envdir", "chamber", "doppler", "aws-vault", "envconsul", "op"];
/// Why what stands in front of gunicorn counts for nothing.
const NOT_RUN: &str = "ostlerd starts the interpreter itself, and this does not run";
/// Django's own server.
const RUNSERVER: &str = "manage.py runserver";
/// They become another user.
const USERS: [&str; 7] = ["sudo", "runuser", "su", "gosu", "su-exec", "setuidgid", "chpst"];

/// Takes the command apart; true where it was gunicorn, and the draft has it now.
pub(super) fn run(reading: &mut ImportContext<'_>, words: Vec<String>) -> Result<bool, ImportError> {
    let mut rest = words.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let name = base(first);
        let name = name.strip_suffix(".exe").unwrap_or(name);
        if is_gunicorn(name) {
            if reading.draft.python == Python::Unknown || first.contains('/') {
                reading.draft.python = Python::Script(first.clone());
            }
            return gunicorn::read(reading, after).map(|()| true);
        }
        if is_python(name) {
            let Some(skipped) = module(after) else { return Ok(own(reading, first, after)) };
            let known = reading.draft.python != Python::Unknown && !first.contains('/');
            if !known {
                reading.draft.python = Python::Interpreter(first.clone());
            }
            return gunicorn::read(reading, &after[skipped..]).map(|()| true);
        }
        if SHELLS.contains(&name) {
            return shell(reading, after);
        }
        if name == "env" {
            rest = env(reading, after);
        } else if PLAIN.contains(&name) {
            rest = behind_flags(after, &["-a"]);
        } else if let Some((tool, ask)) = TOOLS.iter().find(|(tool, _)| *tool == name) {
            let Some(run) = after.iter().position(|word| word == "run") else { return Ok(false) };
            let (name, ask) = ((*tool).to_owned(), (*ask).to_owned());
            reading.draft.python = Python::Tool { name, ask };
            rest = behind_flags(&after[run + 1..], &["-n", "--name", "-p", "--prefix", "--env"]);
        } else if let Some((agent, instead)) = AGENTS.iter().find(|(agent, _)| *agent == name) {
            reading.draft.leave_to_owner(*agent, format!("ostlerd starts the interpreter itself: {instead}"));
            rest = until_gunicorn(after);
        } else if ENVIRONMENTS.contains(&name) {
            let why = "ostlerd does not run it: put the variables that it gives into a file of `env_files`";
            reading.draft.leave_to_owner(first, why);
            rest = until_gunicorn(after);
        } else if USERS.contains(&name) {
            return user(reading, name, after);
        } else {
            return other(reading, first, after);
        }
        if rest.is_empty() {
            return Ok(false);
        }
    }
    Ok(false)
}

fn is_gunicorn(name: &str) -> bool {
    let version = name.strip_prefix("gunicorn").map(|rest| rest.trim_start_matches('-'));
    version.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn is_python(name: &str) -> bool {
    let version = name.strip_prefix("pypy").or_else(|| name.strip_prefix("python"));
    version.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// How many words behind `python` belong to it, where what it runs is gunicorn.
fn module(words: &[String]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "-m" => {
                let gunicorn = |word: &String| word == "gunicorn" || word.starts_with("gunicorn.app.wsgiapp");
                return words.get(at + 1).filter(|word| gunicorn(word)).map(|_| at + 2);
            }
            "-W" | "-X" => at += 2,
            flag if flag.starts_with("-m") => {
                return (flag == "-mgunicorn").then_some(at + 1);
            }
            flag if flag.starts_with('-') && flag.len() > 1 => at += 1,
            script => return is_gunicorn(base(script)).then_some(at + 1),
        }
    }
    None
}

/// Behind the flags of a wrapper, those in `valued` with their values, and a `--`.
fn behind_flags<'w>(words: &'w [String], valued: &[&str]) -> &'w [String] {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        if word == "--" {
            return after;
        }
        if !word.starts_with('-') {
            break;
        }
        rest = if valued.contains(&word.as_str()) { after.get(1..).unwrap_or_default() } else { after };
    }
    rest
}

/// From the word on that is gunicorn, or Python or a shell that starts it.
fn until_gunicorn(words: &[String]) -> &[String] {
    let starts = |word: &String| {
        let name = base(word);
        is_gunicorn(name) || is_python(name) || SHELLS.contains(&name)
    };
    let agents = |word: &String| AGENTS.iter().any(|(agent, _)| *agent == base(word));
    words.iter().position(|word| starts(word) || agents(word)).map_or(&[], |at| &words[at..])
}

/// `sh -c LINE`, or a script.
fn shell(reading: &mut ImportContext<'_>, words: &[String]) -> Result<bool, ImportError> {
    let line =
        words.iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'));
    if let Some(line) = line.and_then(|at| words.get(at + 1)) {
        return script::read(reading, line).map(|()| true);
    }
    match behind_flags(words, &["-o"]).first() {
        Some(file) => {
            let at = words.iter().position(|word| word == file).map_or(words.len(), |at| at + 1);
            enter(reading, file, &words[at..])
        }
        None => Ok(false),
    }
}

/// A script that can be read is read; false where it cannot.
fn enter(reading: &mut ImportContext<'_>, file: &str, arguments: &[String]) -> Result<bool, ImportError> {
    let path = reading.draft.absolute(file);
    let Some(text) = reading.read(&path) else {
        let remedy = match reading.draft.image {
            Some(_) => format!("give the file that is {path} in the image as well"),
            None => format!("give {path} itself, or the line of it that starts gunicorn"),
        };
        return Err(reading.error(format!("it runs {file:?}, which cannot be read"), remedy));
    };
    let from = std::mem::replace(&mut reading.place, path.clone());
    reading.draft.from.push(path);
    let before = reading.arguments.replace(arguments.to_vec());
    let text = super::holes::clean(&text);
    match reading.draft.image {
        Some(_) => script::read_or_its_line(reading, &text)?,
        None => script::read(reading, &text)?,
    }
    reading.arguments = before;
    reading.place = from;
    Ok(true)
}

/// `env [-i] [-u NAME] A=b …`
fn env<'w>(reading: &mut ImportContext<'_>, words: &'w [String]) -> &'w [String] {
    let mut rest = behind_flags(words, &["-u", "--unset", "-C", "--chdir"]);
    while let Some((word, after)) = rest.split_first() {
        let Some((name, value)) = word.split_once('=') else { break };
        reading.draft.env.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    rest
}

/// `sudo -u shop …`, `gosu shop …`, `su shop -c …`
fn user(reading: &mut ImportContext<'_>, name: &str, words: &[String]) -> Result<bool, ImportError> {
    const FLAGS: [&str; 6] = ["-u", "--user", "-g", "--group", "-s", "--shell"];
    let flag = words.iter().position(|word| word == "-u" || word == "--user");
    let line = words.iter().position(|word| word == "-c");
    let mut rest = behind_flags(words, &FLAGS);
    let user = match flag.and_then(|at| words.get(at + 1)) {
        Some(user) => Some(user.clone()),
        // Without a flag it is the first word, but for sudo, which becomes root.
        None if name != "sudo" => {
            let (user, after) = rest.split_first().map_or((None, rest), |(user, after)| (Some(user), after));
            rest = after;
            user.cloned()
        }
        None => None,
    };
    // `user:group`, as gosu and chpst take it.
    let user = user.map(|user| user.split(':').next().unwrap_or_default().to_owned());
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        reading.draft.user = Some(user);
    }
    match line.and_then(|at| words.get(at + 1)) {
        Some(line) => script::read(reading, line).map(|()| true),
        None => {
            reading.deeper()?;
            run(reading, behind_flags(rest, &FLAGS).to_vec())
        }
    }
}

/// Why nothing can be made of a command that is not gunicorn's: what is known of the program, and what would do.
pub(super) fn not_gunicorn(reading: &ImportContext<'_>, what: &str, program: &str) -> ImportError {
    let what = format!("{what} but {program:?}");
    if program == RUNSERVER {
        let remedy = "it is Django's server for development: name the app with --app shop.wsgi:application, and it is imported \
                      with that";
        return reading.error(what, remedy);
    }
    match crate::config::own_program(base(program)) {
        Some(served) => reading.error(
            format!("{what}, which starts its server by itself, with settings of its own"),
            format!("name the app that it serves with --app, and it is imported with that ({served})"),
        ),
        None => reading.error(what, "give the unit, or the line, that does; or name the app with --app"),
    }
}

/// The program of a command that starts a server by itself, without gunicorn, where it is known.
pub(super) fn served(words: &[String]) -> Option<String> {
    let (first, after) = words.split_first()?;
    let known = |name: &str| crate::config::own_program(name).map(|_| name.to_owned());
    let name = base(first);
    if let Some(name) = known(name) {
        return Some(name);
    }
    let django = |word: &String| base(word) == "manage.py" || base(word) == "django-admin";
    if words.iter().take(4).any(django) && words.iter().take(6).any(|word| word.starts_with("runserver")) {
        return Some(RUNSERVER.to_owned());
    }
    if is_python(name) {
        return after.windows(2).find(|pair| pair[0] == "-m").and_then(|pair| known(&pair[1]));
    }
    // Behind `uv run`, `exec`, `tini --`.
    let wraps = PLAIN.contains(&name) || TOOLS.iter().any(|(tool, _)| *tool == name);
    wraps.then(|| after.iter().find_map(|word| known(base(word))))?
}

/// A program that starts a server by itself: what it serves has to be said by whoever imports it.
fn own(reading: &mut ImportContext<'_>, first: &str, after: &[String]) -> bool {
    let line: Vec<String> = std::iter::once(first.to_owned()).chain(after.iter().cloned()).collect();
    if reading.given.app.is_none() || served(&line).is_none() {
        return false;
    }
    if first.contains('/') || reading.draft.python == Python::Unknown {
        reading.draft.python = match is_python(base(first)) {
            true => Python::Interpreter(first.to_owned()),
            false => Python::Script(first.to_owned()),
        };
    }
    reading.draft.started_in = reading.draft.directory.clone();
    let why = "it started its server by itself: what it was told here, and what it sets by itself, belongs into `listen`, \
               `workers`, `args` and `env`";
    reading.draft.leave_to_owner(line.join(" "), why);
    true
}

/// Says of an image's entrypoint that it does not run, and that the migrations in it do.
fn passed(reading: &mut ImportContext<'_>, first: &str, shown: String) {
    let path = reading.draft.absolute(first);
    let text = reading.read(&path).unwrap_or_default();
    let migrates = text.lines().map(str::trim).find(|line| !line.starts_with('#') && is_migrate(line));
    if let Some(line) = migrates {
        reading.draft.ran_migrations.push(super::holes::clean(&format!("{first}: {line}")));
    }
    let why = format!(
        "{NOT_RUN}: what it sets belongs into `env`, what it prepares into the building of the image"
    );
    reading.draft.leave_to_owner(shown, why);
}

/// What an image starts, and is not known here: what stands behind it is what it starts in the end.
fn entrypoint(
    reading: &mut ImportContext<'_>,
    first: &str,
    after: &[String],
    is_here: bool,
) -> Result<bool, ImportError> {
    let starts = after.first().filter(|word| !word.starts_with('-'));
    if starts.is_none() {
        let is_file = reading.draft.absolute(first);
        return match first.contains('/') && !is_here && reading.given.app.is_none() {
            true => {
                let remedy = format!(
                    "give the file that is {is_file} in the image as well, or name the app with --app"
                );
                Err(reading
                    .error(format!("the image starts {first:?}, which is not here to be read"), remedy))
            }
            false => Ok(false),
        };
    }
    reading.deeper()?;
    let found = run(reading, after.to_vec())?;
    if found {
        passed(reading, first, first.to_owned());
    }
    Ok(found)
}

/// A program that is not known: a script to look into, or a wrapper to name.
fn other(reading: &mut ImportContext<'_>, first: &str, after: &[String]) -> Result<bool, ImportError> {
    let path = reading.draft.absolute(first);
    let behind = until_gunicorn(after);
    if behind.is_empty() {
        if own(reading, first, after) {
            return Ok(true);
        }
        let is_script = |text: &String| {
            let head = text.lines().next().unwrap_or_default();
            head.starts_with("#!") && (head.contains("sh") && text.contains("gunicorn"))
        };
        let text = if path.starts_with('/') { reading.read(&path) } else { None };
        return match text.as_ref().filter(|text| is_script(text)) {
            Some(_) => enter(reading, first, after),
            None if reading.draft.image.is_some() => entrypoint(reading, first, after, text.is_some()),
            None => Ok(false),
        };
    }
    let wrapper: Vec<&str> = std::iter::once(first)
        .chain(after[..after.len() - behind.len()].iter().map(String::as_str))
        .collect();
    reading.deeper()?;
    let found = run(reading, behind.to_vec())?;
    if found {
        match reading.draft.image {
            Some(_) => passed(reading, first, wrapper.join(" ")),
            None => reading.draft.leave_to_owner(wrapper.join(" "), NOT_RUN),
        }
    }
    Ok(found)
}
