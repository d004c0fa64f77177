//! What happens to processes, for the log, the event stream and whoever waits: said once for all roles, in the words of each.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::cause::Cause;
use super::role::Role;
use crate::plan::Hook;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::level::Level;
use crate::supervise::process_fact::{Exit, LastWords};

/// Something that has happened to a process. Programs read it as the event `ROLE_CHANGE` with the fields of the change.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessEvent {
    /// Which process.
    pub process: ProcessId,
    /// What it is for.
    pub role: Role,
    /// Its generation.
    pub generation: GenerationId,
    /// What has happened.
    pub change: ProcessChange,
}

/// What has happened to a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are named as what they hold; Display says each in words")]
pub enum ProcessChange {
    Started {},
    Waits {
        at: String,
        age: Duration,
        stacks: String,
    },
    Held {
        settle: Duration,
    },
    /// With how many workers are ready of those that are wanted, if it is one.
    Ready {
        #[serde(skip_serializing_if = "Option::is_none")]
        ready: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        wanted: Option<u32>,
        took: Duration,
    },
    /// It is being ended, at its leisure.
    Draining {
        cause: Cause,
    },
    Hung {
        cause: Cause,
        age: Duration,
    },
    Killed {
        cause: Cause,
    },
    Failed {
        last_words: LastWords,
    },
    /// It was being ended, and has.
    Exited {
        exit: Exit,
    },
    /// It should have lived on; without an exit it has said so itself, or could not be started.
    Died {
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        ready: bool,
        last_words: LastWords,
    },
    NotStarted {
        reason: String,
    },
    /// A hook of gunicorn's master has raised something, has not ended, or was left out.
    HookFailed {
        hook: Hook,
        error: String,
    },
}

impl ProcessEvent {
    pub(in crate::supervise) fn level(&self) -> Level {
        use ProcessChange::*;
        match &self.change {
            NotStarted { .. } => Level::Error,
            Died { .. } | Failed { .. } | HookFailed { .. } | Waits { .. } | Hung { .. } | Killed { .. } => {
                Level::Warn
            }
            Started {} | Held { .. } | Ready { .. } | Draining { .. } | Exited { .. } => Level::Info,
        }
    }

    pub(in crate::supervise) fn detail(&self) -> &str {
        match &self.change {
            ProcessChange::Waits { stacks, .. } => stacks.trim_end(),
            _ => "",
        }
    }
}

impl fmt::Display for ProcessEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ProcessChange::*;
        let ProcessEvent { process, role, generation, change } = self;
        let (noun, work) = (role.noun(), role.work());
        if let Held { settle } = change {
            return write!(
                f,
                "{noun} {process} has loaded the app; it takes requests in {settle:?} if it stays alive"
            );
        }
        if let HookFailed { hook, error } = change {
            return write!(f, "the hook {} failed, and nothing else did: {error}", hook.name());
        }
        write!(f, "{noun} {process} of {generation} ")?;
        match change {
            Started {} => f.write_str(&work.begins),
            Waits { at, age, .. } => {
                write!(f, "is not ready after {:.0} s: it waits in {at}", age.as_secs_f64())
            }
            Ready { ready, wanted, took } => {
                write!(f, "{} after {:.2} s", work.has_begun, took.as_secs_f64())?;
                match ready.zip(*wanted) {
                    Some((ready, wanted)) => write!(f, " ({ready} of {wanted})"),
                    None => f.write_str(work.then),
                }
            }
            Draining { cause } => write!(f, "{}: {cause}", work.ends),
            Hung { cause, age } => write!(f, "hangs: {cause} ({:.1} s)", age.as_secs_f64()),
            Killed { cause } => write!(f, "killed ({cause}): it did not end by itself"),
            Failed { last_words } => write!(f, "{}: {}", work.fails, last_words.message),
            Exited { exit } => write!(f, "ended: {exit}"),
            Died { exit, ready, last_words } => {
                f.write_str(if *ready { &work.dies } else { &work.fails })?;
                exit.iter().try_for_each(|exit| write!(f, ": {exit}"))?;
                match last_words.message.as_str() {
                    "" => Ok(()),
                    message => write!(f, ": {message}"),
                }
            }
            NotStarted { reason } => write!(f, "could not be started: {reason}"),
            Held { .. } | HookFailed { .. } => Ok(()),
        }
    }
}

/// The form for programs: the process under the noun of its role, what is special to the role, the fields of the change.
#[derive(Serialize, Deserialize)]
struct Written {
    event: String,
    generation: GenerationId,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// The event of a change that is not called by its role and its own name.
const OTHER_NAMES: [(&str, &str); 4] = [
    ("worker_not_started", "spawn_failed"),
    ("zygote_draining", "zygote_ending"),
    ("hook_host_draining", "hook_host_ending"),
    ("hook_host_hook_failed", "hook_failed"),
];

impl Serialize for ProcessEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ProcessEvent { process, role, generation, change } = self;
        let Ok(Value::Object(change)) = serde_json::to_value(change) else {
            return Err(S::Error::custom("a change of a process is an object"));
        };
        let Some((name, Value::Object(mut fields))) = change.into_iter().next() else {
            return Err(S::Error::custom("its fields are named"));
        };
        fields.insert(role.key(), process.0.into());
        fields.extend(role.special().map(|(name, value)| (name.to_owned(), value)));
        let usual = format!("{}_{name}", role.key());
        let other = OTHER_NAMES.iter().find(|(name, _)| *name == usual).map(|(_, other)| (*other).to_owned());
        Written { event: other.unwrap_or(usual), generation: *generation, fields }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProcessEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProcessEvent, D::Error> {
        let Written { event, generation, fields } = Written::deserialize(deserializer)?;
        let unknown = || D::Error::custom(format!("the event {event} is about no process"));
        let role = Role::read(&fields).ok_or_else(unknown)?;
        let process = fields.get(&role.key()).and_then(Value::as_u64).map(ProcessId).ok_or_else(unknown)?;
        let usual = OTHER_NAMES.iter().find(|(_, other)| *other == event).map_or(&*event, |(name, _)| name);
        let name = usual.strip_prefix(&role.key()).and_then(|it| it.strip_prefix('_'));
        let name = name.ok_or_else(unknown)?.to_owned();
        let change = Value::Object(Map::from_iter([(name, Value::Object(fields))]));
        let change = serde_json::from_value(change).map_err(D::Error::custom)?;
        Ok(ProcessEvent { process, role, generation, change })
    }
}

#[cfg(test)]
#[path = "process_event_tests.rs"]
mod tests;
