//! What comes in to the driver from the tasks of the shell, beside signals and what is asked over the control socket.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::inspected::{InspectedApp, InspectedConfig};
use super::listeners::Done;
use super::releases;
use super::zygote::ForkedWorker;
use crate::config::AppName;
use crate::plan::Refusal;
use crate::supervise::{Event, GenerationId, LinkFact, ProcessId, ReadPurpose};

/// What was done to files of sockets, by app.
pub(in crate::run) type AllDone = BTreeMap<AppName, Vec<Done>>;

/// What reaches the driver from the tasks of the shell.
#[derive(Debug)]
pub enum Inbound {
    /// One app has been looked at for a rollout: its configuration's problem, or what to run.
    Prepared {
        /// The app.
        app: AppName,
        /// What to run, or why not.
        looked: Box<Result<InspectedApp, Refusal>>,
        /// What has been done for it to files of sockets.
        done: AllDone,
    },
    /// Sockets of an app were made, or could not be.
    SocketsMade {
        /// The app.
        app: AppName,
        /// What came of it.
        done: Vec<Done>,
    },
    /// The configuration has been read anew and every app been looked at.
    Reread {
        /// What for.
        purpose: ReadPurpose,
        /// What was found of each app, or every problem in words.
        looked: Result<InspectedConfig, Refusal>,
        /// What has been done for it to files of sockets.
        done: AllDone,
    },
    /// The configuration's files say something else than before.
    FilesChanged,
    /// An order about an app's release link is done.
    ReleaseLinkObserved {
        /// The app.
        app: AppName,
        /// What came of it.
        fact: LinkFact,
    },
    /// A worker that was to be forked has said its first word, or will not.
    Forked {
        /// Which one.
        worker: ProcessId,
        /// What has become of it, or why nothing has.
        forked: Result<ForkedWorker, String>,
    },
    /// What a generation's code uses of the database is kept.
    TablesKept {
        /// The app.
        app: AppName,
        /// Its generation.
        generation: GenerationId,
    },
    /// The releases were looked at.
    ReleasesLooked {
        /// What was found.
        found: releases::ReleaseChanges,
    },
}

/// Where the shell's tasks send to, and where the driver receives.
pub fn pair() -> (Outbox, Inbox) {
    let (facts, facts_in) = mpsc::unbounded_channel();
    let (inbox, inbox_in) = mpsc::unbounded_channel();
    (Outbox { facts, inbox }, Inbox { facts: facts_in, inbox: inbox_in })
}

/// The sending side; the driver outlives whoever sends.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// Facts for the core, as they are.
    pub facts: mpsc::UnboundedSender<Event>,
    /// What the shell has to complete first.
    pub inbox: mpsc::UnboundedSender<Inbound>,
}

/// The receiving side.
#[derive(Debug)]
pub struct Inbox {
    pub(in crate::run) facts: mpsc::UnboundedReceiver<Event>,
    pub(in crate::run) inbox: mpsc::UnboundedReceiver<Inbound>,
}
