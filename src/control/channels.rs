//! The channels between the control socket and whoever owns the core: commands go in, answers, status and events come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::config::AppName;
use crate::observe::Status;
use crate::supervise::{AppEvent, Command, Outcome};

/// Commands that may wait to be taken; beyond it a client is asked to try again.
const WAITING: usize = 32;

/// Events kept for a slow listener; one that falls further behind is told how much it missed.
const KEPT_EVENTS: usize = 1024;

/// What the control socket works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Commands, to be taken one by one.
    pub commands: mpsc::Sender<GivenCommand>,
    /// The latest picture.
    pub status: watch::Receiver<Arc<Status>>,
    /// What happens, as it happens.
    pub events: broadcast::Sender<AppEvent>,
    /// The user (uid) of each app, who may change that app.
    pub owners: watch::Receiver<BTreeMap<AppName, u32>>,
    /// Asks for a look at what is only looked at on demand; answered when the picture holds what was found.
    pub looks: mpsc::Sender<oneshot::Sender<()>>,
}

/// The other side of [`Channels`].
#[derive(Debug)]
pub struct ChannelEnds {
    /// Each must be answered once. Its events are to be sent before its answer.
    pub commands: mpsc::Receiver<GivenCommand>,
    /// Set whenever the picture changes.
    pub status: watch::Sender<Arc<Status>>,
    /// Sending fails while nobody listens, which is no error.
    pub events: broadcast::Sender<AppEvent>,
    /// Set whenever the plan changes.
    pub owners: watch::Sender<BTreeMap<AppName, u32>>,
    /// Requests for a look, to be answered after the picture is set.
    pub looks: mpsc::Receiver<oneshot::Sender<()>>,
}

/// A command and where its answer goes. Whoever gave it may be gone by then: a failed send is no error.
#[derive(Debug)]
pub struct GivenCommand {
    /// What is asked for.
    pub command: Command,
    /// Takes the one answer; dropped unanswered, the caller is told that ostlerd ended.
    pub answer: oneshot::Sender<Outcome>,
}

/// Both sides; `first` is shown until the first picture is set.
pub fn channels(first: Status) -> (Channels, ChannelEnds) {
    let (command, commands) = mpsc::channel(WAITING);
    let (set_status, status) = watch::channel(Arc::new(first));
    let (set_owners, owners) = watch::channel(BTreeMap::new());
    let (events, _) = broadcast::channel(KEPT_EVENTS);
    let (look, looks) = mpsc::channel(WAITING);
    let channels = Channels { commands: command, status, events: events.clone(), owners, looks: look };
    (channels, ChannelEnds { commands, status: set_status, events, owners: set_owners, looks })
}
