//! The download: into the layout that all releases of a folder share, so that a layer comes once.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::layout::Layout;
use super::person::Person;
use super::program::Program;
use super::resolve::{Image, failed};
use super::room;
use super::steps::{Step, Steps};
use crate::cli::error::VerbError;
use crate::config::Reference;
use crate::control::protocol::exit;

/// A download of which nothing comes for so long is ended.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is said how far it has come.
const SAY: Duration = Duration::from_secs(5);

/// Has skopeo copy it, which holds every layer to its digest.
pub(super) async fn fetch(
    image: &Image,
    reference: &Reference,
    layout: &Layout,
    person: &Person,
    steps: &Steps,
) -> Result<(), VerbError> {
    let begun = Instant::now();
    let (missing, kept) = layout.missing(&image.parts);
    let layers = image.parts.layers.len();
    steps.tell(&Step::Downloading { bytes: missing, layers, kept })?;
    let source = reference.pinned(&image.digest);
    let target = layout.target(&image.digest);
    let copy = ["copy", "--quiet", "--retry-times", "2", &source, &target];
    let progress = Progress::new(layout);
    let ended = Program::new("skopeo", person, &copy).run(|| {
        room::watch(layout.path())?;
        match progress.look() {
            Come::On => Ok(()),
            Come::Say(bytes) => Ok(steps.tell(&Step::Coming { bytes, of: missing })?),
            Come::Not => Err(VerbError::said(
                exit::TRY_AGAIN,
                format!("nothing has come for {}s, so it was ended; try again", PATIENCE.as_secs()),
            )),
        }
    });
    let ended = ended.await?;
    if !ended.well {
        return Err(failed(reference, person, &ended.err));
    }
    Ok(steps.tell(&Step::Downloaded { bytes: missing, seconds: begun.elapsed().as_secs_f64() })?)
}

/// How far it has come, by the layout.
struct Progress<'a> {
    layout: &'a Layout,
    before: u64,
    seen: Cell<(u64, Instant)>,
    said: Cell<Instant>,
}

enum Come {
    On,
    Say(u64),
    Not,
}

impl Progress<'_> {
    fn new(layout: &Layout) -> Progress<'_> {
        let (before, now) = (layout.size(), Instant::now());
        Progress { layout, before, seen: Cell::new((before, now)), said: Cell::new(now) }
    }

    fn look(&self) -> Come {
        let (now, size) = (Instant::now(), self.layout.size());
        let (seen, since) = self.seen.get();
        if size != seen {
            self.seen.set((size, now));
        } else if now.duration_since(since) > PATIENCE {
            return Come::Not;
        }
        if now.duration_since(self.said.get()) < SAY {
            return Come::On;
        }
        self.said.set(now);
        Come::Say(size.saturating_sub(self.before))
    }
}
