//! What comes in to the driver, beside signals and what is asked over the control socket.

use std::path::PathBuf;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, mpsc};

use super::Driver;
use crate::config::AppName;
use crate::plan::Refusal;
use crate::run::known::{Found, Looked};
use crate::run::releases;
use crate::run::zygote::Newborn;
use crate::supervise::{Event, GenerationId, LinkFact, RequestId, WorkerId};

/// What reaches the driver from the tasks of the shell.
#[derive(Debug)]
pub enum Inbound {
    /// One app has been looked at for a rollout: its configuration's problem, or what to run.
    Prepared {
        /// The app.
        app: AppName,
        /// What to run, or why not.
        looked: Box<Result<Looked, Refusal>>,
        /// Held until it is in force.
        turn: OwnedRwLockReadGuard<()>,
    },
    /// It is this request's turn to have the configuration read.
    MayReread {
        /// Who asked.
        id: RequestId,
        /// What for.
        purpose: Purpose,
        /// Held until it is in force.
        turn: OwnedRwLockWriteGuard<()>,
    },
    /// The configuration has been read anew and every app been looked at.
    Reread {
        /// Who asked, as a request's number.
        id: RequestId,
        /// What for.
        purpose: Purpose,
        /// What was found of each app, or every problem in words.
        looked: Result<Found, Refusal>,
        /// Held until it is in force.
        turn: OwnedRwLockWriteGuard<()>,
    },
    /// The configuration's files say something else than before.
    FilesChanged,
    /// The binary on disk was asked whether it can take over.
    SuccessorChecked {
        /// Who wants it to.
        id: RequestId,
        /// The binary.
        program: PathBuf,
        /// Or why not.
        checked: Result<(), String>,
    },
    /// systemd was asked why it ends ostlerd.
    EndExplained {
        /// Whether it starts it again at once.
        restart: bool,
    },
    /// An order about an app's link is done; what the app ran before is known anew.
    LinkMoved {
        /// The app.
        app: AppName,
        /// What came of it.
        fact: LinkFact,
        /// The release before the one that runs.
        before: Option<PathBuf>,
    },
    /// A worker that was to be forked has said its first word, or will not.
    Forked {
        /// Which one.
        worker: WorkerId,
        /// What has become of it, or why nothing has.
        born: Result<Newborn, String>,
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
        found: releases::Found,
    },
}

/// Why the configuration is read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To put it in force; apps that are configured as before keep their release.
    Reload,
    /// To put it in force with the releases as they are now.
    Hangup,
    /// To tell what [`Purpose::Reload`] would change.
    DryRun,
}

/// Where the shell's tasks send to, and where the driver receives.
pub fn inbox() -> (Outbox, Inbox) {
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
    pub(super) facts: mpsc::UnboundedReceiver<Event>,
    pub(super) inbox: mpsc::UnboundedReceiver<Inbound>,
}

impl Driver {
    /// An app was looked at for a rollout. Where the files were refused and it can be run now, they are read again: what
    /// refused them may have been the release before.
    pub(super) fn prepared(&mut self, app: AppName, looked: Result<Looked, Refusal>) {
        let prepared = looked.map(|looked| self.shell.learn(looked));
        let prepared = Box::new(self.shell.bind(&app, prepared));
        let is_good = prepared.is_ok();
        self.fact(Event::AppPrepared { app, prepared });
        if is_good && self.shell.config_is_refused() {
            let id = self.shell.expect_answer(None);
            self.reload(id, Purpose::Reload);
        }
    }
}
