//! A migration that is begun again.

use std::collections::BTreeSet;

use crate::plan::AppPlan;
use crate::supervise::time::Moment;

/// What is tried again, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Again {
    pub(crate) plan: AppPlan,
    pub(crate) at: Moment,
    pub(crate) failures: u32,
    /// Whether it is to be brought in then; it serves if not.
    pub(crate) rolls_out: bool,
    /// The databases for which the command has failed.
    pub(crate) failed_for: BTreeSet<usize>,
}

impl Again {
    /// What is brought in then.
    pub(crate) fn comes(&self) -> Option<&AppPlan> {
        Some(&self.plan).filter(|_| self.rolls_out)
    }
}
