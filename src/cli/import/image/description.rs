//! What an image says of itself: its configuration (`skopeo inspect --config`), that of a bundle (`umoci unpack`), or what
//! `docker inspect` prints.

use serde_json::Value;

use super::{ImageDraft, Start};
use crate::cli::import::draft::base;
use crate::cli::import::error::ImportError;
use crate::cli::import::input::SourceFile;

/// Whether a file may be one.
pub(in crate::cli::import) fn is_description(path: &str, text: &str) -> bool {
    let begins = text.trim_start().starts_with(['{', '[']);
    let says = ["\"config\"", "\"Config\"", "\"process\"", "\"rootfs\""].iter().any(|it| text.contains(it));
    base(path).ends_with(".json") || begins && says
}

pub(in crate::cli::import) fn read(source: &SourceFile) -> Result<ImageDraft, ImportError> {
    const REMEDY: &str = "give what `skopeo inspect --config docker://REF >config.json` has written";
    let place = source.path.display().to_string();
    let text = source.text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let place = format!("{place}, line {}, column {}", error.line(), error.column());
        ImportError::at(place, "it is damaged JSON", REMEDY)
    })?;
    let value = match &value {
        // `docker inspect` prints a list.
        Value::Array(items) => items.first().unwrap_or(&Value::Null),
        other => other,
    };
    let mut image = if let Some(process) = value.get("process").filter(|it| it.is_object()) {
        bundle(process)
    } else if let Some(config) =
        value.get("config").or_else(|| value.get("Config")).filter(|it| it.is_object())
    {
        config_of(config)
    } else {
        return Err(ImportError::at(
            place,
            "it describes no image: it has neither `config` nor `process`",
            REMEDY,
        ));
    };
    let tag = value.get("RepoTags").and_then(|tags| tags.get(0)).and_then(Value::as_str);
    image.reference = tag.map(str::to_owned);
    Ok(image)
}

/// The image's own.
fn config_of(config: &Value) -> ImageDraft {
    let user = text(config, "User").filter(|it| !it.is_empty());
    let health = config.get("Healthcheck").map(|check| texts(check, "Test")).unwrap_or_default();
    let ports = keys(config, "ExposedPorts");
    let mut image = ImageDraft {
        entrypoint: start(texts(config, "Entrypoint")),
        command: start(texts(config, "Cmd")),
        directory: text(config, "WorkingDir").filter(|it| it.starts_with('/')),
        user,
        ports: ports.iter().filter_map(|it| it.strip_suffix("/tcp").unwrap_or(it).parse().ok()).collect(),
        volumes: keys(config, "Volumes"),
        health: test(health),
        stop_signal: text(config, "StopSignal").filter(|it| !it.is_empty()),
        ..ImageDraft::default()
    };
    environment(&mut image, &texts(config, "Env"));
    image
}

/// A bundle's: entrypoint and command are one there.
fn bundle(process: &Value) -> ImageDraft {
    let user = process.get("user");
    let name = user.and_then(|user| text(user, "username"));
    let id = user.and_then(|user| user.get("uid")).and_then(Value::as_u64).filter(|id| *id > 0);
    let mut image = ImageDraft {
        command: start(texts(process, "args")),
        directory: text(process, "cwd").filter(|it| it.starts_with('/')),
        user: name.or_else(|| id.map(|id| id.to_string())),
        ..ImageDraft::default()
    };
    environment(&mut image, &texts(process, "env"));
    image
}

fn environment(image: &mut ImageDraft, env: &[String]) {
    let pairs = env.iter().filter_map(|it| it.split_once('='));
    image.env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let items = value.get(key).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn keys(value: &Value, key: &str) -> Vec<String> {
    let map = value.get(key).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

fn start(words: Vec<String>) -> Option<Start> {
    (!words.is_empty()).then_some(Start::Words(words))
}

/// `["CMD", …]`, `["CMD-SHELL", line]`, `["NONE"]`.
pub(in crate::cli::import) fn test(words: Vec<String>) -> Option<Start> {
    let (kind, rest) = words.split_first()?;
    match kind.as_str() {
        "CMD" => start(rest.to_vec()),
        "CMD-SHELL" => rest.first().cloned().map(Start::Line),
        _ => None,
    }
}
