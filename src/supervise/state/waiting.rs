//! Requests that are answered later, and for what they wait.

use crate::supervise::request::RequestId;

/// Somebody who waits until the app serves at full strength.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    pub(crate) id: RequestId,
    /// What will then have been done.
    pub(crate) done: String,
    /// Whether it is about the number of workers; a later such request overtakes it.
    pub(crate) scale: bool,
}

/// A `Prepare` that has not been answered, and for whom it is. A request that comes later may have been made after the
/// release was looked at, so it is prepared anew: `again`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Preparing {
    pub(crate) waiters: Vec<(RequestId, Purpose)>,
    pub(crate) again: Vec<(RequestId, Purpose)>,
    /// Whether it is made without a request, to bring the app in.
    pub(crate) by_itself: bool,
}

/// What a release is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Rollout,
    /// Its migration alone.
    Migration,
}
