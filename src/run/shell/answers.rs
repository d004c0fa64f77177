//! Who asked for what, and what is told them.

use tokio::sync::oneshot;

use super::Shell;
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
}
