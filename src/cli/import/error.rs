//! Why nothing could be made of it, and what to give so that something can.

/// Why nothing could be made of it.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ImportError {
    #[error("{place}: {what}; {remedy}")]
    Unreadable { place: String, what: String, remedy: String },
    #[error("{}", needs(.0))]
    Needs(Vec<Need>),
    #[error("what stands in {from} makes no app that could run:\n{problems}")]
    Unusable { from: String, problems: String },
}

/// A value that is in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Need {
    pub(in crate::cli) what: String,
    pub(in crate::cli) option: String,
}

fn needs(needs: &[Need]) -> String {
    let lines = needs.iter().map(|need| format!("  {}: give {}", need.what, need.option));
    format!("what the files do not say:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

impl ImportError {
    pub(super) fn at(
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ImportError {
        ImportError::Unreadable { place: place.into(), what: what.into(), remedy: remedy.into() }
    }
}
