//! The control socket, answered: bounded in connections, sizes and time, whoever is at the other end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Either;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{Id, JoinError, JoinSet};

use super::access::{ClientIdentity, is_master};
use super::bind::ControlSocket;
use super::channels::Channels;
use super::places::{ConnectionOwner, ConnectionPlaces};
use super::routes;

/// The largest request head.
const LARGEST_HEAD: usize = 16 * 1024;

/// How long a request head may take.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long everything but a stream may take, so that a reader that does not read loses its place.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// What accept does after an error that will not go away at once (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// So many times as many may be told that there is no place as there are places; more are closed without a word.
const TURNED_AWAY: usize = 4;

/// How long somebody who is turned away may take to read the reason.
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);

const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
    {\"error\": \"ostlerd has too many connections on its control socket; try again\", \"exit\": 75}\n";

/// Answers the control socket until the future is dropped, which closes every connection.
/// Needs a tokio runtime with net and time enabled.
///
/// # Errors
///
/// Returns only where the socket cannot be handed to the runtime.
pub async fn serve(bound: ControlSocket, channels: Channels) -> std::io::Result<Infallible> {
    let listener = tokio::net::UnixListener::from_std(bound.listener.try_clone()?)?;
    let (mut served, mut turned_away) = (ClientConnections::new(1), ClientConnections::new(TURNED_AWAY));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = served.tasks.join_next_with_id() => {
                served.forget(ended);
                continue;
            }
            Some(ended) = turned_away.tasks.join_next_with_id() => {
                turned_away.forget(ended);
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection on the control socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(credentials) = stream.peer_cred() else { continue };
        let caller = caller(credentials.uid(), &channels);
        if served.take(caller) {
            let channels = channels.clone();
            served.begin(caller, async move {
                let client = ClientIdentity::of(caller, credentials).await;
                converse(stream, client, channels).await;
            });
        } else if turned_away.take(caller) {
            turned_away.begin(caller, turn_away(stream));
        }
    }
}

fn caller(uid: u32, channels: &Channels) -> ConnectionOwner {
    if is_master(uid) {
        ConnectionOwner::Master
    } else if channels.owners.borrow().values().any(|owner| *owner == uid) {
        ConnectionOwner::Owner(uid)
    } else {
        ConnectionOwner::Other(uid)
    }
}

/// Connections that are open, each with its place.
struct ClientConnections {
    tasks: JoinSet<()>,
    callers: HashMap<Id, ConnectionOwner>,
    places: ConnectionPlaces,
}

impl ClientConnections {
    fn new(times: usize) -> ClientConnections {
        ClientConnections {
            tasks: JoinSet::new(),
            callers: HashMap::new(),
            places: ConnectionPlaces::new(times),
        }
    }

    /// Takes a place; those of connections that have just ended are free.
    fn take(&mut self, caller: ConnectionOwner) -> bool {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
        self.places.take(caller)
    }

    fn begin(&mut self, caller: ConnectionOwner, task: impl Future<Output = ()> + Send + 'static) {
        self.callers.insert(self.tasks.spawn(task).id(), caller);
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        if let Some(caller) = self.callers.remove(&id) {
            self.places.give_back(caller);
        }
    }
}

/// Hears what is asked, says that there is no place, and waits until that was read: words before the question, or a
/// close before its end, would reach the caller as a broken connection.
async fn turn_away(mut stream: UnixStream) {
    let say = async {
        let mut asked = Vec::new();
        let mut part = [0; 4096];
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") && asked.len() < LARGEST_HEAD {
            match stream.read(&mut part).await? {
                0 => break,
                count => asked.extend_from_slice(&part[..count]),
            }
        }
        stream.write_all(BUSY).await?;
        stream.shutdown().await?;
        while stream.read(&mut part).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whoever does not wait for the words does not need them.
    let _ = tokio::time::timeout(TURN_AWAY_TIME, say).await;
}

/// One request, one answer: nothing is kept alive that somebody could forget.
pub(super) async fn converse<S>(stream: S, client: ClientIdentity, channels: Channels)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let streaming = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let (channels, streaming) = (channels.clone(), Arc::clone(&streaming));
        async move {
            let reply = routes::answer(request, client, channels).await;
            streaming.store(matches!(reply.body(), Either::Right(_)), Ordering::Relaxed);
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // Errors are the other end's: it left, or it does not speak HTTP.
    let in_time = tokio::time::timeout(ANSWER_TIME, connection.as_mut()).await;
    if in_time.is_err() && streaming.load(Ordering::Relaxed) {
        let _ = connection.await;
    }
}
