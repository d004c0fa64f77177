//! Who watches the page: each picture is sent to all of them, and a slow one misses pictures instead of piling them up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// How many may watch at once, on all listeners together.
const MOST: usize = 8;

/// How soon a browser tries again, in milliseconds, and what no browser waits for.
const GREETING: &[u8] = b"retry: 2000\n\n";

/// Who watches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Viewers(Arc<Room>);

#[derive(Debug)]
struct Room {
    frames: watch::Sender<Bytes>,
    places: Arc<Semaphore>,
    came: Notify,
}

impl Viewers {
    /// Nobody yet.
    pub fn new() -> Viewers {
        let places = Arc::new(Semaphore::new(MOST));
        Viewers(Arc::new(Room { frames: watch::Sender::default(), places, came: Notify::new() }))
    }

    /// One more, where there is a place. `shown` is called whenever the other end takes a picture.
    pub(in crate::observe) fn enter<F: Fn()>(&self, shown: F) -> Option<Frames<F>> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().ok()?;
        let (given, body) = mpsc::channel(1);
        tokio::spawn(give(self.0.frames.subscribe(), given, place));
        self.0.came.notify_one();
        Some(Frames { body, shown })
    }

    /// Waits until somebody comes.
    pub(super) async fn came(&self) {
        self.0.came.notified().await;
    }

    /// Whether nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.0.frames.receiver_count() == 0
    }

    /// Sends a picture to all who watch.
    pub(super) fn show(&self, picture: &str) {
        self.0.frames.send_replace(event(picture));
    }
}

impl Default for Viewers {
    fn default() -> Self {
        Viewers::new()
    }
}

/// Hands on the newest picture as soon as the one before has been taken.
async fn give(mut frames: watch::Receiver<Bytes>, given: mpsc::Sender<Bytes>, place: OwnedSemaphorePermit) {
    let mut next = Bytes::from_static(GREETING);
    loop {
        if given.send(next).await.is_err() {
            break;
        }
        tokio::select! {
            () = given.closed() => break,
            changed = frames.changed() => if changed.is_err() { break },
        }
        next = frames.borrow_and_update().clone();
    }
    drop(place);
}

/// A body of pictures, as server-sent events.
#[derive(Debug)]
pub(in crate::observe) struct Frames<F> {
    body: mpsc::Receiver<Bytes>,
    shown: F,
}

impl<F: Fn() + Unpin> Body for Frames<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = self.body.poll_recv(context);
        if let Poll::Ready(Some(_)) = &polled {
            (self.shown)();
        }
        polled.map(|frame| frame.map(|frame| Ok(Frame::data(frame))))
    }
}

/// `text` as one event.
fn event(text: &str) -> Bytes {
    let mut event = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_whatever_is_in_it() {
        assert_eq!(event("a\n\nb\r\ndata: c\n"), "data: a\ndata: \ndata: b\ndata: data: c\n\n");
    }

    #[tokio::test]
    async fn who_comes_when_it_is_full_is_turned_away_and_who_leaves_makes_room() {
        let viewers = Viewers::new();
        let mut watching: Vec<_> = (0..MOST).map(|_| viewers.enter(|| ()).expect("there is room")).collect();
        assert!(viewers.enter(|| ()).is_none());
        watching.pop();
        while viewers.0.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(viewers.enter(|| ()).is_some());
    }

    #[tokio::test]
    async fn who_is_slow_gets_the_newest_picture_and_none_of_the_others() {
        let viewers = Viewers::new();
        let mut slow = viewers.enter(|| ()).expect("there is room");
        assert_eq!(slow.body.recv().await.as_deref(), Some(GREETING));
        for number in 0..100 {
            viewers.0.frames.send_replace(Bytes::from(format!("{number}")));
            tokio::task::yield_now().await;
        }
        let mut seen = Vec::new();
        while seen.last().map(Bytes::as_ref) != Some(b"99".as_slice()) {
            seen.push(slow.body.recv().await.expect("it goes on"));
        }
        assert!(seen.len() <= 3, "{seen:?}");
    }
}
