//! The first release of an app whose `image` is configured and of which nothing is there yet, as on a new machine: it is pulled
//! by the command that a person would give, as the app's user. Every later one somebody asks for.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::captured::captured;
use super::children::Children;
use super::files::at;
use super::handover;
use super::messages::shown;
use crate::config::AppConfig;
use crate::plan::Refusal;
use crate::supervise::Exit;

/// A registry that is slower is given up.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// So much is told of what went wrong.
const TOLD: usize = 2000;

/// Whether the app is to have its first release from its image: nothing is where its link is to be.
pub(super) fn is_missing(app: &AppConfig) -> bool {
    at(&app.directory);
    let is_there = fs::symlink_metadata(&app.directory);
    let nothing = is_there.is_err_and(|error| error.kind() == ErrorKind::NotFound);
    // A link that is there leads to what somebody has brought in.
    app.image.is_some() && nothing && app.directory.ancestors().all(|it| !it.is_symlink())
}

/// What is said until it is there. It passes by itself.
pub(super) fn awaited(app: &AppConfig) -> Refusal {
    let image = image_of(app);
    passing(format!(
        "there is no release at {} yet: ostlerd pulls the image {image} first",
        app.directory.display()
    ))
}

/// Pulls it, and has the link lead there; the error is what went wrong, and it is tried again.
pub(super) async fn pull(children: &Children, file: &Path, app: &AppConfig) -> Result<(), Refusal> {
    let image = image_of(app);
    let failed =
        |why: String| passing(format!("the image {image} cannot be pulled: {why}; it is tried again"));
    let program = handover::program().map_err(|error| failed(error.to_string()))?.with_file_name("ostler");
    let name = app.name.as_str();
    let words = ["ostler", "images", "pull", name, &image, "--config", &file.to_string_lossy()];
    tracing::info!(app = name, "{name}: there is no release yet: pulling the image {image}");
    let argv = words.map(str::to_owned).to_vec();
    let (exit, output) =
        captured(children, &program, argv, PATIENCE).await.map_err(|error| failed(error.to_string()))?;
    if exit == Exit::Code(0) {
        return Ok(());
    }
    let said = shown(output.trim(), TOLD);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let why = last.map(|line| line.strip_prefix("ostler: ").unwrap_or(line).to_owned());
    Err(failed(why.unwrap_or_else(|| exit.to_string())))
}

fn image_of(app: &AppConfig) -> String {
    app.image.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn passing(reason: String) -> Refusal {
    Refusal { passing: true, ..Refusal::new(reason) }
}
