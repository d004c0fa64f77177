//! What one call of `handle` works with.

use crate::config::AppName;

use super::action::Action;
use super::ids::ProcessId;
use super::migration::RunId;
use super::random::Random;
use super::request::{Outcome, RequestId};
use super::state::HeldLinks;
use super::time::Moment;

/// What one call of `handle` works with: the time, and where decisions go.
pub(super) struct Context<'a> {
    pub(super) now: Moment,
    pub(super) random: &'a mut Random,
    pub(super) next_process: &'a mut u64,
    pub(super) next_run: &'a mut u64,
    pub(super) links: &'a mut HeldLinks,
    /// Whether the configuration is being read, and with it what the links lead to.
    pub(super) reads_config: bool,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) answers: &'a mut Vec<(RequestId, AppName, Outcome)>,
}

impl Context<'_> {
    /// A name for a process that no other has, whatever they are for.
    pub(super) fn next_process(&mut self) -> ProcessId {
        *self.next_process += 1;
        ProcessId(*self.next_process)
    }

    /// A number for a migration's run that no other has.
    pub(super) fn next_run(&mut self) -> RunId {
        *self.next_run += 1;
        RunId(*self.next_run)
    }
}
