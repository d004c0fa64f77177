//! ostlerd's own log: fields in the journal where stderr is the journal, readable lines on stderr elsewhere.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;

use tracing::field::display;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::words::indented;
use crate::supervise::{AppEvent, Level};

/// As journald's own fields have it: what is only worth seeing is "info", where the crate says "notice".
const PRIORITIES: PriorityMappings = PriorityMappings {
    error: Priority::Error,
    warn: Priority::Warning,
    info: Priority::Informational,
    debug: Priority::Debug,
    trace: Priority::Debug,
};

/// Sets the log up, once for the process. `level` is what `OSTLER_LOG` says: `error`, `warn`, `info` (the default),
/// `debug`, or `trace`, which records every event and action of the core.
pub fn init(level: Option<&str>) {
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(level);
    match tracing_journald::layer() {
        Ok(journal) if stderr_is_the_journal() => {
            let journal =
                journal.with_field_prefix(Some("OSTLER".to_owned())).with_priority_mappings(PRIORITIES);
            // By whatever path it was started: after a re-execution that is another one.
            registry.with(journal.with_syslog_identifier("ostlerd".to_owned())).init();
        }
        _ => {
            let text = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false);
            registry.with(text).init();
        }
    }
}

/// systemd names the journal's stream as `device:inode` where it has connected stderr to it.
pub fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// Says what happened to an app. `event` is the name that `ostler events --json` has for it.
pub fn announce(event: &AppEvent) {
    let app = event.app.as_str();
    let what = &event.kind;
    let worker = what.worker().map(display);
    let generation = what.generation().map(display);
    let named = serde_json::to_value(what).unwrap_or_default();
    let event = named["event"].as_str();
    let below = if what.detail().is_empty() { String::new() } else { format!("\n{}", what.detail()) };
    let words = indented(&format!("{what}{below}"));
    match what.level() {
        Level::Info => tracing::info!(app, worker, generation, event, "{words}"),
        Level::Warn => tracing::warn!(app, worker, generation, event, "{words}"),
        Level::Error => tracing::error!(app, worker, generation, event, "{words}"),
    }
}
