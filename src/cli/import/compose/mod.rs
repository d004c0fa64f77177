//! A compose file: the service that is the app, and what becomes of the others.
//!
//! `yaml` reads the file, `interpolate` puts the variables in; `service` takes what has a place in the app's file, with `ports` and
//! `volumes`; `keys` says what becomes of the rest; `others` and `hosts` look at the other services.

mod hosts;
mod interpolate;
mod keys;
mod others;
mod ports;
mod resources;
mod service;
mod volumes;
mod yaml;

use std::cell::Cell;
use std::collections::BTreeMap;

use self::interpolate::Values;
use self::service::Service;
use self::yaml::Node;
use super::draft::{Draft, absolute, base};
use super::error::ImportError;
use super::image::ImageDraft;
use super::input::{Overrides, SourceFile};
use super::reading::ImportContext;

/// More services nobody has.
const MOST: usize = 500;

/// More services are not tried out.
const MOST_TRIED: usize = 32;

/// The file, read.
struct ComposeFile {
    root: Node,
    values: Values,
    /// Where it stands, which is what its paths are relative to.
    folder: Option<String>,
    /// Docker names volumes after it.
    project: String,
}

/// Whether a file is one.
pub(super) fn is_compose(path: &str, text: &str) -> bool {
    let name = base(path);
    let named = name.ends_with(".yml") || name.ends_with(".yaml");
    named || !name.contains('.') && text.lines().any(|line| line.trim_end() == "services:")
}

/// Reads the service that is the app; `described` is what a file that was given too says of its image, `files` lie in it.
pub(super) fn read(
    reading: &mut ImportContext<'_>,
    source: &SourceFile,
    described: Option<ImageDraft>,
    files: Vec<(String, String)>,
) -> Result<(), ImportError> {
    let file = open(reading, source)?;
    let mut start = described.unwrap_or_default();
    start.files.given = files;
    let chosen = chosen(reading, &file, &start)?;
    service::read(reading, &file, &chosen, start)?;
    others::tell(reading, &file, &chosen);
    hosts::tell(reading, &file, &chosen);
    Ok(())
}

fn open(reading: &ImportContext<'_>, source: &SourceFile) -> Result<ComposeFile, ImportError> {
    let place = source.path.display().to_string();
    let root = yaml::read(&source.text).map_err(|(line, what)| {
        let remedy = "correct it: `docker compose config` has to take it";
        ImportError::at(
            format!("{place}, line {line}"),
            format!("it is no YAML that can be read: {what}"),
            remedy,
        )
    })?;
    let services = root.get("services").map_or(0, |services| services.entries().len());
    if services > MOST {
        return Err(ImportError::at(
            place,
            "it has more services than anybody has",
            "give those that belong to the app",
        ));
    }
    if services == 0 {
        let remedy = "give the compose file with the service that starts gunicorn";
        return Err(ImportError::at(place, "it has no `services`", remedy));
    }
    let folder = source.path.parent().map(|it| it.display().to_string()).filter(|it| it.starts_with('/'));
    let mut known = BTreeMap::new();
    let dotenv =
        folder.as_ref().and_then(|folder| (reading.look.read)(absolute(".env", Some(folder)).as_ref()));
    if let Some(text) = dotenv {
        let read = crate::config::parse_env_file(&super::holes::clean(&text), ".env".as_ref());
        known.extend(read.unwrap_or_default());
    }
    known.extend(reading.given.set.clone());
    let left = Cell::new((16 << 10) + 16 * source.text.len());
    let project = root.get("name").and_then(Node::text).map(str::to_owned);
    let project = project.or_else(|| folder.as_deref().map(base).map(str::to_lowercase)).unwrap_or_default();
    Ok(ComposeFile { root, values: Values { known, left }, folder, project })
}

impl ComposeFile {
    fn services(&self) -> &[(String, Node)] {
        self.root.get("services").map_or(&[], Node::entries)
    }

    fn fill(&self, text: &str) -> String {
        self.values.fill(text)
    }

    /// A path as the file means it; `None` where nobody knows.
    fn path(&self, path: &str) -> Option<String> {
        let whole = match path {
            "." | "./" => self.folder.clone()?,
            path if path.starts_with('/') => path.to_owned(),
            path => absolute(path, Some(self.folder.as_deref()?)),
        };
        // `../data`, written from the folder.
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/').filter(|part| !part.is_empty() && *part != ".") {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Some(format!("/{}", parts.join("/")))
    }
}

/// The service that was named, the only one, the only one that names gunicorn, or the only one that starts it.
fn chosen(
    reading: &ImportContext<'_>,
    file: &ComposeFile,
    start: &ImageDraft,
) -> Result<Service, ImportError> {
    let all: Vec<Service> =
        file.services().iter().map(|(name, node)| Service::of(file, name, node)).collect();
    let names =
        |services: &[&Service]| services.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = &reading.given.service {
        return all.iter().find(|it| it.name == *wanted).cloned().ok_or_else(|| {
            let what =
                format!("it has no service {wanted:?}, but {}", names(&all.iter().collect::<Vec<_>>()));
            reading.error(what, "name one of these with --service")
        });
    }
    if let [only] = all.as_slice() {
        return Ok(only.clone());
    }
    let naming: Vec<&Service> = all.iter().filter(|it| it.names_gunicorn()).collect();
    if let [only] = naming.as_slice() {
        return Ok((*only).clone());
    }
    let candidates = if naming.is_empty() { all.iter().take(MOST_TRIED).collect() } else { naming };
    let starting: Vec<&Service> =
        candidates.iter().filter(|it| starts_gunicorn(reading, file, it, start)).copied().collect();
    match starting.as_slice() {
        [only] => Ok((*only).clone()),
        [] => {
            let what = format!(
                "no service of it is seen to start gunicorn: {}",
                names(&all.iter().collect::<Vec<_>>())
            );
            Err(reading.error(what, "name the one that is the app with --service"))
        }
        several => {
            let what = format!("{} services of it start gunicorn: {}", several.len(), names(several));
            Err(reading.error(what, "name the one to import with --service"))
        }
    }
}

fn starts_gunicorn(
    reading: &ImportContext<'_>,
    file: &ComposeFile,
    service: &Service,
    start: &ImageDraft,
) -> bool {
    let given = Overrides { app: None, ..reading.given.clone() };
    let mut tried = ImportContext {
        given: &given,
        look: reading.look,
        place: reading.place.clone(),
        draft: Draft::default(),
        variables: BTreeMap::new(),
        arguments: None,
        depth: 0,
    };
    service::read(&mut tried, file, service, start.clone()).is_ok()
}
