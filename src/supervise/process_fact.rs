//! What becomes known about a process.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::proof::Proof;
use crate::plan::Hook;

/// What becomes known about a process, in the order of its life.
#[derive(Clone, Debug)]
pub enum ProcessFact {
    /// No process could be made for it, and none will be: why, in words.
    NotStarted(String),
    /// A zygote has made it: there is a process of it.
    Forked,
    /// It has loaded the app and answered its probe: what it has shown of itself.
    Proved(Proof),
    /// It is held, has loaded the app and passed its probe; it takes no client yet.
    Loaded,
    /// It does what it is for: its first heartbeat.
    Ready,
    /// Its own account of why it cannot; its exit follows.
    Failed(LastWords),
    /// It has run a hook of gunicorn's master.
    Ran {
        /// Which one.
        hook: Hook,
        /// What it raised, in one line.
        error: Option<String>,
    },
    /// It boots, and was asked where it stands.
    Stands(Stand),
    /// It is gone.
    Exited(Exit),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With an exit status.
    Code(i32),
    /// By a signal's number.
    Signal(i32),
    /// By the kernel, for want of memory.
    OutOfMemory {
        /// Where that was the app's own `memory_max`: so many bytes.
        limit: Option<u64>,
    },
    /// Not our child: gone, its status unknown.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(9) => write!(f, "killed by signal 9 (KILL)"),
            Exit::Signal(11) => write!(f, "killed by signal 11 (SEGV)"),
            Exit::Signal(6) => write!(f, "killed by signal 6 (ABRT)"),
            Exit::Signal(15) => write!(f, "killed by signal 15 (TERM)"),
            Exit::Signal(number) => write!(f, "killed by signal {number}"),
            Exit::OutOfMemory { limit: Some(limit) } => {
                let limit = limit / (1024 * 1024);
                write!(f, "killed by the kernel: out of memory, the app's memory_max is {limit} MiB")
            }
            Exit::OutOfMemory { limit: None } => {
                write!(f, "killed by the kernel: the machine is out of memory")
            }
            Exit::Unknown => write!(f, "gone, exit status unknown"),
        }
    }
}

/// Why a worker could not serve, as it said itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWords {
    /// One sentence.
    pub message: String,
    /// The traceback, or empty.
    pub traceback: String,
}

/// Where a process stands that is not ready yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The place in the app's own code, as far as there is one: `wsgi.py line 6 (load)`.
    pub at: String,
    /// Its stacks, or empty.
    pub stacks: String,
}

/// What a worker's slot of the scoreboard and /proc said at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Age of the last heartbeat.
    pub beat_age: Duration,
    /// Requests finished.
    pub requests: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// Age of the oldest of them.
    pub oldest_request: Option<Duration>,
    /// Resident memory in bytes; `None` where it was not read this time.
    pub rss: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn a_death_for_want_of_memory_names_the_limit_where_there_is_one() {
        let own = Exit::OutOfMemory { limit: Some(200 << 20) };
        assert_eq!(own.to_string(), "killed by the kernel: out of memory, the app's memory_max is 200 MiB");
        let machine = Exit::OutOfMemory { limit: None };
        assert_eq!(machine.to_string(), "killed by the kernel: the machine is out of memory");
        assert_eq!(serde_json::to_string(&own).unwrap(), r#"{"out_of_memory":{"limit":209715200}}"#);
    }
}
