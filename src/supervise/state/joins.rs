//! Requests that have joined what is under way.

use crate::supervise::time::Moment;

/// Those of one app.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Joins {
    /// Since the last line; `None` where it is long ago.
    pub(crate) since: Option<Moment>,
    /// So many came since then.
    pub(crate) more: u32,
}
