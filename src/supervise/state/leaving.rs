//! The next ostlerd is to come.

use crate::supervise::event::Event;
use crate::supervise::handover::HandoverBy;
use crate::supervise::request::RequestId;

/// The next ostlerd is to come.
#[derive(Clone, Debug)]
pub(crate) enum Leaving {
    /// The binary on disk is asked whether it can take over.
    Checking { id: RequestId },
    /// This one is to make room.
    Due { way: HandoverBy, told: bool, since: Vec<Event> },
}
