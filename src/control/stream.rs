//! Bodies that go on for as long as something happens: one JSON object a line.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::sync::{mpsc, oneshot};

use crate::config::AppName;
use crate::supervise::{AppEvent, Outcome};

use super::protocol::{Lagged, RequestRefusal, exit, line};

/// Lines that may wait for a slow reader here; the channel keeps more, and counts what it drops.
const WAITING_LINES: usize = 16;

/// A body of lines, ended by whoever feeds it.
#[derive(Debug)]
pub(super) struct LineBody(mpsc::Receiver<Bytes>);

impl Body for LineBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// All events, for as long as somebody reads.
pub(super) fn events(mut events: broadcast::Receiver<AppEvent>) -> LineBody {
    let (lines, body) = mpsc::channel(WAITING_LINES);
    tokio::spawn(async move {
        loop {
            let heard = tokio::select! {
                () = lines.closed() => return,
                heard = events.recv() => heard,
            };
            let next = match heard {
                Ok(event) => line(&event),
                Err(RecvError::Lagged(lagged)) => line(&Lagged { lagged }),
                Err(RecvError::Closed) => return,
            };
            if lines.send(next).await.is_err() {
                return;
            }
        }
    });
    LineBody(body)
}

/// The events of `app` (about every app, for `None`) up to the answer, and the answer as the last line.
///
/// `events` must have been subscribed to before the command was sent, or its first lines are missed.
pub(super) fn change(
    app: Option<AppName>,
    events: broadcast::Receiver<AppEvent>,
    answer: oneshot::Receiver<Outcome>,
) -> LineBody {
    let (lines, body) = mpsc::channel(WAITING_LINES);
    tokio::spawn(follow(app, events, answer, lines));
    LineBody(body)
}

async fn follow(
    app: Option<AppName>,
    mut events: broadcast::Receiver<AppEvent>,
    mut answer: oneshot::Receiver<Outcome>,
    lines: mpsc::Sender<Bytes>,
) {
    let concerns = |event: &AppEvent| app.as_ref().is_none_or(|app| *app == event.app);
    let outcome = loop {
        let next = tokio::select! {
            () = lines.closed() => return,
            heard = events.recv() => match heard {
                Ok(event) if concerns(&event) => line(&event),
                Ok(_) => continue,
                Err(RecvError::Lagged(lagged)) => line(&Lagged { lagged }),
                Err(RecvError::Closed) => break answer.await,
            },
            outcome = &mut answer => break outcome,
        };
        if lines.send(next).await.is_err() {
            return;
        }
    };
    // What happened before the answer is said before the answer.
    loop {
        let next = match events.try_recv() {
            Ok(event) if concerns(&event) => line(&event),
            Ok(_) => continue,
            Err(TryRecvError::Lagged(lagged)) => line(&Lagged { lagged }),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        };
        if lines.send(next).await.is_err() {
            return;
        }
    }
    let last = match outcome {
        Ok(outcome) => line(&outcome),
        Err(_) => line(&RequestRefusal {
            error: "ostlerd ends and will not say how this went; look with `ostler status`".to_owned(),
            exit: exit::UNREACHABLE,
        }),
    };
    // The reader may be gone; then nobody is left to tell.
    let _ = lines.send(last).await;
}
