//! A release that is an image, on disk: an OCI bundle, as `umoci unpack` leaves one.
//!
//! ```text
//! releases/sha256-0123456789ab/
//!     rootfs/            what its processes have as /
//!     config.json        its environment, its working directory
//!     ostler-image.json  which image it is (`ostler images`)
//!     tmp/ run/          what they have as /tmp and /run
//! ```
//!
//! Nothing in it is believed: paths of the image are looked up within `rootfs`, wherever its links lead.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::files::at;
use crate::config::{open_regular, shortened};
use crate::plan::{ImageName, Refusal, ReleaseImage};

pub(super) mod enter;

/// The image's root.
pub(super) const ROOT: &str = "rootfs";

/// What the image says of itself.
pub(super) const CONFIG: &str = "config.json";

/// Which image it is.
const NAMED: &str = "ostler-image.json";

/// A longer description nobody has.
const CONFIG_MOST: u64 = 4 * 1024 * 1024;

/// Where programs are if the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Deserialize)]
struct BundleConfig {
    #[serde(rename = "ociVersion")]
    _version: String,
    process: BundleProcess,
}

#[derive(Deserialize)]
struct BundleProcess {
    #[serde(default)]
    env: Vec<String>,
    cwd: PathBuf,
}

/// Whether the folder of a release holds an image.
pub(super) fn is_one(release: &Path) -> bool {
    at(release);
    release.join(ROOT).is_dir() && release.join(CONFIG).is_file()
}

/// What the image of a release says of its processes; `None` if the release is none.
///
/// # Errors
///
/// Its description cannot be read, or is none. No text of it is quoted.
pub(super) fn of(release: &Path) -> Result<Option<ReleaseImage>, Refusal> {
    if !is_one(release) {
        return Ok(None);
    }
    let config: BundleConfig = read(&release.join(CONFIG)).map_err(|why| {
        Refusal::new(format!(
            "the release {} is an image whose {CONFIG} {why}; pull it again with `ostler images pull`, or unpack it with \
             `umoci unpack`",
            release.display()
        ))
    })?;
    if !config.process.cwd.is_absolute() {
        let shown = shortened(&config.process.cwd.to_string_lossy(), 120);
        return Err(Refusal::new(format!(
            "the image {} names the working directory {shown:?}, which is not absolute; correct WORKDIR and build it again",
            release.display()
        )));
    }
    let name: Option<ImageName> = read(&release.join(NAMED)).ok();
    let name = name.map(|ImageName { reference, digest }| ImageName {
        reference: shortened(&reference, 400),
        digest: shortened(&digest, 100),
    });
    // What a terminal is called, umoci adds.
    let env =
        config.process.env.iter().filter_map(|it| it.split_once('=')).filter(|(name, _)| *name != "TERM");
    Ok(Some(ReleaseImage {
        name,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        directory: config.process.cwd,
    }))
}

/// The error is words.
fn read<T: DeserializeOwned>(file: &Path) -> Result<T, String> {
    at(file);
    let opened = open_regular(file).map_err(|error| format!("cannot be read: {error}"))?;
    let mut text = Vec::new();
    opened.take(CONFIG_MOST).read_to_end(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("is damaged at line {}, column {}", error.line(), error.column()))
}

/// The interpreter in an image: that of this path, else the first in the image's PATH.
pub(super) fn python(
    release: &Path,
    image: &ReleaseImage,
    written: Option<&PathBuf>,
) -> Result<PathBuf, Refusal> {
    let shown = release.display();
    if let Some(python) = written {
        return match is_program(release, python) {
            true => Ok(python.clone()),
            false => Err(Refusal::new(format!(
                "the image {shown} has no program {}; correct `python`, which is a path in the image, or leave it out",
                python.display()
            ))),
        };
    }
    let path = image.env.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or(PATH, |(_, path)| path);
    let folders = path.split(':').map(|folder| image.directory.join(folder));
    let programs = folders.flat_map(|folder| [folder.join("python3"), folder.join("python")]);
    programs.into_iter().find(|program| is_program(release, program)).ok_or_else(|| {
        Refusal::new(format!(
            "the image {shown} has no python3 and no python in its PATH ({}); build it with Python and gunicorn, or set \
             `python` to the interpreter's path in the image",
            shortened(path, 300)
        ))
    })
}

/// Whether the image has this program; `file` is its path in there.
pub(super) fn is_program(release: &Path, file: &Path) -> bool {
    let found = look(release, file);
    found.is_some_and(|meta| meta.st_mode & 0o170_000 == 0o100_000 && meta.st_mode & 0o111 != 0)
}

/// Whether the image has this file; `file` is its path in there.
pub(super) fn has_file(release: &Path, file: &Path) -> bool {
    look(release, file).is_some_and(|meta| meta.st_mode & 0o170_000 == 0o100_000)
}

/// What is at this path of the image, links followed as its processes would.
fn look(release: &Path, file: &Path) -> Option<rustix::fs::Stat> {
    let root = release.join(ROOT);
    at(&root.join(file.strip_prefix("/").unwrap_or(file)));
    let root = fs::File::open(root).ok()?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&root, file, flags, Mode::empty(), within).ok()?;
    rustix::fs::fstat(&found).ok()
}

#[cfg(test)]
mod tests;
