//! What the shell tells the core: facts, in the past tense.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::AppName;
use crate::plan::{Prepared, Refusal};

use super::command::Command;
use super::leaving::Stayed;
use super::migration::{MigrationFact, RunId};
use super::proof::Proof;
use super::release::LinkFact;
use super::reload::ConfigFound;
use super::request::RequestId;
use super::scaling::{AppLoad, MachineMemory};

/// The name of a worker in the core and for users; never reused within one ostlerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u64);

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "w{}", self.0)
    }
}

/// The number of a generation, counted per app from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct GenerationId(pub u64);

impl std::fmt::Display for GenerationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "g{}", self.0)
    }
}

/// A fact about the world.
#[derive(Clone, Debug)]
pub enum Event {
    /// Nothing new but the time: a deadline is due.
    TimePassed,
    /// Somebody asks for something.
    Requested {
        /// By this number the answer is given.
        id: RequestId,
        /// What is asked for.
        command: Command,
    },
    /// `Prepare` has ended.
    AppPrepared {
        /// The app that was prepared.
        app: AppName,
        /// What to run, or why not.
        prepared: Box<Prepared>,
    },
    /// `SwitchRelease` has ended.
    ReleaseLinkObserved {
        /// The app.
        app: AppName,
        /// What came of it.
        fact: LinkFact,
    },
    /// `ReadConfig` has ended.
    ConfigRead {
        /// What was found, or why all of it is refused.
        found: Box<Result<ConfigFound, Refusal>>,
    },
    /// `CheckSuccessor` has ended.
    SuccessorChecked {
        /// The binary that can take over, or why it cannot.
        checked: Result<PathBuf, String>,
    },
    /// ostlerd was told to end, and systemd was asked why.
    EndExplained {
        /// Whether it is started again at once.
        restart: bool,
    },
    /// After `Leave`: this ostlerd has not made room.
    Stayed {
        /// Why not.
        why: Stayed,
    },
    /// Something has become known about a process.
    Process {
        /// Which one.
        process: ProcessId,
        /// What.
        fact: ProcessFact,
    },
    /// Something has become known about a migration.
    MigrationHeard {
        /// Which run.
        run: RunId,
        /// What.
        fact: Box<MigrationFact>,
    },
    /// After `StopAccepting`: no connection waits for a worker of the app any more.
    QueueEmptied {
        /// The app.
        app: AppName,
    },
    /// A look at the scoreboard and /proc.
    WorkersObserved {
        /// One entry for each worker that could be read.
        seen: Vec<(ProcessId, Observation)>,
    },
    /// A look at how much the apps have to do whose workers follow the load.
    LoadObserved {
        /// Those that could be looked at.
        apps: Vec<AppLoad>,
        /// The machine's memory, where it is known and was asked for.
        memory: Option<MachineMemory>,
    },
}

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
    /// It boots, and was asked where it stands.
    Stands(Stand),
    /// It is gone.
    Exited(Exit),
}

impl ProcessFact {
    /// The event that says this of a process.
    pub fn of(self, process: ProcessId) -> Event {
        Event::Process { process, fact: self }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
