//! What comes in to the driver, beside signals and what is asked over the control socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, mpsc};

use super::Driver;
use crate::config::AppName;
use crate::plan::{self, Plan, Prepared, Refusal};
use crate::run::known::{Found, Looked};
use crate::run::listeners::Done;
use crate::run::releases;
use crate::run::shell::sockets::AllDone;
use crate::run::zygote::Newborn;
use crate::supervise::{Command, Event, GenerationId, LinkFact, Outcome, RequestId, WorkerId};

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
        /// What has been done for it to files of sockets.
        done: AllDone,
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
    /// What cannot be put in force before the files of sockets are seen to, apart from the loop: they are, and it comes back.
    pub(super) fn once_bound(&mut self, inbound: Inbound) -> Option<Inbound> {
        let (found, done): (Vec<&Looked>, _) = match &inbound {
            Inbound::Prepared { looked, done, .. } => (looked.iter().collect(), done),
            Inbound::Reread { purpose: Purpose::DryRun, .. } => return Some(inbound),
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
            Inbound::Prepared { app, looked, turn, done } => {
                self.shell.carry_out(orders, done, |done| Inbound::Prepared { app, looked, turn, done });
            }
            Inbound::Reread { id, purpose, looked, turn, done } => {
                let then = move |done| Inbound::Reread { id, purpose, looked, turn, done };
                self.shell.carry_out(orders, done, then);
            }
            _ => {}
        }
        None
    }

    /// The configuration was read, to tell what it would change.
    pub(super) fn reread_dry(&mut self, id: RequestId, looked: Result<Found, Refusal>) {
        let outcome = match looked {
            Ok(Found { held, .. }) if !held.is_empty() => in_part(&held),
            Ok(Found { machine, health, apps, .. }) => {
                let apps = apps.into_iter().map(|(name, looked)| (name, Ok(looked.plan)));
                let needs_restart = plan::needs_restart(self.shell.health(), &health);
                let plan = Plan { apps: apps.collect(), machine, needs_restart };
                let changes = self.supervisor.changes(&plan);
                Outcome::Planned { changes, needs_restart: plan.needs_restart }
            }
            Err(Refusal { reason, detail, .. }) => Outcome::Misconfigured { reason, detail },
        };
        self.shell.answer(id, outcome);
    }

    /// The configuration was read, to be put in force; apps that are held go on as they are.
    pub(super) fn reread(&mut self, id: RequestId, looked: Result<Found, Refusal>, done: AllDone) {
        let running = self.supervisor.plan().apps;
        let looked = looked.map(|found| without_unbound(found, &done));
        let plan = looked.and_then(|Found { machine, health, apps, held, config }| {
            let needs_restart = plan::needs_restart(self.shell.health(), &health);
            let apps = apps.into_iter().map(|(name, looked)| (name, Ok(self.shell.learn(looked))));
            let mut apps: BTreeMap<AppName, Prepared> = apps.collect();
            apps.extend(held.iter().map(|(name, refusal)| {
                let runs = running.get(name).and_then(|it| it.as_ref().ok());
                (name.clone(), runs.cloned().ok_or_else(|| refusal.clone()))
            }));
            let plan = Plan { apps, machine, needs_restart };
            Ok((self.shell.bind_all(plan, done)?, config, held))
        });
        match plan {
            Ok((plan, config, held)) => {
                self.shell.config_accepted(&plan, config);
                let told = if held.is_empty() { id } else { self.put_in_force_in_part(id, &held) };
                self.fact(Event::PlanMade { id: told, plan });
            }
            Err(refusal) => {
                self.shell.config_refused(&refusal);
                let Refusal { reason, detail, .. } = refusal;
                self.shell.answer(id, Outcome::Misconfigured { reason, detail });
            }
        }
        if self.first_reload.as_ref().is_some_and(|(first, _)| *first == Some(id)) {
            self.unproven = self.first_reload.take().map(|(_, apps)| apps).unwrap_or_default();
            for app in self.unproven.clone() {
                let id = self.shell.expect_answer(None);
                self.fact(Event::Requested { id, command: Command::restart(app) });
            }
        }
    }

    /// Whoever asked is told of what is held; nobody waits for the rest by this number.
    fn put_in_force_in_part(&mut self, id: RequestId, held: &BTreeMap<AppName, Refusal>) -> RequestId {
        let outcome = in_part(held);
        if let Outcome::Misconfigured { reason, .. } = &outcome {
            self.shell.config_in_part(reason);
        }
        self.shell.answer(id, outcome);
        let rest = self.shell.expect_answer(None);
        self.reloads.push(rest);
        rest
    }

    /// An app was looked at for a rollout. Where the files were refused and it can be run now, they are read again: what
    /// refused them may have been the release before.
    pub(super) fn prepared(&mut self, app: AppName, looked: Result<Looked, Refusal>, mut done: AllDone) {
        let prepared = looked.map(|looked| self.shell.learn(looked));
        let prepared = Box::new(self.shell.bind(&app, prepared, done.remove(&app).unwrap_or_default()));
        let is_good = prepared.is_ok();
        self.fact(Event::AppPrepared { app, prepared });
        if is_good && self.shell.config_is_refused() {
            let id = self.shell.expect_answer(None);
            self.reload(id, Purpose::Reload);
        }
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

/// What is wrong with the apps that are held; of the others nothing is.
fn in_part(held: &BTreeMap<AppName, Refusal>) -> Outcome {
    let reasons: Vec<&str> = held.values().map(|it| it.reason.as_str()).collect();
    let details: Vec<&str> = held.values().map(|it| it.detail.as_str()).filter(|it| !it.is_empty()).collect();
    let whose = if held.len() == 1 { "this app goes" } else { "these apps go" };
    let reason =
        format!("{} ({whose} on as before; everything else is as the files say)", reasons.join("; "));
    Outcome::Misconfigured { reason, detail: details.join("\n") }
}
