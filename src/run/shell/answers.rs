//! Who asked for what, and what is told them.

use std::collections::BTreeMap;

use nix::unistd::geteuid;
use tokio::sync::oneshot;

use super::Shell;
use crate::config::{AppConfig, AppName};
use crate::plan::Blueprint;
use crate::run::identity::local;
use crate::supervise::{Outcome, RequestId};

impl Shell {
    /// A number for a request, and where its answer goes; nobody waits for what a signal asks.
    pub fn expect_answer(&mut self, answer: Option<oneshot::Sender<Outcome>>) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.answers.insert(id, answer);
        id
    }

    /// Gives a request its answer.
    pub fn answer(&mut self, id: RequestId, outcome: Outcome) {
        match self.answers.remove(&id) {
            // Whoever asked may have gone.
            Some(Some(answer)) => drop(answer.send(outcome)),
            // Said already, when the files were refused.
            Some(None) | None if matches!(outcome, Outcome::Misconfigured { .. }) => {}
            Some(None) | None if outcome.exit_status() != 0 => tracing::error!("{outcome}"),
            _ => tracing::info!("{outcome}"),
        }
    }

    /// Who owns which app, and may change it: also one that is stopped, or that cannot be prepared.
    pub fn owners(&self) -> BTreeMap<AppName, u32> {
        let running = self.apps.iter().map(|(name, runtime)| (name.clone(), owner_of(&runtime.blueprint)));
        self.configured_owners.clone().into_iter().chain(running).collect()
    }

    /// The same by the configuration alone: users that no file of this machine names are known from when their app was
    /// prepared last.
    pub(in crate::run) fn learn_owners(&mut self) {
        let users: BTreeMap<String, u32> = local::users().into_iter().collect();
        let owner = |app: &AppConfig| match &app.user {
            Some(user) if !users.contains_key(user) => self.inspections.latest(app).map(owner_of),
            Some(user) => users.get(user).copied(),
            None => Some(geteuid().as_raw()).filter(|own| *own != 0),
        };
        let apps = self.config.apps.iter();
        self.configured_owners = apps.filter_map(|(name, app)| Some((name.clone(), owner(app)?))).collect();
    }
}

fn owner_of(blueprint: &Blueprint) -> u32 {
    blueprint.account.as_ref().map_or(geteuid().as_raw(), |account| account.uid)
}
