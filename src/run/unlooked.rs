//! Why an app cannot be run as it is configured.

use crate::plan::Refusal;

/// Why an app cannot be run as it is configured.
#[derive(Debug)]
pub(super) enum Unlooked {
    /// It was looked at, and something is wrong.
    Refused(Refusal),
    /// Something of it hangs or is held by another process.
    Held(Refusal),
}

impl Unlooked {
    pub(super) fn map(self, change: impl FnOnce(Refusal) -> Refusal) -> Unlooked {
        match self {
            Unlooked::Refused(refusal) => Unlooked::Refused(change(refusal)),
            Unlooked::Held(refusal) => Unlooked::Held(change(refusal)),
        }
    }
}

impl From<Refusal> for Unlooked {
    fn from(refusal: Refusal) -> Unlooked {
        Unlooked::Refused(refusal)
    }
}

impl From<Unlooked> for Refusal {
    fn from(why: Unlooked) -> Refusal {
        match why {
            Unlooked::Refused(refusal) | Unlooked::Held(refusal) => refusal,
        }
    }
}
