//! What the core tells the shell about release links, and what it hears.

use std::path::PathBuf;

use super::record::{ReleaseLink, ReleaseRecord};

/// One thing to do about an app's release link; each is answered by one [`LinkFact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOrder {
    /// Read what is written down, and where the link leads.
    Read,
    /// Look at a release that the link is to lead to, and at the link.
    Look(LookAt),
    /// Write this down.
    Write(Box<ReleaseRecord>),
    /// It could not be written down: remove what was, which is not true any more.
    Remove {
        /// Why not.
        why: String,
    },
    /// If the link leads to the folder `from`, or nowhere, have it lead to `to`.
    Move {
        /// The link.
        link: ReleaseLink,
        /// Where it leads now; `None` if that is nowhere.
        from: Option<PathBuf>,
        /// The folder that the app is to be run in.
        to: PathBuf,
        /// What it says if that leads there.
        text: PathBuf,
    },
}

/// Which release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookAt {
    /// The one that somebody has named so.
    Release(PathBuf),
    /// That of the folder that the app is run in.
    Folder(PathBuf),
}

/// What the shell says of the link. Folders are those that the app is run in, links resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkFact {
    /// What was read.
    Read {
        /// What is written down.
        record: Box<ReleaseRecord>,
        /// The link of the app as it is configured; `None` if its directory leads through none.
        link: Option<ReleaseLink>,
        /// Where the link of the releases that are not proven leads; `None` if that is nowhere, or nothing is written.
        leads_to: Option<PathBuf>,
    },
    /// The release is there.
    Looked {
        /// The link.
        link: ReleaseLink,
        /// Where it leads.
        leads_to: Option<PathBuf>,
        /// What it says.
        text: PathBuf,
        /// The folder of the release.
        to: PathBuf,
    },
    /// There is no link that could be moved.
    NoLink {
        /// Why not, and what to do.
        reason: String,
    },
    /// There is no such release.
    NoRelease {
        /// Why not.
        reason: String,
    },
    /// It is written down, or removed.
    Written,
    /// The link leads there now.
    Moved,
    /// Somebody else has moved the link, or there is none any more.
    Elsewhere,
    /// The system said no; all is as it was.
    Failed {
        /// Of what.
        path: PathBuf,
        /// In its words.
        why: String,
        /// What to do.
        remedy: String,
    },
}
