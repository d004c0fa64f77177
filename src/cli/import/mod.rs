//! What people have, turned into an app's file: a systemd unit, a Procfile, a section of supervisord's, a start script.
//!
//! Pure: the files come in as text, and what is asked of the machine goes through [`Look`]. Read in this order:
//! `source` tells the kinds apart; `unit`, `supervisor` and `procfile` each fill the [`draft::Draft`] and find the command;
//! `shell` and `words` take a command line apart; `command` finds gunicorn in it, behind whatever it is wrapped in;
//! `flags` and `gunicorn` read gunicorn's own arguments, `conf` its gunicorn.conf.py; `settle` decides what is still open;
//! `text` writes it down.
//!
//! What cannot be known (`$PORT`, the user of a Procfile) is a *hole* in a value until somebody says it; a hole that
//! reaches the app's file is an error that names the option to give, so what comes out can always be used.

mod arguments;
mod command;
mod conf;
mod draft;
mod flags;
mod gunicorn;
mod holes;
mod migrations;
mod procfile;
mod script;
mod settle;
mod shell;
mod source;
mod specifiers;
mod supervisor;
mod text;
mod unit;
mod unit_keys;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::AppName;

pub(super) use arguments::Import;
pub(super) use draft::Note;

/// A file, as it was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What the command line says; it wins over what the files say.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) name: Option<String>,
    pub(super) app: Option<String>,
    pub(super) python: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) user: Option<String>,
    pub(super) listen: Vec<String>,
    /// Values of what only a shell or systemd could know, `PORT` or `%H`.
    pub(super) set: BTreeMap<String, String>,
}

/// What may be asked of the machine.
pub(super) struct Look<'a> {
    /// Whether there is such a file or folder.
    pub(super) exists: &'a dyn Fn(&Path) -> bool,
    /// The text of a file, where it is one and can be read.
    pub(super) read: &'a dyn Fn(&Path) -> Option<String>,
}

/// An app's file, and what its owner should know.
#[derive(Clone, Debug)]
pub(super) struct Imported {
    pub(super) name: AppName,
    /// The file, comments included.
    pub(super) text: String,
    /// What is not in it, and why; those with something to do first.
    pub(super) notes: Vec<Note>,
}

/// Why nothing could be made of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error("{place}: {what}; {remedy}")]
    Unreadable { place: String, what: String, remedy: String },
    #[error("{}", needs(.0))]
    Needs(Vec<Need>),
    #[error("what stands in {from} makes no app that could run:\n{problems}")]
    Unusable { from: String, problems: String },
}

/// A value that is in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) what: String,
    pub(super) option: String,
}

fn needs(needs: &[Need]) -> String {
    let lines = needs.iter().map(|need| format!("  {}: give {}", need.what, need.option));
    format!("what the files do not say:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

impl ImportError {
    fn at(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> ImportError {
        ImportError::Unreadable { place: place.into(), what: what.into(), remedy: remedy.into() }
    }
}

/// Reads the files and makes an app of them.
///
/// # Errors
///
/// A file that is of no known kind or broken, values that nobody said, or an app that ostlerd would refuse.
pub(super) fn import(sources: &[Source], given: &Given, look: &Look<'_>) -> Result<Imported, ImportError> {
    let draft = source::read(sources, given, look)?;
    let settled = settle::settle(draft, given, look)?;
    text::write(settled)
}
