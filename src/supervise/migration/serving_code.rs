//! The code that serves while its databases are migrated.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::Blueprint;
use crate::supervise::ids::GenerationId;
use crate::supervise::proof::ProbeAnswer;

/// The code that serves, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServingCode {
    pub(in crate::supervise) generation: GenerationId,
    pub(in crate::supervise) blueprint: Arc<Blueprint>,
    pub(in crate::supervise) boot_timeout: Duration,
    /// What it answered its probe with before.
    pub(in crate::supervise) before: Option<ProbeAnswer>,
    /// Whether it was started without its databases, and has answered badly since.
    pub(in crate::supervise) unasked: bool,
}
