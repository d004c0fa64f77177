//! Unpacking, by umoci, as a user who is not root: no layer of an image can get more than that user has.

use std::path::Path;
use std::time::Instant;

use super::layout::Layout;
use super::person::Person;
use super::program::Program;
use super::resolve::Image;
use super::room;
use super::steps::{Step, Steps};
use super::words;
use crate::cli::error::VerbError;
use crate::control::protocol::exit;

/// Into the folder `bundle`, which umoci makes.
pub(super) async fn unpack(
    image: &Image,
    layout: &Layout,
    bundle: &Path,
    person: &Person,
    steps: &Steps,
) -> Result<(), VerbError> {
    let begun = Instant::now();
    steps.tell(&Step::Unpacking)?;
    let source = layout.source(&image.digest);
    let bundle = bundle.to_string_lossy();
    let arguments = ["unpack", "--rootless", "--image", &source, &bundle];
    let ended = Program::new("umoci", person, &arguments).run(|| room::watch(layout.path())).await?;
    if !ended.well {
        // It is ended while it writes, or the disk ends it.
        room::watch(layout.path())?;
        let said = words::last_words(&ended.err);
        let why = match words::kind(&said) {
            words::Kind::Full => format!("the disk is full, and nothing of it is kept: {said}"),
            _ => format!("umoci could not unpack the image, and nothing of it is kept: {said}"),
        };
        return Err(VerbError::said(exit::FAILED, why));
    }
    Ok(steps.tell(&Step::Unpacked { seconds: begun.elapsed().as_secs_f64() })?)
}
