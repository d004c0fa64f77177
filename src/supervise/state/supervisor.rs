//! The core: every app, and what is about all of ostlerd.

use std::collections::BTreeMap;

use super::{App, Deploy, Drain, HeldLinks, Leaving, Looks, Reload, Shutdown};
use crate::config::AppName;
use crate::plan::MachinePolicy;
use crate::supervise::action::Action;
use crate::supervise::ids::ProcessId;
use crate::supervise::random::Random;
use crate::supervise::request::{Outcome, RequestId};
use crate::supervise::time::Moment;

/// The state machine that decides what runs. It only ever learns by [`Supervisor::handle`].
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) apps: BTreeMap<AppName, App>,
    /// Which app a process belongs to.
    pub(crate) app_of: BTreeMap<ProcessId, AppName>,
    pub(crate) random: Random,
    pub(crate) next_process: u64,
    pub(crate) next_run: u64,
    pub(crate) links: HeldLinks,
    pub(crate) now: Moment,
    pub(crate) machine: MachinePolicy,
    pub(crate) drain: Option<Drain>,
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) looks: Looks,
    pub(crate) reloads: BTreeMap<RequestId, Reload>,
    pub(crate) deploy: Deploy,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) own_requests: u64,
    /// What is to be said of the plan that it was made with.
    pub(crate) first: Vec<Action>,
}

/// What one call of `handle` decides.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) actions: Vec<Action>,
    pub(crate) answers: Vec<(RequestId, AppName, Outcome)>,
}
