//! The asking side of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::observe::Status;

use crate::control::commands::{Sent, sent};
use crate::control::protocol::{RequestRefusal, exit};
use crate::supervise::Command;

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
            let response = self.send("GET", path, Bytes::new()).await?;
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
        self.feed("GET", "/v1/events", Bytes::new()).await
    }

    /// Gives a command, and gives what happens, up to the outcome.
    ///
    /// # Errors
    ///
    /// Where ostlerd is not reachable or refuses.
    pub async fn command(&self, command: &Command) -> Result<Feed, ClientError> {
        let Sent { method, path, body } = sent(command).expect("people do not ask for what signals do");
        self.feed(method, &path, body).await
    }

    async fn feed(&self, method: &str, path: &str, body: Bytes) -> Result<Feed, ClientError> {
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

    async fn send(&self, method: &str, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
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
        match serde_json::from_slice::<RequestRefusal>(&body) {
            Ok(RequestRefusal { error, exit }) => Err(ClientError::Refused { message: error, exit }),
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
