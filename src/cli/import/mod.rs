//! What people have, turned into an app's file: a systemd unit, a Procfile, a section of supervisord's, a start script; a
//! Dockerfile, a compose file, what an image says of itself.
//!
//! Pure: the files come in as text, and what is asked of the machine goes through [`FileAccess`]. Read in this order:
//! `input` is what comes in; `source` tells the kinds apart; `unit`, `supervisor` and `procfile` each fill the [`draft::Draft`] and find the command,
//! and so do `image` and `compose`;
//! `shell` and `words` take a command line apart; `command` finds gunicorn in it, behind whatever it is wrapped in;
//! `flags` and `gunicorn` read gunicorn's own arguments, `scan` and `conf` its gunicorn.conf.py; `settle` decides what is still open;
//! `text` writes it down.
//!
//! What cannot be known (`$PORT`, the user of a Procfile) is a *hole* in a value until somebody says it; a hole that
//! reaches the app's file is an error that names the option to give, so what comes out can always be used.

mod arguments;
mod command;
mod compose;
mod conf;
mod draft;
mod error;
mod flags;
mod gunicorn;
mod holes;
mod image;
mod input;
mod migrations;
mod procfile;
mod reading;
mod scan;
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

pub(super) use arguments::Import;
pub(super) use draft::DraftNote;
pub(super) use error::ImportError;
pub(super) use input::{FileAccess, Overrides, SourceFile};
pub(super) use text::Imported;

/// Reads the files and makes an app of them.
///
/// # Errors
///
/// A file that is of no known kind or broken, values that nobody said, or an app that ostlerd would refuse.
pub(super) fn import(
    sources: &[SourceFile],
    given: &Overrides,
    look: &FileAccess<'_>,
) -> Result<Imported, ImportError> {
    let draft = source::read(sources, given, look)?;
    let settled = settle::settle(draft, given, look)?;
    text::write(settled)
}
