//! An app whose releases are images: what the image says of itself, and what the app's file needs of that.
//!
//! `dockerfile` (with `lines`, `expand` and `stages`) and `description` each make an [`ImageDraft`]; `start` finds gunicorn in what
//! the image starts, `files` the scripts that lie in it; `settle` decides what is still open.

mod description;
mod dockerfile;
mod expand;
mod files;
mod health;
mod lines;
mod settle;
mod stages;
mod start;

use std::collections::BTreeMap;

pub(super) use description::{is_description, read as description, test};
pub(super) use dockerfile::{Build, is_dockerfile, read as dockerfile};
pub(super) use files::ImageFiles;
pub(super) use settle::{name, python, settle, volume_fault};
pub(super) use start::start;

/// What is known of the image, wherever that was found.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageDraft {
    /// Its name, as a file has it; may have holes.
    pub(super) reference: Option<String>,
    /// Whether a file says how it is built: a name without a registry is then this machine's own.
    pub(super) built: bool,
    pub(super) entrypoint: Option<Start>,
    pub(super) command: Option<Start>,
    pub(super) env: BTreeMap<String, String>,
    /// Its working directory.
    pub(super) directory: Option<String>,
    pub(super) user: Option<String>,
    /// Ports that it names, and publishes nowhere by that.
    pub(super) ports: Vec<u16>,
    /// Places that it wants to have kept.
    pub(super) volumes: Vec<String>,
    pub(super) health: Option<Start>,
    pub(super) stop_signal: Option<String>,
    pub(super) files: ImageFiles,
    /// What of the machine is seen in it, by the place in the image.
    pub(super) mounts: BTreeMap<String, Mount>,
    /// The ports of the machine that lead to ports of it.
    pub(super) published: Vec<Published>,
    /// Whether it had the machine's network already.
    pub(super) on_host: bool,
    /// The folder that it is built from or described in.
    pub(super) folder: Option<String>,
}

/// How a command is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Words(Vec<String>),
    /// For a shell.
    Line(String),
}

/// Something of the machine's that an image's processes see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) host: MountHost,
    pub(super) read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MountHost {
    Path(String),
    /// A folder below /srv/NAME, to be made.
    Own(String),
}

/// A port of the machine that leads to one of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// Empty for every address.
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) inside: u16,
}

impl Start {
    pub(super) fn words(self) -> Vec<String> {
        match self {
            Start::Words(words) => words,
            Start::Line(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
        }
    }

    /// In one line, for people.
    pub(super) fn shown(&self) -> String {
        match self {
            Start::Words(words) => words.join(" "),
            Start::Line(line) => line.clone(),
        }
    }
}

impl ImageDraft {
    /// The last part of its name.
    pub(super) fn repository(&self) -> Option<String> {
        let named = self.reference.as_deref()?.split('@').next()?;
        let last = named.rsplit('/').next()?;
        Some(last.split(':').next().unwrap_or(last).to_owned())
    }

    /// Where its processes start.
    pub(super) fn workdir(&self) -> String {
        self.directory.clone().unwrap_or_else(|| "/".to_owned())
    }
}
