//! What goes over the control socket: HTTP/1.1, JSON, and for all that takes time one JSON object a line.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /v1/status` | [`Status`](crate::observe::Status) |
//! | `GET /v1/status?glance` | the same without a look at the releases on disk |
//! | `GET /v1/events` | endless lines of events, or `{"lagged": n}` where the listener was too slow for n of them |
//! | a path of [`COMMANDS`](crate::supervise::COMMANDS) | lines of events of its app, or about every app; the last line is the outcome |
//!
//! The body of a command is JSON with what it takes, `{"release": "/srv/NAME/releases/2"}`; none if it takes nothing.
//! The outcome of `reexec` comes just before ostlerd becomes the binary that is on disk.
//! An event has the keys `app` and `event`, an outcome the key `outcome`. Whatever cannot be answered is
//! `{"error": "…", "exit": 64}`: a sentence, and the exit status of the command that asked.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config::AppName;
use crate::supervise::{AppEvent, Outcome};

/// Exit statuses beside those of an [`Outcome`].
pub(crate) mod exit {
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const UNREACHABLE: u8 = 69;
    pub(crate) const TRY_AGAIN: u8 = 75;
    pub(crate) const NOT_ALLOWED: u8 = 77;
    pub(crate) const CONFIGURATION: u8 = 78;
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestRefusal {
    /// A sentence: the value, the rule, the remedy.
    pub(crate) error: String,
    /// The exit status of the command that asked.
    #[serde(default = "failed")]
    pub(crate) exit: u8,
}

fn failed() -> u8 {
    exit::FAILED
}

/// Where a listener missed something.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Lagged {
    /// How many lines.
    pub(crate) lagged: u64,
}

/// One line of a stream, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamLine {
    /// Something happened.
    Event(AppEvent),
    /// The end of a command.
    Outcome(Outcome),
    /// So many lines were missed.
    Lagged(u64),
    /// The command cannot be finished: the sentence, and the exit status.
    Error(String, u8),
    /// Something that this version does not know, as a newer ostlerd may say it.
    Unknown(String),
}

impl StreamLine {
    /// Reads one line; never fails, since a newer ostlerd may say more than this version knows.
    pub fn parse(text: &str) -> StreamLine {
        if let Ok(event) = serde_json::from_str::<AppEvent>(text) {
            return StreamLine::Event(event);
        }
        if let Ok(outcome) = serde_json::from_str::<Outcome>(text) {
            return StreamLine::Outcome(outcome);
        }
        if let Ok(Lagged { lagged }) = serde_json::from_str(text) {
            return StreamLine::Lagged(lagged);
        }
        match serde_json::from_str::<RequestRefusal>(text) {
            Ok(refusal) => StreamLine::Error(refusal.error, refusal.exit),
            Err(_) => StreamLine::Unknown(text.to_owned()),
        }
    }
}

/// `value` as one line of a stream.
pub(crate) fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).expect("the protocol's types have text keys only");
    text.push(b'\n');
    Bytes::from(text)
}

/// "no app named `shpo`; did you mean `shop`? (apps: blog, shop)"
pub(crate) fn no_such_app<'a>(name: &str, apps: impl IntoIterator<Item = &'a AppName>) -> String {
    let apps: Vec<&str> = apps.into_iter().map(AppName::as_str).collect();
    if apps.is_empty() {
        return format!(
            "no app named `{name}`: no app is configured; add one to apps.d, then `ostler reload`"
        );
    }
    let nearest = apps
        .iter()
        .map(|app| (strsim::damerau_levenshtein(name, app), app))
        .filter(|(distance, _)| *distance <= name.len().max(3) / 2)
        .min();
    let guess = nearest.map(|(_, app)| format!("; did you mean `{app}`?")).unwrap_or_default();
    format!("no app named `{name}`{guess} (apps: {})", apps.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Preload;
    use crate::supervise::{
        AppEventKind, Cause, Exit, GenerationId, LastWords, ProcessChange, ProcessEvent, ProcessId, Role,
    };
    use std::time::Duration;

    fn names(all: &[&str]) -> Vec<AppName> {
        all.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_mistyped_app_is_answered_with_the_nearest_one() {
        let apps = names(&["blog", "shop"]);
        assert_eq!(
            no_such_app("shpo", &apps),
            "no app named `shpo`; did you mean `shop`? (apps: blog, shop)"
        );
        assert_eq!(no_such_app("warehouse", &apps), "no app named `warehouse` (apps: blog, shop)");
        assert!(no_such_app("shop", &[]).contains("no app is configured"));
    }

    #[test]
    fn an_event_survives_the_wire() {
        let (process, generation) = (ProcessId(3), GenerationId(2));
        let last_words = LastWords { message: "no".into(), traceback: "Traceback\n  x".into() };
        let of = |role, change| AppEventKind::Process(ProcessEvent { process, role, generation, change });
        let (ready, took) = (Some(1), Duration::from_millis(1234));
        let died = |exit| ProcessChange::Died { exit, ready: false, last_words: last_words.clone() };
        let kinds = [
            AppEventKind::RolloutStarted { generation, from: None, workers: 4 },
            of(Role::Web, ProcessChange::Started {}),
            of(Role::Web, ProcessChange::Ready { ready, wanted: Some(4), took }),
            of(Role::Web, died(Some(Exit::Signal(9)))),
            of(Role::Web, ProcessChange::NotStarted { reason: "no memory".into() }),
            of(Role::Zygote(Preload::App), ProcessChange::Ready { ready: None, wanted: None, took }),
            of(Role::Zygote(Preload::Settings), ProcessChange::Draining { cause: Cause::Rollout }),
            of(Role::Zygote(Preload::App), died(None)),
            AppEventKind::Stopped,
        ];
        for kind in kinds {
            let event = AppEvent { app: "shop".parse().unwrap(), kind };
            let text = line(&event);
            assert_eq!(
                StreamLine::parse(std::str::from_utf8(&text).unwrap().trim_end()),
                StreamLine::Event(event)
            );
        }
    }

    #[test]
    fn outcomes_and_errors_survive_the_wire() {
        let outcome = Outcome::Refused { reason: "busy".into() };
        let text = line(&outcome);
        assert_eq!(StreamLine::parse(std::str::from_utf8(&text).unwrap()), StreamLine::Outcome(outcome));
        assert_eq!(StreamLine::parse(r#"{"lagged": 5}"#), StreamLine::Lagged(5));
        assert_eq!(StreamLine::parse(r#"{"error": "no", "exit": 77}"#), StreamLine::Error("no".into(), 77));
    }

    #[test]
    fn a_line_of_a_newer_ostlerd_is_kept_as_it_is() {
        let text = r#"{"app": "shop", "event": "worker_danced"}"#;
        assert_eq!(StreamLine::parse(text), StreamLine::Unknown(text.to_owned()));
        assert_eq!(StreamLine::parse("garbage"), StreamLine::Unknown("garbage".to_owned()));
    }
}
