//! The seam between the control socket and whoever owns the core: wishes go in, answers, status and news come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::config::AppName;
use crate::observe::Status;
use crate::supervise::{News, Outcome, Request};

/// Wishes that may wait to be taken; beyond it a caller is asked to try again.
const WAITING_ASKS: usize = 32;

/// News kept for a slow listener; one that falls further behind is told how much it missed.
const KEPT_NEWS: usize = 1024;

/// What the control socket works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Wishes, to be taken one by one.
    pub asks: mpsc::Sender<Ask>,
    /// The latest picture.
    pub status: watch::Receiver<Arc<Status>>,
    /// What happens, as it happens.
    pub news: broadcast::Sender<News>,
    /// The user (uid) of each app, who may change that app.
    pub owners: watch::Receiver<BTreeMap<AppName, u32>>,
    /// Asks for a look at what is only looked at on demand; answered when the picture holds what was found.
    pub looks: mpsc::Sender<oneshot::Sender<()>>,
}

/// The other side of a [`Desk`].
#[derive(Debug)]
pub struct DeskEnds {
    /// Each must be answered once. News about it is to be sent before its answer.
    pub asks: mpsc::Receiver<Ask>,
    /// Set whenever the picture changes.
    pub status: watch::Sender<Arc<Status>>,
    /// Sending fails while nobody listens, which is no error.
    pub news: broadcast::Sender<News>,
    /// Set whenever the plan changes.
    pub owners: watch::Sender<BTreeMap<AppName, u32>>,
    /// Requests for a look, to be answered after the picture is set.
    pub looks: mpsc::Receiver<oneshot::Sender<()>>,
}

/// A wish and where its answer goes. Whoever asked may be gone by then: a failed send is no error.
#[derive(Debug)]
pub struct Ask {
    /// What is wished for.
    pub what: Wish,
    /// Takes the one answer; dropped unanswered, the caller is told that ostlerd ended.
    pub answer: oneshot::Sender<Outcome>,
}

/// What the control socket can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Something for the core.
    Request(Request),
    /// Read the configuration's files again and put them in force.
    Reload,
    /// Say what that would change, and change nothing.
    DryRun,
    /// Have ostlerd re-execute its binary from disk, with everything running on.
    Reexec,
    /// Say what a migration of the app would apply, and apply nothing.
    MigrationPlan(AppName),
    /// Say what the history of the app's migrations holds.
    MigrationHistory(AppName),
    /// Say what this machine serves, for who configures the edge.
    Served,
}

/// Both sides of a desk; `first` is shown until the first picture is set.
pub fn desk(first: Status) -> (Desk, DeskEnds) {
    let (ask, asks) = mpsc::channel(WAITING_ASKS);
    let (set_status, status) = watch::channel(Arc::new(first));
    let (set_owners, owners) = watch::channel(BTreeMap::new());
    let (news, _) = broadcast::channel(KEPT_NEWS);
    let (look, looks) = mpsc::channel(WAITING_ASKS);
    let desk = Desk { asks: ask, status, news: news.clone(), owners, looks: look };
    (desk, DeskEnds { asks, status: set_status, news, owners: set_owners, looks })
}
