//! Why an app cannot be run as it is configured.

use crate::plan::Refusal;

/// Why an app cannot be run as it is configured.
#[derive(Debug)]
pub(super) enum InspectionError {
    /// It was looked at, and something is wrong.
    Refused(Refusal),
    /// Something of it hangs or is held by another process.
    Held(Refusal),
}

impl InspectionError {
    pub(super) fn map(self, change: impl FnOnce(Refusal) -> Refusal) -> InspectionError {
        match self {
            InspectionError::Refused(refusal) => InspectionError::Refused(change(refusal)),
            InspectionError::Held(refusal) => InspectionError::Held(change(refusal)),
        }
    }
}

impl From<Refusal> for InspectionError {
    fn from(refusal: Refusal) -> InspectionError {
        InspectionError::Refused(refusal)
    }
}

impl From<InspectionError> for Refusal {
    fn from(why: InspectionError) -> Refusal {
        match why {
            InspectionError::Refused(refusal) | InspectionError::Held(refusal) => refusal,
        }
    }
}
