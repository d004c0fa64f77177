//! When an app that was refused is looked at again.

use crate::supervise::time::Moment;

/// When to look again, and how often in a row that was of no use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AnotherLook {
    pub(crate) at: Option<Moment>,
    pub(crate) refusals: u32,
}
