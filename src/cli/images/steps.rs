//! What a pull says of itself as it goes on: a line for each step, or JSON.

use std::io;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::cli::follow::still_read;
use crate::cli::screen::{Colour, How, Screen, bytes, one_line, say};
use crate::config::counted;

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(in crate::cli) enum Step<'a> {
    Resolving {
        reference: &'a str,
    },
    Resolved {
        reference: &'a str,
        digest: &'a str,
        platform: &'a str,
        bytes: u64,
    },
    /// It was pulled before.
    Present {
        id: &'a str,
    },
    Downloading {
        bytes: u64,
        layers: usize,
        kept: usize,
    },
    Coming {
        bytes: u64,
        of: u64,
    },
    Downloaded {
        bytes: u64,
        seconds: f64,
    },
    Unpacking,
    Unpacked {
        seconds: f64,
    },
    /// What of the image was taken away.
    Cleaned {
        special: u64,
        bits: u64,
    },
    Shared {
        files: u64,
        bytes: u64,
        with: &'a str,
    },
    Pulled {
        id: &'a str,
        release: &'a Path,
        seconds: f64,
    },
    Pruned {
        removed: &'a [String],
        bytes: u64,
    },
    /// The app's link leads there now.
    Linked {
        link: &'a Path,
        release: &'a Path,
    },
}

impl Step<'_> {
    fn words(&self) -> String {
        let seconds = |it: f64| format!("{it:.1}s");
        match self {
            Step::Resolving { reference } => format!("asks for {reference}"),
            Step::Resolved { digest, platform, bytes: size, .. } => {
                format!("is {digest} for {platform}, {} compressed", bytes(*size))
            }
            Step::Present { id } => format!("{id} is here already"),
            Step::Downloading { bytes: size, layers, kept } => {
                let layers = counted(*layers as u64, "layer");
                format!("downloads {} ({layers}, {kept} of them here already)", bytes(*size))
            }
            Step::Coming { bytes: come, of } => format!("downloaded {} of {}", bytes(*come), bytes(*of)),
            Step::Downloaded { seconds: took, .. } => format!("downloaded in {}", seconds(*took)),
            Step::Unpacking => "unpacks".to_owned(),
            Step::Unpacked { seconds: took } => format!("unpacked in {}", seconds(*took)),
            Step::Cleaned { special, bits } => {
                let bits = (*bits > 0)
                    .then(|| format!("set-user-id and set-group-id bits of {}", counted(*bits, "file")));
                let special = (*special > 0).then(|| counted(*special, "special file"));
                let removed: Vec<String> = bits.into_iter().chain(special).collect();
                format!("removed from the image: {}", removed.join(", "))
            }
            Step::Shared { files, bytes: size, with } => {
                format!("shares {} ({}) with {with}", counted(*files, "file"), bytes(*size))
            }
            Step::Pulled { release, seconds: took, .. } => {
                format!("pulled in {} into {}", seconds(*took), release.display())
            }
            Step::Pruned { removed: [], .. } => "no release is too old to keep".to_owned(),
            Step::Pruned { removed, bytes: size } => {
                format!(
                    "removed {} ({}), which frees {}",
                    counted(removed.len() as u64, "old release"),
                    removed.join(", "),
                    bytes(*size)
                )
            }
            Step::Linked { link, release } => {
                format!("{} leads to {} now", link.display(), release.display())
            }
        }
    }
}

/// Where the steps are shown.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Steps {
    json: bool,
    screen: Screen,
    begun: Instant,
}

impl Steps {
    pub(in crate::cli) fn new(how: How) -> Steps {
        Steps { json: how.json, screen: Screen::stdout(), begun: Instant::now() }
    }

    /// Since the first.
    pub(super) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    pub(in crate::cli) fn tell(&self, step: &Step<'_>) -> io::Result<()> {
        let line = match self.json {
            true => serde_json::to_string(step).expect("steps are text and numbers"),
            false => {
                let seconds = format!("{:6.1}s", self.seconds());
                format!("{}  {}", self.screen.paint(Colour::Faint, &seconds), one_line(&step.words()))
            }
        };
        still_read(say(&line))
    }
}
