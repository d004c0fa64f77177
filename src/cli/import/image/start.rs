//! What an image starts: gunicorn is looked for in it, and the rest of what the image says is told.

use super::{ImageDraft, Start, health};
use crate::cli::import::command;
use crate::cli::import::draft::Python;
use crate::cli::import::error::ImportError;
use crate::cli::import::reading::ImportContext;

/// Reads the command of the draft's image.
pub(in crate::cli::import) fn start(reading: &mut ImportContext<'_>) -> Result<(), ImportError> {
    let Some(image) = reading.draft.image.clone() else { return Ok(()) };
    // What its commands see, and the app's file has no need to say.
    for (name, value) in &image.env {
        if !reading.draft.env.contains_key(name) {
            reading.variables.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    reading.draft.directory = Some(image.workdir());
    let words = words(&image);
    if words.is_empty() && reading.given.app.is_none() {
        let what = "what the image starts is not in it: there is no ENTRYPOINT and no CMD";
        let remedy = "give what the image says of itself too (`skopeo inspect --config docker://REF >config.json`), or name \
                      the app with --app";
        return Err(reading.error(what, remedy));
    }
    let shown = words.join(" ");
    if words.is_empty() {
        reading.draft.started_in = reading.draft.directory.clone();
        let why = "no file here says how: what gunicorn was told belongs into `listen`, `workers` and `args`";
        reading.draft.leave_to_owner("what the image starts", why);
    } else if !command::run(reading, words.clone())? {
        let served = command::served(&words).unwrap_or_else(|| shown.clone());
        if reading.given.app.is_none() {
            return Err(command::not_gunicorn(reading, "the image does not start gunicorn", &served));
        }
        reading.draft.python = Python::Unknown;
        reading.draft.started_in = reading.draft.directory.clone();
        let why =
            "it was no gunicorn: what it was told here belongs into `listen`, `workers`, `args` and `env`";
        reading.draft.leave_to_owner(shown, why);
    }
    tell(reading, &image);
    Ok(())
}

fn words(image: &ImageDraft) -> Vec<String> {
    let command = image.command.clone().map(Start::words).unwrap_or_default();
    match image.entrypoint.clone() {
        // A line for a shell gets no arguments.
        Some(Start::Line(line)) => Start::Line(line).words(),
        Some(Start::Words(mut words)) => {
            words.extend(command);
            words
        }
        None => command,
    }
}

/// What of the image's own words counts, and what does not.
fn tell(reading: &mut ImportContext<'_>, image: &ImageDraft) {
    let draft = &mut reading.draft;
    if !image.env.is_empty() {
        let names = image.env.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        draft.left_out(format!("ENV {names}"), "the image brings it, and `env` comes after it");
    }
    if let Some(user) = &image.user {
        let why = "is a user of the image's own: workers run as `user`, who has to be allowed to read the image's files";
        draft.leave_to_owner(format!("USER {user}"), why);
    }
    if !image.ports.is_empty() {
        let ports = image.ports.iter().take(8).map(u16::to_string).collect::<Vec<_>>().join(" ");
        draft.left_out(format!("EXPOSE {ports}"), "`listen` decides");
    }
    if let Some(signal) = &image.stop_signal {
        draft.left_out(format!("STOPSIGNAL {signal}"), "ostlerd ends workers in gunicorn's own way");
    }
    if let Some(check) = &image.health {
        match health::path(check) {
            Some(path) => {
                draft.probe = Some(path);
                let why = "`path` of [probe] asks for the same, before a worker takes clients; what hangs later, `timeout` ends";
                draft.left_out(format!("HEALTHCHECK {}", check.shown()), why);
            }
            None => draft.leave_to_owner(
                format!("HEALTHCHECK {}", check.shown()),
                "it is no request to the app: name a page that shows that the app works as `path` of [probe]",
            ),
        }
    }
}
