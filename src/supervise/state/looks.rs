//! What is looked at, what is to be, and what is brought in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::config::AppName;
use crate::supervise::config_found::ReadPurpose;
use crate::supervise::request::{Outcome, RequestId};

/// A reading that is due or under way, and who waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) purpose: ReadPurpose,
    pub(crate) waiters: Vec<RequestId>,
    /// Whether it is the first after an adoption: nobody has asked for it.
    pub(crate) first: bool,
}

/// Something to look at.
#[derive(Clone, Debug)]
pub(crate) enum DueLook {
    App(AppName),
    Config(Reading),
}

/// What is looked at, and what is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    pub(crate) due: VecDeque<DueLook>,
    pub(crate) reading: Option<Reading>,
    /// Apps that are looked at; one that was stopped and started again may be more than once.
    pub(crate) looking: BTreeMap<AppName, u32>,
    /// Whether the files were refused, or some of it, when they were read last.
    pub(crate) refused: bool,
}

/// A new configuration that is brought in: the apps that have not answered yet, and what the others said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reload {
    pub(crate) waiters: Vec<RequestId>,
    pub(crate) left: BTreeSet<AppName>,
    pub(crate) changed: Vec<AppName>,
    pub(crate) needs_restart: Vec<String>,
    pub(crate) worst: Option<Outcome>,
    pub(crate) first: bool,
}

impl Looks {
    /// The first reading after an adoption: what has changed while nobody looked follows, as any change does.
    pub(crate) fn first(id: RequestId) -> Looks {
        let reading = Reading { purpose: ReadPurpose::Reload, waiters: vec![id], first: true };
        Looks { due: VecDeque::from([DueLook::Config(reading)]), ..Looks::default() }
    }

    pub(crate) fn readings(&self) -> impl Iterator<Item = &Reading> {
        let due = self.due.iter().filter_map(|look| match look {
            DueLook::Config(reading) => Some(reading),
            DueLook::App(_) => None,
        });
        self.reading.iter().chain(due)
    }

    /// Whether a reading is under way.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    pub(crate) fn read(&mut self, id: RequestId, purpose: ReadPurpose) {
        let same = self.due.iter_mut().find_map(|look| match look {
            DueLook::Config(reading) if reading.purpose == purpose => Some(reading),
            _ => None,
        });
        match same {
            Some(reading) => reading.waiters.push(id),
            None => {
                let reading = Reading { purpose, waiters: vec![id], first: false };
                self.due.push_back(DueLook::Config(reading));
            }
        }
    }

    pub(crate) fn look_at(&mut self, app: AppName) {
        let is_due = |look: &DueLook| matches!(look, DueLook::App(name) if *name == app);
        if !self.due.iter().any(is_due) {
            self.due.push_back(DueLook::App(app));
        }
    }

    /// What may begin now. A reading waits for every look that has begun before it, and the other way round.
    pub(crate) fn next(&mut self) -> Option<DueLook> {
        let may_begin = |look: &DueLook| match look {
            DueLook::App(_) => true,
            DueLook::Config(_) => self.looking.is_empty(),
        };
        if self.reading.is_some() || !self.due.front().is_some_and(may_begin) {
            return None;
        }
        let look = self.due.pop_front()?;
        match &look {
            DueLook::App(app) => *self.looking.entry(app.clone()).or_default() += 1,
            DueLook::Config(reading) => self.reading = Some(reading.clone()),
        }
        Some(look)
    }

    pub(crate) fn looked_at(&mut self, app: &AppName) {
        if let Some(count) = self.looking.get_mut(app) {
            *count -= 1;
            if *count == 0 {
                self.looking.remove(app);
            }
        }
    }
}

impl Reload {
    pub(crate) fn answered(&mut self, app: &AppName, outcome: Outcome) {
        self.left.remove(app);
        if outcome.exit_status() != 0 && self.worst.is_none() {
            self.worst = Some(outcome);
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        if let Some(worst) = &self.worst {
            return worst.clone();
        }
        let names: Vec<&str> = self.changed.iter().map(AppName::as_str).collect();
        let mut message = match names.is_empty() {
            true => "the configuration is in force; no app had to change".to_owned(),
            false => format!("the configuration is in force; changed: {}", names.join(", ")),
        };
        if !self.needs_restart.is_empty() {
            let keys = self.needs_restart.join(", ");
            message.push_str(&format!("; only after a restart of ostlerd: {keys}"));
        }
        Outcome::Done { message, generation: None }
    }
}
