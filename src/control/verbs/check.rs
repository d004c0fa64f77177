//! `ostler check [FILE]`: offline.

use std::path::Path;

use serde_json::json;

use super::VerbError;
use crate::config::{self, AppName};
use crate::control::config_file;
use crate::control::protocol::exit;
use crate::control::screen::{complain, plain, say};

/// Says whether the files can be used; 78 where they cannot.
pub(super) fn run(file: &Path, json: bool) -> Result<u8, VerbError> {
    let loaded = config_file::load(file).and_then(|config| {
        let cannot = config.apps.iter().filter_map(|(name, app)| Some((name, config::cannot_run(app)?)));
        let cannot: Vec<String> = cannot.map(|(name, why)| format!("error: {name}: {why}")).collect();
        if cannot.is_empty() { Ok(config) } else { Err(cannot.join("\n")) }
    });
    if json {
        let answer = match &loaded {
            Ok(config) => {
                json!({"valid": true, "file": file, "apps": config.apps.keys().collect::<Vec<_>>()})
            }
            Err(problem) => json!({"valid": false, "file": file, "problem": problem}),
        };
        say(&answer.to_string())?;
    }
    match loaded {
        Ok(config) => {
            if !json {
                let apps: Vec<&str> = config.apps.keys().map(AppName::as_str).collect();
                let found = match apps.len() {
                    0 => config::no_apps_yet(file),
                    1 => format!("1 app: {}", apps[0]),
                    count => format!("{count} apps: {}", apps.join(", ")),
                };
                say(&format!("{}: ok, {}", file.display(), plain(&found)))?;
            }
            Ok(0)
        }
        Err(problem) => {
            if !json {
                complain(&plain(&problem));
            }
            Ok(exit::CONFIGURATION)
        }
    }
}
