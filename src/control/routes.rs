//! From a request to an answer: who may, what for, and is it sensible.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use crate::config::AppName;
use crate::supervise::{Command, CommandRow, Permission};

use super::access::ClientIdentity;
use super::channels::{Channels, GivenCommand};
use super::commands::{self, Route};
use super::protocol::{RequestRefusal, exit, line, no_such_app};
use super::stream::{self, LineBody};

/// The largest body that is read.
const LARGEST_BODY: usize = 64 * 1024;

/// How long a look at the releases may take.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

pub(super) type HttpReply = Response<Either<Full<Bytes>, LineBody>>;

/// A request that is answered with an error.
struct Refused(StatusCode, RequestRefusal);

fn refuse<T>(status: StatusCode, exit: u8, error: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(status, RequestRefusal { error: error.into(), exit }))
}

/// Answers one request; whatever it is, there is an answer.
pub(super) async fn answer(
    request: Request<Incoming>,
    client: ClientIdentity,
    channels: Channels,
) -> HttpReply {
    match route(request, client, &channels).await {
        Ok(reply) => reply,
        Err(Refused(status, refusal)) => {
            let mut reply = whole(&refusal);
            *reply.status_mut() = status;
            if status == StatusCode::METHOD_NOT_ALLOWED {
                reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
            }
            reply
        }
    }
}

async fn route(
    request: Request<Incoming>,
    client: ClientIdentity,
    channels: &Channels,
) -> Result<HttpReply, Refused> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/v1/status") => {
            admit(client, Permission::Look, "look", None, channels)?;
            if request.uri().query() != Some("glance") {
                have_looked(channels).await;
            }
            let status = channels.status.borrow().clone();
            Ok(whole(&*status))
        }
        (&Method::GET, "/v1/events") => {
            admit(client, Permission::Look, "look", None, channels)?;
            Ok(streamed(stream::events(channels.events.subscribe())))
        }
        (_, "/v1/status" | "/v1/events") => wrong_method(request.method(), &path),
        (method, _) => match commands::find(method.as_str(), &path) {
            Route::Command(row, name) => command(row, name, request, client, channels).await,
            Route::OtherMethod => wrong_method(method, &path),
            Route::Nothing => unknown(&path),
        },
    }
}

/// Has a command done, if this client may give it. Who may not even look is not told which apps there are.
async fn command(
    row: &CommandRow,
    name: Option<&str>,
    request: Request<Incoming>,
    client: ClientIdentity,
    channels: &Channels,
) -> Result<HttpReply, Refused> {
    let app = match name {
        Some(name) => {
            admit(client, Permission::Look, "look", None, channels)?;
            Some(known(name, channels)?)
        }
        None => None,
    };
    admit(client, row.permission, &row.name.replace('_', " "), app.as_ref(), channels)?;
    let body = if row.body.is_empty() { Bytes::new() } else { body(request).await? };
    match commands::read(row, app.as_ref(), &body) {
        Ok(command) => give(command, channels),
        Err(why) => refuse(StatusCode::BAD_REQUEST, exit::USAGE, why),
    }
}

fn admit(
    client: ClientIdentity,
    permission: Permission,
    what: &str,
    app: Option<&AppName>,
    channels: &Channels,
) -> Result<(), Refused> {
    let allowed = client.may(permission, what, app, &channels.owners.borrow());
    allowed.or_else(|why| refuse(StatusCode::FORBIDDEN, exit::NOT_ALLOWED, why))
}

fn wrong_method<T>(method: &Method, path: &str) -> Result<T, Refused> {
    let why = format!(
        "{method} is not for {path}: status, events, served and migrations are read with GET, the others POSTed"
    );
    refuse(StatusCode::METHOD_NOT_ALLOWED, exit::USAGE, why)
}

fn unknown<T>(path: &str) -> Result<T, Refused> {
    refuse(
        StatusCode::NOT_FOUND,
        exit::USAGE,
        format!(
            "this ostlerd ({}) knows no {path:.100}: is the `ostler` command of the same version?",
            env!("CARGO_PKG_VERSION")
        ),
    )
}

/// Has the releases looked at; without, the picture is as good as it is.
async fn have_looked(channels: &Channels) {
    let (done, looked) = oneshot::channel();
    if channels.looks.try_send(done).is_ok() {
        let _ = tokio::time::timeout(LOOK_TIME, looked).await;
    }
}

/// The app of that name.
fn known(name: &str, channels: &Channels) -> Result<AppName, Refused> {
    let status = channels.status.borrow().clone();
    match status.apps.iter().map(|app| &app.name).find(|app| app.as_str() == name) {
        Some(app) => Ok(app.clone()),
        None => {
            let shown: String = name.chars().take(100).collect();
            let why = no_such_app(&shown, status.apps.iter().map(|app| &app.name));
            refuse(StatusCode::NOT_FOUND, exit::USAGE, why)
        }
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Refused> {
    let reading = Limited::new(request.into_body(), LARGEST_BODY).collect();
    match tokio::time::timeout(BODY_TIME, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => {
            let why = format!("the body is cut off, or larger than {LARGEST_BODY} bytes");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, exit::USAGE, why)
        }
        Err(_) => {
            let why = format!("the body did not arrive within {BODY_TIME:?}");
            refuse(StatusCode::REQUEST_TIMEOUT, exit::USAGE, why)
        }
    }
}

fn give(command: Command, channels: &Channels) -> Result<HttpReply, Refused> {
    // Subscribed before the command is given, so that nothing it leads to is missed.
    let events = channels.events.subscribe();
    let app = command.app().cloned();
    let (answer, outcome) = oneshot::channel();
    match channels.commands.try_send(GivenCommand { command, answer }) {
        Ok(()) => Ok(streamed(stream::change(app, events, outcome))),
        Err(TrySendError::Full(_)) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            exit::TRY_AGAIN,
            "ostlerd has too many requests waiting; nothing was changed; try again",
        ),
        Err(TrySendError::Closed(_)) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            exit::TRY_AGAIN,
            "ostlerd is on its way out and takes no requests; nothing was changed; try again",
        ),
    }
}

fn whole(value: &impl Serialize) -> HttpReply {
    with_type(Either::Left(Full::new(line(value))), "application/json")
}

fn streamed(lines: LineBody) -> HttpReply {
    with_type(Either::Right(lines), "application/x-ndjson")
}

fn with_type(body: Either<Full<Bytes>, LineBody>, kind: &'static str) -> HttpReply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}
