//! The app's file while it is put together.

use std::collections::BTreeMap;

use super::holes;
use super::image::ImageDraft;
use super::scan::Conf;

/// What was found so far. Values may have holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// The files, for the first line.
    pub(super) from: Vec<String>,
    /// A name that the file suggests.
    pub(super) name: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) python: Python,
    pub(super) app: Option<String>,
    pub(super) listen: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) workers: Option<String>,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) env_files: Vec<String>,
    pub(super) umask: Option<String>,
    pub(super) socket_mode: Option<String>,
    pub(super) log_file: Option<String>,
    pub(super) preload: bool,
    /// Keys of `[limits]`, their values as TOML.
    pub(super) limits: BTreeMap<&'static str, String>,
    /// gunicorn's own configuration file.
    pub(super) conf: Option<Conf>,
    /// Where gunicorn was started, for what is relative on its command line.
    pub(super) started_in: Option<String>,
    /// Lines that ran migrations.
    pub(super) ran_migrations: Vec<String>,
    /// What is known of the image, where the app's releases are images. While files are read, `directory` and
    /// `started_in` are folders in there.
    pub(super) image: Option<ImageDraft>,
    /// The path of a probe.
    pub(super) probe: Option<String>,
    /// Commands that ran beside the app from the same image, by name.
    pub(super) processes: Vec<(String, Vec<String>)>,
    pub(super) notes: Vec<DraftNote>,
}

/// What is known of the interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Python {
    /// Nothing.
    #[default]
    Unknown,
    /// The interpreter itself, perhaps only a name for `PATH`.
    Interpreter(String),
    /// gunicorn's script, whose first line names it; perhaps only a name for `PATH`.
    Script(String),
    /// The tool that chooses one, with the question that it answers.
    Tool { name: String, ask: String },
}

/// Something that is not in the app's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftNote {
    /// As it stood.
    pub(crate) what: String,
    /// Why not, or what to do.
    pub(crate) why: String,
    /// Whether somebody has to do something.
    pub(crate) todo: bool,
}

impl Draft {
    /// Left out, and nothing is lost by it.
    pub(super) fn left_out(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        self.note(what.as_ref(), why.into(), false);
    }

    /// Left out, and its owner has something to do or to decide.
    pub(super) fn leave_to_owner(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        self.note(what.as_ref(), why.into(), true);
    }

    fn note(&mut self, what: &str, why: String, todo: bool) {
        let note = DraftNote { what: holes::plain(what), why, todo };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A variable of the app, or of its image.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let image = || self.image.as_ref()?.env.get(name);
        self.env.get(name).or_else(image).map(String::as_str)
    }

    /// The folders of gunicorn's `--pythonpath`, as they are found from `directory`.
    pub(super) fn python_paths(&self) -> Vec<String> {
        let after =
            self.args.iter().zip(self.args.iter().skip(1)).filter(|(flag, _)| *flag == "--pythonpath");
        let folders = after.flat_map(|(_, folders)| folders.split(',')).filter(|it| !it.is_empty());
        folders.map(|folder| self.absolute(folder).trim_end_matches('/').to_owned()).collect()
    }

    /// A path as a process in the app's directory would understand it.
    pub(super) fn absolute(&self, path: &str) -> String {
        absolute(path, self.directory.as_deref())
    }
}

/// `path` below `directory`, where it is not absolute.
pub(super) fn absolute(path: &str, directory: Option<&str>) -> String {
    match directory {
        Some(directory) if !path.starts_with('/') => {
            let path = path.trim_start_matches("./");
            format!("{}/{path}", directory.trim_end_matches('/')).trim_end_matches("/.").to_owned()
        }
        _ => path.to_owned(),
    }
}

/// The last part of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
