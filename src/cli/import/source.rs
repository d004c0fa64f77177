//! Tells the kinds of files apart, and has each read.

use std::collections::BTreeMap;

use super::draft::{Draft, base};
use super::error::ImportError;
use super::input::{FileAccess, Overrides, SourceFile};
use super::reading::ImportContext;
use super::{compose, conf, flags, holes, image, procfile, scan, script, supervisor, unit};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceKind {
    Unit,
    Socket,
    Supervisor,
    Conf,
    Compose,
    Dockerfile,
    Description,
    Script,
    Procfile,
    Line,
}

/// Reads every file into one draft.
pub(super) fn read(
    sources: &[SourceFile],
    given: &Overrides,
    look: &FileAccess<'_>,
) -> Result<Draft, ImportError> {
    let mut reading = ImportContext {
        given,
        look,
        place: String::new(),
        draft: Draft { directory: given.directory.clone(), ..Draft::default() },
        variables: BTreeMap::new(),
        arguments: None,
        depth: 0,
    };
    let mut units = Vec::new();
    let mut sockets = Vec::new();
    let mut confs = Vec::new();
    let mut mains: Vec<(SourceKind, SourceFile)> = Vec::new();
    for source in sources {
        let source = SourceFile { path: source.path.clone(), text: holes::clean(&source.text) };
        let place = source.path.display().to_string();
        reading.draft.from.push(place.clone());
        match kind(&source) {
            Some(SourceKind::Unit) => units.push(source),
            Some(SourceKind::Socket) => sockets.push(source),
            Some(SourceKind::Conf) => confs.push(source),
            Some(kind) => mains.push((kind, source)),
            None => {
                let what = "this is no systemd unit, Procfile, supervisord section, Dockerfile, compose file, description of an image, start \
                            script or gunicorn.conf.py";
                return Err(ImportError::at(place, what, "give the file that starts gunicorn"));
            }
        }
    }
    let images = mains.iter().any(|(kind, _)| {
        matches!(kind, SourceKind::Compose | SourceKind::Dockerfile | SourceKind::Description)
    });
    if let Some((_, second)) = mains.get(1).filter(|_| !images) {
        let remedy = "import one at a time; only units with their drop-ins and sockets go together, and what belongs to an image";
        return Err(ImportError::at(second.path.display().to_string(), "this is a second app", remedy));
    }
    if images && units.is_empty() {
        image(&mut reading, mains, &confs)?;
        for source in &confs {
            conf::given(&mut reading.draft, source);
        }
        return Ok(reading.draft);
    }
    match (units.is_empty(), mains.pop()) {
        (false, Some((_, other))) => {
            let place = other.path.display().to_string();
            return Err(ImportError::at(
                place,
                "this is a second app beside the unit",
                "import one at a time",
            ));
        }
        (false, None) => unit::read(&mut reading, &units, &sockets)?,
        (true, Some((kind, source))) => one(&mut reading, kind, &source)?,
        (true, None) if confs.is_empty() => {
            let from = reading.draft.from.join(", ");
            let remedy = "give the .service unit as well";
            return Err(ImportError::at(from, "this alone starts no gunicorn", remedy));
        }
        (true, None) => {}
    }
    for source in &confs {
        conf::given(&mut reading.draft, source);
    }
    Ok(reading.draft)
}

/// An image: the compose file that runs it, the file that says how it is made or what it is, and scripts that lie in it.
fn image(
    reading: &mut ImportContext<'_>,
    files: Vec<(SourceKind, SourceFile)>,
    confs: &[SourceFile],
) -> Result<(), ImportError> {
    let (mut composed, mut main) = (None, None);
    let name = |source: &SourceFile| base(&source.path.to_string_lossy()).to_owned();
    let mut given: Vec<(String, String)> =
        confs.iter().map(|source| (name(source), source.text.clone())).collect();
    for (kind, source) in files {
        match kind {
            SourceKind::Dockerfile | SourceKind::Description if main.is_none() => main = Some((kind, source)),
            SourceKind::Compose if composed.is_none() => composed = Some(source),
            SourceKind::Script | SourceKind::Line => given.push((name(&source), source.text)),
            _ => {
                let remedy = match kind {
                    SourceKind::Compose => "give what `docker compose -f FILE -f FILE config` makes of both",
                    _ => "import one at a time; beside an image only scripts that lie in it are read",
                };
                let place = source.path.display().to_string();
                return Err(ImportError::at(place, "this is a second app", remedy));
            }
        }
    }
    let place = |source: &SourceFile| source.path.display().to_string();
    let described = match &main {
        None => None,
        Some((kind, source)) => {
            reading.place = place(source);
            Some(match kind {
                SourceKind::Dockerfile => image::dockerfile(reading, source, &image::Build::default())?,
                _ => image::description(source)?,
            })
        }
    };
    if let Some(source) = composed {
        reading.place = place(&source);
        return compose::read(reading, &source, described, given);
    }
    reading.draft.image = described.map(|mut image| {
        image.files.given = given;
        image
    });
    image::start(reading)
}

fn one(reading: &mut ImportContext<'_>, kind: SourceKind, source: &SourceFile) -> Result<(), ImportError> {
    reading.place = source.path.display().to_string();
    match kind {
        SourceKind::Supervisor => supervisor::read(reading, source),
        SourceKind::Procfile => procfile::read(reading, source),
        _ => script::read(reading, &source.text),
    }
}

fn kind(source: &SourceFile) -> Option<SourceKind> {
    let text = &source.text;
    let path = source.path.to_string_lossy().into_owned();
    let has = |head: &str| text.lines().any(|line| line.trim() == head);
    let section = |head: &str| text.lines().any(|line| line.trim_start().starts_with(head));
    let named = base(&path).to_ascii_lowercase();
    let is_dockerfile = image::is_dockerfile(&path, text);
    if is_dockerfile && named.contains("file") {
        return Some(SourceKind::Dockerfile);
    }
    if compose::is_compose(&path, text) {
        return Some(SourceKind::Compose);
    }
    if image::is_description(&path, text) {
        return Some(SourceKind::Description);
    }
    if has("[Service]") {
        return Some(SourceKind::Unit);
    }
    if has("[Socket]") {
        return Some(SourceKind::Socket);
    }
    if section("[program:") || section("[fcgi-program:") {
        return Some(SourceKind::Supervisor);
    }
    if path.ends_with(".py") {
        return Some(SourceKind::Conf);
    }
    if is_dockerfile {
        return Some(SourceKind::Dockerfile);
    }
    if text.starts_with("#!") {
        return Some(SourceKind::Script);
    }
    // `gunicorn.conf`, `shop.gunicorn`: gunicorn reads a file of any name as Python.
    let settings = scan::scan(base(&path), text).settings;
    let starts = |line: &str| !line.trim_start().starts_with('#') && line.contains("gunicorn ");
    let sets = settings.keys().any(|name| flags::is_setting(name)) && !text.lines().any(starts);
    if sets && base(&path).contains("gunicorn") {
        return Some(SourceKind::Conf);
    }
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if base(&path).starts_with("Procfile")
        || lines().next().is_some_and(|line| procfile::entry(line).is_some())
    {
        return Some(SourceKind::Procfile);
    }
    text.contains("gunicorn").then_some(SourceKind::Line)
}
