//! What becomes of a gunicorn.conf.py.
//!
//! It stays what it is, and gunicorn's own loader reads it in every worker. What is looked for here is only what
//! the app's file should not contradict, and what has no effect any more.

use super::draft::{Draft, absolute, base};
use super::flags::ignored;
use super::input::SourceFile;
use super::reading::ImportContext;
use super::scan::{Conf, scan};

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
pub(super) fn named(reading: &mut ImportContext<'_>, value: &str) {
    let (directory, started_in) = (reading.draft.directory.clone(), reading.draft.started_in.clone());
    let plain = value.strip_prefix("file:").unwrap_or(value);
    let path = absolute(plain, started_in.as_deref());
    let is_file = !value.starts_with("python:");
    // Where gunicorn's own --chdir comes in between, only the whole path is sure.
    let kept = if is_file && directory != started_in { path.clone() } else { value.to_owned() };
    reading.draft.args.extend(["-c".to_owned(), kept]);
    let text = if is_file && path.starts_with('/') { reading.read(&path) } else { None };
    let conf = match text {
        Some(text) => scan(base(&path), &text),
        None => Conf { name: value.to_owned(), ..Conf::default() },
    };
    reading.draft.conf = Some(conf);
}

/// A file that was given itself: looked at where it is the one that the command line names, and named where none is.
pub(super) fn given(draft: &mut Draft, source: &SourceFile) {
    let path = source.path.display().to_string();
    let conf = scan(base(&path), &source.text);
    let named = draft.args.iter().any(|arg| arg == "-c") || draft.conf.as_ref().is_some_and(|it| it.known);
    if !named && draft.image.is_none() {
        draft.args.extend(["-c".to_owned(), path]);
    }
    draft.conf = Some(conf);
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
        draft.left_out(name(setting), ignored(setting));
    }
    for setting in ["user", "group"].iter().filter(|it| conf.sets(it)) {
        draft.left_out(name(setting), ignored(setting));
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
