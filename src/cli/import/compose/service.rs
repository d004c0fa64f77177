//! One service: what of it has a place in the app's file.

use std::collections::BTreeMap;

use super::yaml::{Node, Value};
use super::{ComposeFile, keys, ports, resources, volumes};
use crate::cli::import::error::ImportError;
use crate::cli::import::image::{self, Build, ImageDraft, Start};
use crate::cli::import::input::SourceFile;
use crate::cli::import::reading::ImportContext;
use crate::cli::import::{holes, words};
use crate::config::parse_env_file;

/// Services that extend each other: more nobody has.
const DEEPEST: usize = 8;

/// A service, and those that it extends.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) name: String,
    /// Its own keys first.
    pub(super) chain: Vec<Node>,
}

impl Service {
    pub(super) fn of(file: &ComposeFile, name: &str, node: &Node) -> Service {
        let mut chain = vec![node.clone()];
        while let Some(extended) = chain.last().and_then(|node| node.get("extends")) {
            let name = extended.text().or_else(|| match extended.get("file") {
                None => extended.get("service").and_then(Node::text),
                Some(_) => None,
            });
            let found = name.and_then(|name| file.services().iter().find(|(other, _)| other == name));
            match found {
                Some((_, node)) if chain.len() < DEEPEST => chain.push(node.clone()),
                _ => break,
            }
        }
        Service { name: name.to_owned(), chain }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.chain.iter().find_map(|node| node.get(key))
    }

    pub(super) fn names_gunicorn(&self) -> bool {
        ["command", "entrypoint"]
            .iter()
            .any(|key| self.get(key).is_some_and(|it| it.shown().contains("gunicorn")))
    }

    /// What makes two services the same image.
    pub(super) fn image(&self) -> (Option<String>, Option<String>) {
        let shown = |key: &str| self.get(key).map(Node::shown);
        let image = shown("image");
        let build = if image.is_some() { None } else { shown("build") };
        (image, build)
    }

    /// `entrypoint` or `command`, as words; `Some` of none where it is taken away.
    pub(super) fn words(
        &self,
        file: &ComposeFile,
        key: &str,
    ) -> Option<Result<Vec<String>, words::LineError>> {
        let node = self.get(key)?;
        Some(match node.text() {
            Some(line) => words::shlex(&file.fill(line)),
            None => Ok(node.texts().iter().map(|word| file.fill(word)).collect()),
        })
    }

    /// `environment`, those of extended services first. `None` is a value that compose takes from its own environment.
    pub(super) fn environment(&self, file: &ComposeFile) -> BTreeMap<String, Option<String>> {
        let mut read = BTreeMap::new();
        for node in self.chain.iter().rev().filter_map(|node| node.get("environment")) {
            for (name, value) in node.entries() {
                let value = match &*value.value {
                    Value::Text(text) => Some(file.fill(text)),
                    _ => None,
                };
                read.insert(name.clone(), value);
            }
            for item in node.items().iter().filter_map(Node::text) {
                let item = file.fill(item);
                match item.split_once('=') {
                    Some((name, value)) => read.insert(name.to_owned(), Some(value.to_owned())),
                    None => read.insert(item, None),
                };
            }
        }
        read
    }
}

/// Puts the service into the draft, and finds gunicorn in what it starts.
pub(super) fn read(
    reading: &mut ImportContext<'_>,
    file: &ComposeFile,
    service: &Service,
    start: ImageDraft,
) -> Result<(), ImportError> {
    let text = |key: &str| service.get(key).and_then(Node::text).map(|text| file.fill(text));
    let mut image = build(reading, file, service, start)?;
    image.reference = text("image").or(image.reference);
    image.folder = image.folder.or_else(|| file.folder.clone());
    let at = |key: &str| {
        let line = service.get(key).map_or(1, |node| node.line);
        format!("{}, line {line}", reading.place)
    };
    for key in ["entrypoint", "command"] {
        let Some(words) = service.words(file, key) else { continue };
        let words =
            words.map_err(|slip| ImportError::at(at(key), format!("`{key}`: {slip}"), "correct the line"))?;
        let words = (!words.is_empty()).then_some(Start::Words(words));
        if key == "entrypoint" {
            image.entrypoint = words;
            image.command = None;
        } else {
            image.command = words;
        }
    }
    image.directory = text("working_dir").filter(|it| it.starts_with('/')).or(image.directory);
    image.user = text("user").or(image.user);
    image.on_host = text("network_mode").as_deref() == Some("host");
    image.stop_signal = text("stop_signal").or(image.stop_signal);
    if let Some(check) = service.get("healthcheck") {
        image.health = health(file, check).or(image.health.filter(|_| check.get("test").is_none()));
        if check.get("disable").and_then(Node::text) == Some("true") {
            image.health = None;
        }
    }
    reading.draft.name = Some(file.project.clone()).filter(|name| !name.is_empty());
    environment(reading, file, service);
    if let Some(node) = service.get("ports") {
        let (published, left) = ports::read(node, &|text| file.fill(text));
        image.published = published;
        if !left.is_empty() {
            let why = "is no TCP port of the app's: what else listens in the container does not run";
            reading.draft.leave_to_owner(format!("ports: {}", holes::plain(&left.join(", "))), why);
        }
    }
    volumes::read(reading, file, service, &mut image);
    resources::read(reading, file, service);
    reading.draft.image = Some(image);
    image::start(reading)?;
    keys::tell(reading, service);
    Ok(())
}

/// The image that `build` makes, where its Dockerfile is here.
fn build(
    reading: &ImportContext<'_>,
    file: &ComposeFile,
    service: &Service,
    mut start: ImageDraft,
) -> Result<ImageDraft, ImportError> {
    let Some(node) = service.get("build") else { return Ok(start) };
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| file.fill(text));
    let context = node.text().map(|text| file.fill(text)).or_else(|| text("context"));
    let context = file.path(&context.unwrap_or_else(|| ".".to_owned())).filter(|_| !start.built);
    let described = start.command.is_some() || start.entrypoint.is_some();
    start.built = true;
    let Some(context) = context.filter(|_| !described) else { return Ok(start) };
    let mut build = Build { context: Some(context.clone()), target: text("target"), ..Build::default() };
    if let Some(args) = node.get("args") {
        let pairs =
            args.entries().iter().filter_map(|(name, value)| Some((name.clone(), value.text()?.to_owned())));
        let listed = args.items().iter().filter_map(|item| item.text()?.split_once('='));
        let listed = listed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        build.args = pairs.chain(listed).map(|(name, value)| (name, file.fill(&value))).collect();
    }
    let path = crate::cli::import::draft::absolute(
        &text("dockerfile").unwrap_or_else(|| "Dockerfile".to_owned()),
        Some(&context),
    );
    let dockerfile = text("dockerfile_inline").or_else(|| (reading.look.read)(path.as_ref()));
    let Some(dockerfile) = dockerfile else {
        if service.get("command").is_some()
            || service.get("entrypoint").is_some()
            || reading.given.app.is_some()
        {
            return Ok(start);
        }
        let what = format!(
            "what the service {:?} starts is in its Dockerfile {path}, which cannot be read",
            service.name
        );
        return Err(reading.error(what, "give the Dockerfile as well"));
    };
    let source = SourceFile { path: path.into(), text: holes::clean(&dockerfile) };
    let mut image = image::dockerfile(reading, &source, &build)?;
    image.files.given = start.files.given;
    Ok(image)
}

/// `test`: a line for a shell, or a list as the image has it.
fn health(file: &ComposeFile, check: &Node) -> Option<Start> {
    let test = check.get("test")?;
    match test.text() {
        Some(line) => Some(Start::Line(file.fill(line))),
        None => image::test(test.texts().iter().map(|word| file.fill(word)).collect()),
    }
}

fn environment(reading: &mut ImportContext<'_>, file: &ComposeFile, service: &Service) {
    let mut passed = Vec::new();
    for (name, value) in service.environment(file) {
        match value {
            // `PASSWORD: ${PASSWORD}`: a secret is better in a file than on a command line.
            Some(value) if value == holes::hole(&name) => passed.push(name),
            Some(value) => drop(reading.draft.env.insert(name, value)),
            None => match file.values.known.get(&name) {
                Some(value) => drop(reading.draft.env.insert(name, value.clone())),
                None => passed.push(name),
            },
        }
    }
    if !passed.is_empty() {
        let why = "compose took it from the shell that it was called in: put it, as NAME=value, into a file of `env_files`";
        reading.draft.leave_to_owner(format!("environment: {}", passed.join(", ")), why);
    }
    let Some(node) = service.get("env_file") else { return };
    let items = if node.text().is_some() { vec![node.clone()] } else { node.items().to_vec() };
    for item in items {
        let Some(written) = item.text().or_else(|| item.get("path").and_then(Node::text)) else { continue };
        let written = file.fill(written);
        let whole = if holes::open(&written) { Some(written.clone()) } else { file.path(&written) };
        let Some(path) = whole else {
            let why =
                "is relative to the compose file, which is not known: name it, absolute, in `env_files`";
            reading.draft.leave_to_owner(format!("env_file: {written}"), why);
            continue;
        };
        let text = (reading.look.read)(path.as_ref());
        let optional = item.get("required").and_then(Node::text) == Some("false");
        match &text {
            None if optional => {
                let why = "it is not there, and need not be: name it in `env_files` when it is";
                reading.draft.leave_to_owner(format!("env_file: {path}"), why);
                continue;
            }
            None => {
                let why = "it has to be there, in a place where it stays, before the app starts";
                reading.draft.leave_to_owner(format!("env_file: {path}"), why);
            }
            Some(text) => {
                let read = parse_env_file(&holes::clean(text), path.as_ref());
                let own = &reading.draft.env;
                let read = read.unwrap_or_default().into_iter().filter(|(name, _)| !own.contains_key(name));
                reading.variables.extend(read);
            }
        }
        reading.draft.env_files.push(path);
    }
}
