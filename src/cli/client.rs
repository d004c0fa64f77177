//! The asking side of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::config::AppName;
use crate::observe::Status;

use crate::control::protocol::{ACCEPT_BREAKAGE, Auto, Drain, Refusal, Restart, Scale, ScaleTo, exit, line};

/// ostlerd answers from memory; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("ostlerd is not reachable at {}: {source}; is it running? `systemctl status ostler`", .socket.display())]
    Unreachable {
        /// Where it was tried.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody listens, and does not answer, or not what ostlerd would.
    #[error("ostlerd at {} does not answer as it should: {reason}; `systemctl status ostler`", .socket.display())]
    Broken {
        /// Where it was tried.
        socket: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// It said no.
    #[error("{message}")]
    Refused {
        /// Its sentence.
        message: String,
        /// The exit status that it asks for.
        exit: u8,
    },
}

impl ClientError {
    /// The exit status of a command that ends with this.
    pub fn exit_status(&self) -> u8 {
        match self {
            ClientError::Unreachable { .. } | ClientError::Broken { .. } => exit::UNREACHABLE,
            ClientError::Refused { exit, .. } => *exit,
        }
    }
}

/// Asks the ostlerd behind one socket; a connection for each question.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// A change that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Roll out anew.
    Restart(AppName),
    /// Roll out this release, an absolute path.
    Release(AppName, String),
    /// Roll out the release before.
    Rollback(AppName),
    /// Bring the databases up to date.
    Migrate(AppName),
    /// The same as one of those, and what breaks the code that serves is run all the same.
    AcceptBreakage(Box<Change>),
    /// End the migration that is under way.
    AbortMigration(AppName),
    /// What the last one left half done is put right.
    ResolveMigration(AppName),
    /// Say what is pending.
    MigrationPlan(AppName),
    /// Say what was run.
    MigrationHistory(AppName),
    /// Say what is served, for who configures the edge.
    Served,
    /// Drain and stop.
    Stop(AppName),
    /// Start again.
    Start(AppName),
    /// Keep so many workers.
    Scale(AppName, i64),
    /// Take that back: as many as configured, or as the load needs.
    Unscale(AppName),
    /// Read the configuration again.
    Reload,
    /// Fail readiness, for so long after the edge has noticed or until `Undrain`.
    Drain(Option<Duration>),
    /// End the drain.
    Undrain,
    /// Say what that would change.
    DryRun,
    /// Re-execute ostlerd.
    Reexec,
}

impl Change {
    /// The same, with what breaks the code that serves accepted where asked for.
    pub(super) fn accepting(self, breakage: bool) -> Change {
        if breakage { Change::AcceptBreakage(Box::new(self)) } else { self }
    }

    fn path(&self) -> String {
        match self {
            Change::Restart(app) | Change::Release(app, _) => format!("/v1/apps/{app}/restart"),
            Change::Rollback(app) => format!("/v1/apps/{app}/rollback"),
            Change::Migrate(app) => format!("/v1/apps/{app}/migrate"),
            Change::AcceptBreakage(change) => format!("{}?{ACCEPT_BREAKAGE}", change.path()),
            Change::AbortMigration(app) => format!("/v1/apps/{app}/migrate/abort"),
            Change::ResolveMigration(app) => format!("/v1/apps/{app}/migrate/resolve"),
            Change::MigrationPlan(app) => format!("/v1/apps/{app}/migrate/plan"),
            Change::MigrationHistory(app) => format!("/v1/apps/{app}/migrations"),
            Change::Served => "/v1/served".to_owned(),
            Change::Stop(app) => format!("/v1/apps/{app}/stop"),
            Change::Start(app) => format!("/v1/apps/{app}/start"),
            Change::Scale(app, _) | Change::Unscale(app) => format!("/v1/apps/{app}/scale"),
            Change::Reload => "/v1/reload".to_owned(),
            Change::Drain(_) => "/v1/drain".to_owned(),
            Change::Undrain => "/v1/undrain".to_owned(),
            Change::DryRun => "/v1/reload/dry-run".to_owned(),
            Change::Reexec => "/v1/reexec".to_owned(),
        }
    }

    fn method(&self) -> Method {
        match self {
            Change::MigrationHistory(_) | Change::Served => Method::GET,
            Change::AcceptBreakage(change) => change.method(),
            _ => Method::POST,
        }
    }

    /// The app it is about, where it is about one.
    pub fn app(&self) -> Option<&AppName> {
        match self {
            Change::Restart(app)
            | Change::Release(app, _)
            | Change::Rollback(app)
            | Change::Migrate(app)
            | Change::AbortMigration(app)
            | Change::ResolveMigration(app)
            | Change::MigrationPlan(app)
            | Change::MigrationHistory(app)
            | Change::Stop(app)
            | Change::Start(app)
            | Change::Unscale(app)
            | Change::Scale(app, _) => Some(app),
            Change::AcceptBreakage(change) => change.app(),
            Change::Reload
            | Change::Reexec
            | Change::Drain(_)
            | Change::Undrain
            | Change::DryRun
            | Change::Served => None,
        }
    }

    fn body(&self) -> Bytes {
        match self {
            Change::Release(_, release) => line(&Restart { release: Some(release.clone()) }),
            Change::Scale(_, workers) => line(&Scale { workers: ScaleTo::Count(*workers) }),
            Change::AcceptBreakage(change) => change.body(),
            Change::Unscale(_) => line(&Scale { workers: ScaleTo::Auto(Auto::Auto) }),
            Change::Drain(length) => line(&Drain { for_seconds: length.map(|length| length.as_secs_f64()) }),
            _ => Bytes::new(),
        }
    }
}

impl Client {
    /// Asks at `socket`; nothing is connected yet.
    pub fn new(socket: &Path) -> Client {
        Client { socket: socket.to_owned() }
    }

    /// The status, understood, and the JSON text that it came as.
    ///
    /// # Errors
    ///
    /// Where ostlerd is not reachable, refuses, or is of a version that says it differently.
    pub async fn status(&self) -> Result<(Status, String), ClientError> {
        self.picture("/v1/status").await
    }

    /// The same without a look at the releases on disk: for who asks again and again.
    ///
    /// # Errors
    ///
    /// As `status`.
    pub async fn glance(&self) -> Result<Status, ClientError> {
        self.picture("/v1/status?glance").await.map(|(status, _)| status)
    }

    async fn picture(&self, path: &str) -> Result<(Status, String), ClientError> {
        let asking = async {
            let response = self.send(Method::GET, path, Bytes::new()).await?;
            let body = response.into_body().collect().await.map_err(|error| self.broken(&error))?;
            Ok(body.to_bytes())
        };
        let body = self.in_time(asking).await?;
        let text = String::from_utf8(body.into()).map_err(|error| self.broken(&error))?;
        let status = serde_json::from_str(&text).map_err(|error| self.broken(&error))?;
        Ok((status, text))
    }

    /// Everything that happens from now on.
    ///
    /// # Errors
    ///
    /// Where ostlerd is not reachable or refuses.
    pub async fn events(&self) -> Result<Feed, ClientError> {
        self.feed(Method::GET, "/v1/events", Bytes::new()).await
    }

    /// Asks for a change and gives what happens, up to the outcome.
    ///
    /// # Errors
    ///
    /// Where ostlerd is not reachable or refuses.
    pub async fn change(&self, change: &Change) -> Result<Feed, ClientError> {
        self.feed(change.method(), &change.path(), change.body()).await
    }

    async fn feed(&self, method: Method, path: &str, body: Bytes) -> Result<Feed, ClientError> {
        let response = self.in_time(self.send(method, path, body)).await?;
        Ok(Feed { socket: self.socket.clone(), body: response.into_body(), rest: BytesMut::new() })
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(self.silent(PATIENCE)),
        }
    }

    /// The error of who has waited so long.
    pub(super) fn silent(&self, patience: Duration) -> ClientError {
        self.broken(&format_args!("no answer within {patience:?}"))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        // Its end is the body's end, which is seen there.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "ostlerd")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("paths are made of app names, which are URL-safe");
        let response = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.broken(&error))?.to_bytes();
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { error, exit }) => Err(ClientError::Refused { message: error, exit }),
            Err(_) => Err(self.broken(&format_args!("HTTP status {code}"))),
        }
    }

    fn broken(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), reason: reason.to_string() }
    }
}

/// Lines as they come.
#[derive(Debug)]
pub struct Feed {
    socket: PathBuf,
    body: Incoming,
    rest: BytesMut,
}

impl Feed {
    /// The next line without its end; `None` at the end of the stream. Safe to cancel.
    ///
    /// # Errors
    ///
    /// Where the connection breaks.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(ClientError::Broken {
                        socket: self.socket.clone(),
                        reason: error.to_string(),
                    });
                }
                None => return Ok(None),
            }
        }
    }
}
