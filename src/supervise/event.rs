//! What the shell tells the core: facts, in the past tense.

use std::path::PathBuf;

use crate::config::AppName;
use crate::plan::{Prepared, Refusal};

use super::command::Command;
use super::config_found::ConfigFound;
use super::handover::Stayed;
use super::ids::ProcessId;
use super::migration::{MigrationFact, RunId};
use super::process_fact::{Observation, ProcessFact};
use super::release::LinkFact;
use super::request::RequestId;
use super::scaling::{AppLoad, MachineMemory};

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

impl ProcessFact {
    /// The event that says this of a process.
    pub fn of(self, process: ProcessId) -> Event {
        Event::Process { process, fact: self }
    }
}
