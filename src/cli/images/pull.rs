//! The way of an image into a release folder, from top to bottom.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::fetch::fetch;
use super::layout::Layout;
use super::lock::{self, denied};
use super::mounts;
use super::person::Person;
use super::place::Place;
use super::program;
use super::prune::{InUse, prune_locked};
use super::python;
use super::record::{self, Record};
use super::resolve::{Image, resolve};
use super::room::Room;
use super::rootfs;
use super::share::share;
use super::staging::{self, Staging};
use super::steps::{Step, Steps};
use super::unpack::unpack;
use crate::cli::error::VerbError;
use crate::cli::screen::one_line;
use crate::config::Reference;
use crate::control::protocol::exit;

/// Pulls it and gives the release's folder, which is whole. Without `used` nothing is removed: nobody knows what runs.
///
/// Whoever drops this before it has ended leaves nothing of it.
pub(in crate::cli) async fn pull(
    reference: &Reference,
    place: &Place,
    person: &Person,
    used: Option<&InUse>,
    steps: &Steps,
) -> Result<PathBuf, VerbError> {
    program::are_here(&["skopeo", "umoci"])?;
    place.make()?;
    let lock = lock::take(&place.releases)?;
    let layout = Layout::of(&place.releases);
    staging::clear(&place.releases, &layout).map_err(|error| denied(&place.releases, &error))?;

    steps.tell(&Step::Resolving { reference: &reference.to_string() })?;
    let image = resolve(reference, person).await?;
    let id = image.digest.id();
    let release = match present(&place.releases, &image)? {
        Some(release) => {
            steps.tell(&Step::Present { id: &id })?;
            let failed = |error| denied(&release, &error);
            record::write(&release, &recorded(reference, &image)).map_err(failed)?;
            release
        }
        None => new(reference, &image, place, person, &layout, steps).await?,
    };
    steps.tell(&Step::Pulled { id: &id, release: &release, seconds: steps.seconds() })?;
    if let Some(used) = used {
        prune_locked(&lock, place, used, steps)?;
    }
    Ok(release)
}

/// The release, if it was pulled before.
fn present(releases: &Path, image: &Image) -> Result<Option<PathBuf>, VerbError> {
    let release = releases.join(image.digest.id());
    match record::read(&release) {
        Some(record) if record.digest == image.digest.as_str() => Ok(Some(release)),
        Some(record) => {
            let (id, digest) = (image.digest.id(), one_line(&record.digest));
            let why = format!("{id} is there already, of another image: {digest:.100}; remove it first");
            Err(VerbError::said(exit::FAILED, why))
        }
        None => Ok(None),
    }
}

async fn new(
    reference: &Reference,
    image: &Image,
    place: &Place,
    person: &Person,
    layout: &Layout,
    steps: &Steps,
) -> Result<PathBuf, VerbError> {
    let digest = image.digest.as_str();
    let (platform, bytes) = (image.platform.to_string(), image.parts.size());
    steps.tell(&Step::Resolved { reference: &reference.to_string(), digest, platform: &platform, bytes })?;
    let failed = |error| denied(&place.releases, &error);
    let room = Room::of(&place.releases).map_err(failed)?;
    room.suffices(&image.parts, layout.missing(&image.parts).0)?;

    let earlier = record::all(&place.releases).map_err(failed)?.into_iter().next();
    let staging = Staging::new(&place.releases, &image.digest.id(), layout).map_err(failed)?;
    fetch(image, reference, layout, person, steps).await?;
    let bundle = staging.bundle();
    unpack(image, layout, &bundle, person, steps).await?;
    let failed = |error: std::io::Error| {
        VerbError::said(exit::FAILED, format!("what the image holds cannot be used as a release: {error}"))
    };
    look(&bundle, steps)
        .await
        .map_err(failed)?
        .map_err(|why| VerbError::said(exit::FAILED, format!("{reference}: {why}")))?;
    if let Some(earlier) = earlier.filter(|_| place.shares) {
        let shared = share(&bundle.join("rootfs"), &earlier.folder.join("rootfs"), &staging.spare())
            .await
            .map_err(failed)?;
        steps.tell(&Step::Shared { files: shared.files, bytes: shared.bytes, with: &earlier.id })?;
    }
    record::write(&bundle, &recorded(reference, image)).map_err(failed)?;
    staging.place().map_err(failed)
}

/// What umoci has made becomes what a release holds; the sentence where it is none that could run an app.
async fn look(bundle: &Path, steps: &Steps) -> std::io::Result<Result<(), String>> {
    for entry in fs::read_dir(bundle)? {
        let entry = entry?;
        // How the image could be packed again.
        if !["rootfs", "config.json"].iter().any(|name| entry.file_name() == *name) {
            super::remove::tree(&entry.path())?;
        }
    }
    let cleaned = rootfs::clean(&bundle.join("rootfs")).await?;
    if cleaned.bits + cleaned.special > 0 {
        steps.tell(&Step::Cleaned { special: cleaned.special, bits: cleaned.bits })?;
    }
    if let Err(why) = python::look(bundle)? {
        return Ok(Err(why));
    }
    mounts::make(bundle).map(Ok)
}

fn recorded(reference: &Reference, image: &Image) -> Record {
    Record {
        reference: reference.to_string(),
        digest: image.digest.to_string(),
        architecture: image.platform.architecture.clone(),
        pulled: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    }
}
