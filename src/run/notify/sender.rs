//! The thread that sends to systemd: a send waits if systemd does not read, and the loop must not wait.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// How many messages may wait. What finds no room is sent by a later turn of the loop.
const ROOM: usize = 1024;

/// How long the last messages may take when ostlerd ends.
const LAST: Duration = Duration::from_secs(2);

/// Between two tries to send the same, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// While ostlerd starts, reloads or stops, systemd is asked for so much more time with every beat: the limits are
/// ostlerd's own (`boot_timeout`, a migration's budgets, the edge's delay, `graceful_timeout`), and systemd's are there
/// for a loop that stands still.
const EXTENSION_MICROSECONDS: u32 = 60_000_000;

/// One line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotifyLine {
    Ready,
    /// With the monotonic clock at the reload's beginning, in microseconds.
    Reloading(i128),
    Stopping,
    Status(String),
    Watchdog,
    MoreTime,
}

impl NotifyLine {
    fn states(&self) -> Vec<NotifyState<'_>> {
        match self {
            NotifyLine::Ready => vec![NotifyState::Ready],
            NotifyLine::Reloading(since) => vec![NotifyState::Reloading, NotifyState::MonotonicUsec(*since)],
            NotifyLine::Stopping => vec![NotifyState::Stopping],
            NotifyLine::Status(text) => vec![NotifyState::Status(text)],
            NotifyLine::Watchdog => vec![NotifyState::Watchdog],
            NotifyLine::MoreTime => vec![NotifyState::ExtendTimeoutUsec(EXTENSION_MICROSECONDS)],
        }
    }
}

/// What is sent at once.
#[derive(Debug)]
pub(super) enum NotifyMessage {
    /// How ostlerd is.
    Lines(Vec<NotifyLine>),
    /// A descriptor for systemd's store, under this name.
    Store(String, OwnedFd),
    /// Out of the store with what has this name.
    Remove(String),
}

impl NotifyMessage {
    fn send(&self) -> std::io::Result<()> {
        match self {
            NotifyMessage::Lines(lines) => {
                sd_notify::notify(&lines.iter().flat_map(NotifyLine::states).collect::<Vec<_>>())
            }
            NotifyMessage::Store(name, fd) => {
                // Without FDPOLL=0 systemd throws away a socket that refuses connections: to it, that looks broken.
                let states =
                    [NotifyState::FdStore, NotifyState::Custom("FDPOLL=0"), NotifyState::FdName(name)];
                sd_notify::notify_with_fds(&states, &[fd.as_fd()])
            }
            NotifyMessage::Remove(name) => {
                sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])
            }
        }
    }
}

/// The way to that thread.
#[derive(Debug)]
pub(super) struct Sender {
    messages: Option<SyncSender<NotifyMessage>>,
    ended: Receiver<()>,
}

impl Sender {
    /// Starts the thread.
    pub(super) fn start() -> std::io::Result<Sender> {
        let (messages, waiting) = sync_channel(ROOM);
        let (end, ended) = sync_channel(0);
        thread::Builder::new().name("notify".to_owned()).spawn(move || {
            send_all(&waiting);
            drop(end);
        })?;
        Ok(Sender { messages: Some(messages), ended })
    }

    /// Gives a message to the thread; false if there is no room.
    pub(super) fn send(&self, message: NotifyMessage) -> bool {
        self.messages.as_ref().is_some_and(|messages| messages.try_send(message).is_ok())
    }

    /// A way that ends in a test.
    #[cfg(test)]
    pub(super) fn to(messages: SyncSender<NotifyMessage>) -> Sender {
        let (_, ended) = sync_channel(0);
        Sender { messages: Some(messages), ended }
    }
}

/// What is on its way is sent before ostlerd ends, if systemd takes it.
impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.messages.take());
        if self.ended.recv_timeout(LAST) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("systemd has not taken the last messages of ostlerd within {LAST:?}");
        }
    }
}

fn send_all(waiting: &Receiver<NotifyMessage>) {
    for message in waiting {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = message.send() {
            if pause == FIRST_PAUSE {
                tracing::warn!("systemd cannot be told how ostlerd is, which is tried again: {error}");
            }
            thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}
