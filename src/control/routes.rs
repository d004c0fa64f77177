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
use crate::supervise::{self, Target};

use super::access::Visitor;
use super::desk::{Ask, Desk, Wish};
use super::protocol::{
    ACCEPT_BREAKAGE, Drain, LONGEST_DRAIN, MOST_WORKERS, Refusal, Restart, Scale, ScaleTo, exit, line,
    no_such_app,
};
use super::stream::{self, Lines};

/// The largest body that is read.
const LARGEST_BODY: usize = 64 * 1024;

/// The longest path that the kernel takes.
const LONGEST_PATH: usize = 4095;

/// How long a look at the releases may take.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

pub(super) type Reply = Response<Either<Full<Bytes>, Lines>>;

/// A request that is answered with an error.
struct Refused(StatusCode, Refusal);

fn refuse<T>(status: StatusCode, exit: u8, error: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(status, Refusal { error: error.into(), exit }))
}

/// Answers one request; whatever it is, there is an answer.
pub(super) async fn answer(request: Request<Incoming>, visitor: Visitor, desk: Desk) -> Reply {
    match route(request, visitor, &desk).await {
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

async fn route(request: Request<Incoming>, visitor: Visitor, desk: &Desk) -> Result<Reply, Refused> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["v1", "status"]) => {
            look(visitor, desk)?;
            if request.uri().query() != Some("glance") {
                have_looked(desk).await;
            }
            let status = desk.status.borrow().clone();
            Ok(whole(&*status))
        }
        (&Method::GET, ["v1", "events"]) => {
            look(visitor, desk)?;
            Ok(streamed(stream::events(desk.news.subscribe())))
        }
        (&Method::POST, ["v1", "reload"]) => {
            change_all(visitor, "reload")?;
            ask(desk, None, Wish::Reload)
        }
        (&Method::POST, ["v1", "reload", "dry-run"]) => {
            change_all(visitor, "reload")?;
            ask(desk, None, Wish::DryRun)
        }
        (&Method::POST, ["v1", "reexec"]) => {
            change_all(visitor, "reexec")?;
            ask(desk, None, Wish::Reexec)
        }
        (&Method::POST, ["v1", "drain"]) => {
            change_all(visitor, "drain")?;
            ask(desk, None, Wish::Request(supervise::Request::Drain(length(request).await?)))
        }
        (&Method::POST, ["v1", "undrain"]) => {
            change_all(visitor, "undrain")?;
            ask(desk, None, Wish::Request(supervise::Request::Undrain))
        }
        (
            &Method::POST,
            ["v1", "apps", name, verb @ ("restart" | "rollback" | "stop" | "start" | "scale")],
        ) => {
            let app = changeable(name, visitor, desk)?;
            let accepts = accepts_breakage(&request);
            let wish = match *verb {
                "restart" => restart(request, &app).await?,
                "rollback" => supervise::Request::Switch(app.clone(), Target::Before),
                "stop" => supervise::Request::Stop(app.clone()),
                "start" => supervise::Request::Start(app.clone()),
                _ => scale(request, &app).await?,
            };
            ask(desk, Some(app), Wish::Request(accepting(wish, accepts)))
        }
        (&Method::POST, ["v1", "apps", name, "migrate", rest @ ..]) if rest.len() < 2 => {
            let app = changeable(name, visitor, desk)?;
            let wish = match rest {
                [] => {
                    let wish = supervise::Request::Migrate(app.clone());
                    Wish::Request(accepting(wish, accepts_breakage(&request)))
                }
                ["abort"] => Wish::Request(supervise::Request::AbortMigration(app.clone())),
                ["resolve"] => Wish::Request(supervise::Request::ResolveMigration(app.clone())),
                // It changes nothing, but it runs the app's code as the app's user.
                ["plan"] => Wish::MigrationPlan(app.clone()),
                _ => return unknown(&path),
            };
            ask(desk, Some(app), wish)
        }
        (&Method::GET, ["v1", "apps", name, "migrations"]) => {
            look(visitor, desk)?;
            let app = known(name, desk)?;
            ask(desk, Some(app.clone()), Wish::MigrationHistory(app))
        }
        (&Method::GET, ["v1", "served"]) => {
            look(visitor, desk)?;
            ask(desk, None, Wish::Served)
        }
        (_, ["v1", "status" | "events" | "served" | "reload" | "reexec" | "drain" | "undrain"])
        | (_, ["v1", "reload", "dry-run"])
        | (
            _,
            ["v1", "apps", _, "restart" | "rollback" | "stop" | "start" | "scale" | "migrate" | "migrations"],
        )
        | (_, ["v1", "apps", _, "migrate", "abort" | "resolve" | "plan"]) => refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            exit::USAGE,
            format!(
                "{} is not for {path}: status, events, served and migrations are read with GET, the others POSTed",
                request.method()
            ),
        ),
        _ => unknown(&path),
    }
}

fn accepts_breakage(request: &Request<Incoming>) -> bool {
    request.uri().query() == Some(ACCEPT_BREAKAGE)
}

fn accepting(wish: supervise::Request, breakage: bool) -> supervise::Request {
    if breakage { supervise::Request::AcceptBreakage(Box::new(wish)) } else { wish }
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

fn look(visitor: Visitor, desk: &Desk) -> Result<(), Refused> {
    visitor
        .may_look(&desk.owners.borrow())
        .or_else(|why| refuse(StatusCode::FORBIDDEN, exit::NOT_ALLOWED, why))
}

fn change_all(visitor: Visitor, what: &str) -> Result<(), Refused> {
    visitor.may_change_all(what).or_else(|why| refuse(StatusCode::FORBIDDEN, exit::NOT_ALLOWED, why))
}

/// Has the releases looked at; without, the picture is as good as it is.
async fn have_looked(desk: &Desk) {
    let (done, looked) = oneshot::channel();
    if desk.looks.try_send(done).is_ok() {
        let _ = tokio::time::timeout(LOOK_TIME, looked).await;
    }
}

/// The app of that name, if the visitor may change it. Who may not even look is not told which apps there are.
fn changeable(name: &str, visitor: Visitor, desk: &Desk) -> Result<AppName, Refused> {
    look(visitor, desk)?;
    let app = known(name, desk)?;
    visitor
        .may_change(&app, &desk.owners.borrow())
        .or_else(|why| refuse(StatusCode::FORBIDDEN, exit::NOT_ALLOWED, why))?;
    Ok(app)
}

/// The app of that name.
fn known(name: &str, desk: &Desk) -> Result<AppName, Refused> {
    let status = desk.status.borrow().clone();
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

/// How long a drain lasts after the edge has noticed it.
async fn length(request: Request<Incoming>) -> Result<Option<Duration>, Refused> {
    let body = body(request).await?;
    if body.is_empty() {
        return Ok(None);
    }
    let Drain { for_seconds } = match serde_json::from_slice(&body) {
        Ok(drain) => drain,
        Err(error) => {
            let why = format!("the body must be empty or like {{\"for_seconds\": 600}}: {error}");
            return refuse(StatusCode::BAD_REQUEST, exit::USAGE, why);
        }
    };
    let Some(seconds) = for_seconds else { return Ok(None) };
    match Duration::try_from_secs_f64(seconds) {
        Ok(length) if !length.is_zero() && length <= LONGEST_DRAIN => Ok(Some(length)),
        _ => {
            let most = LONGEST_DRAIN.as_secs();
            let why = format!("a drain for {seconds} s is not possible: more than 0 and at most {most} s");
            refuse(StatusCode::BAD_REQUEST, exit::USAGE, why)
        }
    }
}

/// Which release an app is rolled out with.
async fn restart(request: Request<Incoming>, app: &AppName) -> Result<supervise::Request, Refused> {
    let body = body(request).await?;
    if body.is_empty() {
        return Ok(supervise::Request::Restart(app.clone()));
    }
    let release = match serde_json::from_slice(&body) {
        Ok(Restart { release: None }) => return Ok(supervise::Request::Restart(app.clone())),
        Ok(Restart { release: Some(release) }) => release,
        Err(error) => {
            let example = r#"{"release": "/srv/shop/releases/2"}"#;
            let why = format!("the body must be empty or like {example}: {error}");
            return refuse(StatusCode::BAD_REQUEST, exit::USAGE, why);
        }
    };
    if !release.starts_with('/') || release.contains('\0') || release.len() > LONGEST_PATH {
        let why = format!("{release:.100?} is no absolute path of at most {LONGEST_PATH} bytes");
        return refuse(StatusCode::BAD_REQUEST, exit::USAGE, why);
    }
    Ok(supervise::Request::Switch(app.clone(), Target::Release(release.into())))
}

async fn scale(request: Request<Incoming>, app: &AppName) -> Result<supervise::Request, Refused> {
    let body = body(request).await?;
    let wanted = match serde_json::from_slice::<Scale>(&body) {
        Ok(Scale { workers: ScaleTo::Count(workers) }) => workers,
        Ok(Scale { workers: ScaleTo::Auto(_) }) => return Ok(supervise::Request::Unscale(app.clone())),
        Err(error) => {
            let why = format!("the body must be like {{\"workers\": 4}}, or \"auto\" in place of 4: {error}");
            return refuse(StatusCode::BAD_REQUEST, exit::USAGE, why);
        }
    };
    match wanted {
        0 => {
            let why = format!("scale to 0 is not possible: `ostler stop {app}`");
            refuse(StatusCode::BAD_REQUEST, exit::USAGE, why)
        }
        1..=MOST_WORKERS => {
            let wanted = u32::try_from(wanted).expect("at most MOST_WORKERS");
            Ok(supervise::Request::Scale(app.clone(), wanted))
        }
        _ => {
            let why = format!("{wanted} workers are not possible: give a number from 1 to {MOST_WORKERS}");
            refuse(StatusCode::BAD_REQUEST, exit::USAGE, why)
        }
    }
}

fn ask(desk: &Desk, app: Option<AppName>, what: Wish) -> Result<Reply, Refused> {
    // Subscribed before the wish is sent, so that nothing it leads to is missed.
    let news = desk.news.subscribe();
    let (answer, outcome) = oneshot::channel();
    match desk.asks.try_send(Ask { what, answer }) {
        Ok(()) => Ok(streamed(stream::change(app, news, outcome))),
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

fn whole(value: &impl Serialize) -> Reply {
    with_type(Either::Left(Full::new(line(value))), "application/json")
}

fn streamed(lines: Lines) -> Reply {
    with_type(Either::Right(lines), "application/x-ndjson")
}

fn with_type(body: Either<Full<Bytes>, Lines>, kind: &'static str) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}
