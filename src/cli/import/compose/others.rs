//! The other services of the file: those of the same image are commands that ostlerd can run beside the workers.

use super::ComposeFile;
use super::service::Service;
use crate::cli::import::holes;
use crate::cli::import::migrations::is_migrate;
use crate::cli::import::reading::ImportContext;

/// More commands beside the workers nobody has.
const MOST: usize = 32;

pub(super) fn tell(reading: &mut ImportContext<'_>, file: &ComposeFile, chosen: &Service) {
    let mut elsewhere = Vec::new();
    let own = chosen.image();
    let own = (own != (None, None)).then_some(own);
    for (name, node) in file.services().iter().filter(|(name, _)| *name != chosen.name) {
        let service = Service::of(file, name, node);
        let same = own.as_ref() == Some(&service.image());
        match words(file, &service).filter(|_| same && reading.draft.processes.len() < MOST) {
            Some(words) if is_migrate(&words.join(" ")) => {
                reading.draft.ran_migrations.push(format!("{name}: {}", words.join(" ")));
            }
            Some(words) => {
                more(reading, file, &service, chosen);
                reading.draft.processes.push((process(name), words));
            }
            None => elsewhere.push(name.as_str()),
        }
    }
    // Two names may come to one.
    let mut seen = std::collections::BTreeSet::new();
    reading.draft.processes.retain(|(name, _)| seen.insert(name.clone()));
    if !elsewhere.is_empty() {
        let why = "ostler runs none of them: install them on a machine, or go on running them with docker compose and have their \
                   ports published on 127.0.0.1";
        reading.draft.leave_to_owner(format!("the services {}", elsewhere.join(", ")), why);
    }
}

fn words(file: &ComposeFile, service: &Service) -> Option<Vec<String>> {
    let mut words = service.words(file, "entrypoint").and_then(Result::ok).unwrap_or_default();
    words.extend(service.words(file, "command").and_then(Result::ok)?);
    let words: Vec<String> = words.iter().map(|word| holes::plain(word)).collect();
    words.first().is_some_and(|first| !first.is_empty()).then_some(words)
}

/// What the other one is told, and the app is not: a process has the app's environment.
fn more(reading: &mut ImportContext<'_>, file: &ComposeFile, service: &Service, chosen: &Service) {
    let own = chosen.environment(file);
    let more: Vec<String> =
        service.environment(file).into_keys().filter(|name| !own.contains_key(name)).collect();
    if !more.is_empty() {
        let what = format!("environment of {}: {}", service.name, more.join(", "));
        reading.draft.leave_to_owner(
            what,
            "a process has the app's own environment: put it into `env` if it runs here",
        );
    }
}

/// A name that `[processes.NAME]` takes.
fn process(name: &str) -> String {
    let letter =
        |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c) { c } else { '-' };
    let name: String = name.to_ascii_lowercase().chars().map(letter).take(38).collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("p{name}") }
}
