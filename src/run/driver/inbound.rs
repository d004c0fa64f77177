//! What comes in to the driver, beside signals and what is asked over the control socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::Driver;
use crate::config::AppName;
use crate::plan::Refusal;
use crate::run::known::{Found, Looked};
use crate::run::listeners::Done;
use crate::run::releases;
use crate::run::shell::sockets::AllDone;
use crate::run::zygote::Newborn;
use crate::supervise::{Event, GenerationId, LinkFact, ReadPurpose, WorkerId};

/// What reaches the driver from the tasks of the shell.
#[derive(Debug)]
pub enum Inbound {
    /// One app has been looked at for a rollout: its configuration's problem, or what to run.
    Prepared {
        /// The app.
        app: AppName,
        /// What to run, or why not.
        looked: Box<Result<Looked, Refusal>>,
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
        looked: Result<Found, Refusal>,
        /// What has been done for it to files of sockets.
        done: AllDone,
    },
    /// The configuration's files say something else than before.
    FilesChanged,
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
    /// What cannot be put in force before the files of sockets are seen to, apart from the loop: they are, and it comes back.
    pub(super) fn once_bound(&mut self, inbound: Inbound) -> Option<Inbound> {
        let (found, done): (Vec<&Looked>, _) = match &inbound {
            Inbound::Prepared { looked, done, .. } => (looked.iter().collect(), done),
            Inbound::Reread { purpose: ReadPurpose::DryRun, .. } => return Some(inbound),
            Inbound::Reread { looked: Ok(found), done, .. } => (found.apps.values().collect(), done),
            _ => return Some(inbound),
        };
        let orders = found.into_iter().map(|looked| {
            let blueprint = &looked.plan.blueprint;
            (blueprint.app.clone(), self.shell.socket_orders(blueprint, done))
        });
        let orders: BTreeMap<AppName, _> = orders.filter(|(_, orders)| !orders.is_empty()).collect();
        if orders.is_empty() {
            return Some(inbound);
        }
        match inbound {
            Inbound::Prepared { app, looked, done } => {
                self.shell.carry_out(orders, done, |done| Inbound::Prepared { app, looked, done });
            }
            Inbound::Reread { purpose, looked, done } => {
                let then = move |done| Inbound::Reread { purpose, looked, done };
                self.shell.carry_out(orders, done, then);
            }
            _ => {}
        }
        None
    }

    /// The configuration was read: what it needs is had ready, and the core told.
    pub(super) fn reread(&mut self, purpose: ReadPurpose, looked: Result<Found, Refusal>, done: AllDone) {
        let found = match purpose {
            ReadPurpose::DryRun => looked.map(|found| self.shell.found_dry(found)),
            _ => looked.and_then(|found| self.shell.found(without_unbound(found, &done), done)),
        };
        self.fact(Event::ConfigRead { found: Box::new(found) });
    }

    /// An app was looked at for a rollout.
    pub(super) fn prepared(&mut self, app: AppName, looked: Result<Looked, Refusal>, mut done: AllDone) {
        let prepared = looked.map(|looked| self.shell.learn(looked));
        let prepared = Box::new(self.shell.bind(&app, prepared, done.remove(&app).unwrap_or_default()));
        self.fact(Event::AppPrepared { app, prepared });
    }
}

/// An app whose Unix sockets cannot be made through its user's doing is held as it is: it costs no other app its change.
fn without_unbound(mut found: Found, done: &AllDone) -> Found {
    for (name, done) in done {
        let error = done.iter().find(|it| it.is_of_the_app()).and_then(Done::error);
        if let Some(error) = error
            && found.apps.remove(name).is_some()
        {
            found.held.insert(name.clone(), Refusal::new(format!("{name}: {error}")));
        }
    }
    found
}
