//! The workers of an app that were started from the same code and settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plan::{Blueprint, Migrate, Policy};
use crate::supervise::ids::GenerationId;
use crate::supervise::pool::Backoff;
use crate::supervise::proof::Proof;

/// The workers of an app that were started from the same code and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generation {
    pub(crate) id: GenerationId,
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) policy: Policy,
    pub(crate) migrate: Option<Arc<Migrate>>,
    /// Whether something is to be run once it serves: it came with a migration.
    pub(crate) owes_post_deploy: bool,
    pub(crate) backoff: Backoff,
    /// Of its commands that have ended by themselves.
    pub(crate) command_backoffs: BTreeMap<String, Backoff>,
    /// Whether a worker of it has served: only then is it worth going back to.
    pub(crate) served: bool,
    /// Whether it has been at full strength.
    pub(crate) complete: bool,
    /// What its workers have shown of themselves; `None` until one has.
    pub(crate) proof: Option<Proof>,
}
