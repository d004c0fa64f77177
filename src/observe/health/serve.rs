//! Health over HTTP: bounded in connections, sizes and time, whoever is at the other end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use http_body_util::Either;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt::SndBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::answer::{Form, Method, Question};
use super::listener::{ACCEPT_PAUSE, Caller, Listener, is_near};
use super::named::names_this_machine;
use super::reply::{Reply, response, stream};
use super::sources::Sources;
use super::timed::{Phase, Timed};
use super::token::Token;

/// The largest request head; more is 431.
const LARGEST_HEAD: usize = 8 * 1024;

/// How often connections that take too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What the kernel keeps for a connection that takes nothing, in bytes: whoever watches the page slowly sees what is now,
/// and not what was long ago.
const SEND_BUFFER: usize = 16 * 1024;

/// Answers until the future is dropped, which closes every connection. With more than `most` connections the one that
/// has been silent for longest is closed. Needs a tokio runtime with net and time enabled.
pub async fn serve(listener: Listener, sources: Sources, most: usize) {
    let mut connections = Connections {
        connections: JoinSet::new(),
        open: HashMap::new(),
        origin: Instant::now(),
        most,
        sources,
    };
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(caller) => connections.take_in(caller),
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection on a health port");
                    connections.close_oldest();
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.connections.join_next_with_id() => connections.forget(ended),
            _ = sweep.tick(), if !connections.open.is_empty() => connections.sweep(),
        }
    }
}

/// A connection that is open.
struct Connection {
    phase: Phase,
    task: AbortHandle,
}

/// All that are open.
struct Connections {
    connections: JoinSet<()>,
    open: HashMap<Id, Connection>,
    origin: Instant,
    most: usize,
    sources: Sources,
}

impl Connections {
    fn take_in(&mut self, caller: Caller) {
        // Where it stays as large as it was, no more is lost than some memory.
        let _ = match &caller {
            Caller::Tcp(stream, _) => setsockopt(stream, SndBuf, &SEND_BUFFER),
            Caller::Unix(stream) => setsockopt(stream, SndBuf, &SEND_BUFFER),
        };
        let phase = Phase::begun(self.origin);
        let (timer, sources) = (phase.clone(), self.sources.clone());
        let task = match caller {
            Caller::Tcp(stream, peer) => {
                // An answer is one small packet, which must not wait for the acknowledgement of another.
                let _ = stream.set_nodelay(true);
                self.connections.spawn(converse(Timed { stream, phase: timer }, is_near(peer), sources))
            }
            Caller::Unix(stream) => {
                self.connections.spawn(converse(Timed { stream, phase: timer }, true, sources))
            }
        };
        self.open.insert(task.id(), Connection { phase, task });
        if self.open.len() > self.most {
            self.close_oldest();
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("answering a health check has failed: {error}");
                }
                error.id()
            }
        };
        self.open.remove(&id);
    }

    fn sweep(&self) {
        for place in self.open.values().filter(|place| place.phase.is_overdue()) {
            place.task.abort();
        }
    }

    fn close_oldest(&mut self) {
        let oldest = self.open.iter().min_by_key(|(_, place)| place.phase.since()).map(|(id, _)| *id);
        if let Some(place) = oldest.and_then(|id| self.open.remove(&id)) {
            place.task.abort();
        }
    }
}

pub(super) async fn converse<S>(stream: Timed<S>, near: bool, sources: Sources)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let phase = stream.phase.clone();
    let service = service_fn(|request| {
        let response = respond(&request, near, &sources, &phase);
        phase.answered();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .half_close(true)
        // Time is kept by `Phase`: hyper's own limit would end idle connections as well.
        .header_read_timeout(None)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // Errors are the other end's: it left, or it does not speak HTTP.
    let _ = connection.await;
}

fn respond<B>(request: &Request<B>, near: bool, sources: &Sources, phase: &Phase) -> Reply {
    let headers = request.headers();
    let method = match *request.method() {
        hyper::Method::GET | hyper::Method::HEAD | hyper::Method::OPTIONS => Method::Ask,
        _ => Method::Other,
    };
    let accepts = |form| headers.get(header::ACCEPT).is_some_and(|accept| names(accept, form));
    let json = accepts(b"application/health+json".as_slice());
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let trusted = is_trusted(headers, near && names_this_machine(request), sources);
    let question = Question { method, path, query, json, trusted };
    let answer = sources.judged(|judge| judge.answer(&question));
    if answer.form == Form::Events && *request.method() == hyper::Method::GET {
        return stream(sources, phase);
    }
    let answer = if accepts(b"application/openmetrics-text".as_slice()) { answer } else { answer.classic() };
    response(answer).map(Either::Left)
}

/// Details are told on this machine, unless it only passes on what somebody else asks, and to who has the token.
fn is_trusted(headers: &HeaderMap, near: bool, sources: &Sources) -> bool {
    let passed_on = || ["x-forwarded-for", "forwarded", "via"].iter().any(|name| headers.contains_key(*name));
    let has =
        |token: &Token| headers.get(header::AUTHORIZATION).is_some_and(|value| token.is_in(value.as_bytes()));
    (near && !passed_on()) || sources.token.as_ref().is_some_and(has)
}

fn names(accept: &HeaderValue, form: &[u8]) -> bool {
    accept.as_bytes().split(|byte| *byte == b',').any(|part| {
        let part = part.split(|byte| *byte == b';').next().unwrap_or_default();
        part.trim_ascii().eq_ignore_ascii_case(form)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::health::{Pulse, Vitals};
    use crate::observe::testing::status;

    #[test]
    fn details_are_not_told_to_who_is_far_nor_through_a_proxy() {
        let (_, status) = tokio::sync::watch::channel(std::sync::Arc::new(status(vec![])));
        let (_, vitals) = tokio::sync::watch::channel(Vitals::default());
        let sources = Sources {
            status,
            vitals,
            pulse: Pulse::new(),
            saturation: Default::default(),
            token: None,
            viewers: Default::default(),
        };
        let asked = |name: &'static str, near| {
            let request = Request::get("/metrics").header(name, "x").body(()).unwrap();
            respond(&request, near, &sources, &Phase::begun(Instant::now())).status().as_u16()
        };
        assert_eq!(asked("accept", true), 200);
        assert_eq!(asked("accept", false), 403);
        assert_eq!(asked("host", true), 403);
        for proxy in ["x-forwarded-for", "forwarded", "via"] {
            assert_eq!(asked(proxy, true), 403, "{proxy}");
        }
        assert_eq!(asked("authorization", false), 403);
    }

    #[test]
    fn accept_names_a_form_among_others() {
        let named = |text| names(&HeaderValue::from_static(text), b"application/health+json");
        assert!(named("application/health+json"));
        assert!(named("text/html, Application/Health+JSON;q=0.9"));
        assert!(!named("*/*"));
        assert!(!named("application/json"));
    }
}
