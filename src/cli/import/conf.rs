//! gunicorn.conf.py, looked at and not run: which settings it makes, and the values of those that are plain.
//!
//! It stays what it is, and gunicorn's own loader reads it in every worker. What is looked for here is only what
//! the app's file should not contradict, and what has no effect any more.

use std::collections::BTreeMap;

use super::draft::{Draft, absolute, base};
use super::source::Reading;
use super::{Source, gunicorn};

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

/// The settings that have no effect, as gunicorn calls them.
const IGNORED: [&str; 13] = [
    "daemon",
    "pidfile",
    "reload",
    "reload_engine",
    "reload_extra_files",
    "reuse_port",
    "initgroups",
    "worker_tmp_dir",
    "check_config",
    "print_config",
    "spew",
    "control_socket",
    "enable_stdio_inheritance",
];

/// A file that the command line names: `-c FILE`, `-c file:FILE`, `-c python:MODULE`.
pub(super) fn named(reading: &mut Reading<'_>, value: &str) {
    let (directory, started_in) = (reading.draft.directory.clone(), reading.draft.started_in.clone());
    let plain = value.strip_prefix("file:").unwrap_or(value);
    let path = absolute(plain, started_in.as_deref());
    let is_file = !value.starts_with("python:");
    // Where gunicorn's own --chdir comes in between, only the whole path is sure.
    let kept = if is_file && directory != started_in { path.clone() } else { value.to_owned() };
    reading.draft.args.extend(["-c".to_owned(), kept]);
    let text = if is_file && path.starts_with('/') { (reading.look.read)(path.as_ref()) } else { None };
    let conf = match text {
        Some(text) => scan(base(&path), &text),
        None => Conf { name: value.to_owned(), ..Conf::default() },
    };
    reading.draft.conf = Some(conf);
}

/// A file that was given itself: looked at where it is the one that the command line names, and named where none is.
pub(super) fn given(draft: &mut Draft, source: &Source) {
    let path = source.path.display().to_string();
    let conf = scan(base(&path), &source.text);
    let named = draft.args.iter().any(|arg| arg == "-c") || draft.conf.as_ref().is_some_and(|it| it.known);
    if !named {
        draft.args.extend(["-c".to_owned(), path]);
    }
    draft.conf = Some(conf);
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

impl Conf {
    pub(super) fn sets(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.as_deref()
    }
}

/// Says what of it has no effect, or another one than its writer may expect.
pub(super) fn notes(draft: &mut Draft) {
    let Some(conf) = draft.conf.clone() else { return };
    if !conf.known {
        let why = "it goes on being read by gunicorn's own loader; it was not here to look at: give it too, and what has \
                   no effect in it is named";
        draft.leave_to_owner(&conf.name, why);
        return;
    }
    let name = |setting: &str| format!("{setting} in {}", conf.name);
    for setting in IGNORED.iter().filter(|it| conf.sets(it)) {
        draft.left_out(name(setting), gunicorn::ignored(setting));
    }
    for setting in ["user", "group"].iter().filter(|it| conf.sets(it)) {
        draft.left_out(name(setting), gunicorn::ignored(setting));
    }
    if conf.sets("bind") && !draft.listen.is_empty() {
        draft.left_out(name("bind"), "`listen` decides");
    }
    if conf.sets("workers") && draft.workers.is_some() {
        draft.left_out(name("workers"), "`workers` decides");
    }
    if conf.hooks.iter().any(|hook| hook == "pre_exec") {
        draft.left_out(name("pre_exec"), "it is about gunicorn's master replacing itself on SIGUSR2");
    }
    if conf.hooks.iter().any(|hook| hook == "pre_fork") {
        draft.left_out(
            name("pre_fork"),
            "it runs, but beside the start of its worker and not strictly before: what the worker needs belongs into post_fork",
        );
    }
}
