//! Who asked for what, and what is told them.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::{Home, Shell};
use crate::config::AppName;
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
            Some(None) if matches!(outcome, Outcome::Misconfigured { .. }) => {}
            Some(None) if outcome.exit_status() != 0 => tracing::error!("{outcome}"),
            _ => tracing::info!("{outcome}"),
        }
    }

    /// Who owns which app, and may change it.
    pub fn owners(&self) -> BTreeMap<AppName, u32> {
        let own = nix::unistd::geteuid().as_raw();
        let of = |home: &Home| home.blueprint.account.as_ref().map_or(own, |account| account.uid);
        self.apps.iter().map(|(name, home)| (name.clone(), of(home))).collect()
    }
}
