//! Just enough of HTTP/1.1 to tell every way of losing a request from the others.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::until;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `127.0.0.1:8000`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(address) => write!(f, "{address}"),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nobody listens.
    Refused,
    /// The connection ended before the first byte.
    Unanswered,
    /// The connection ended, or said nonsense, within the response.
    Truncated,
    /// Nothing came in time.
    TimedOut,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200 and the like.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// Whether the server ends the connection after it.
    pub close: bool,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own.
pub fn get(target: &Target, path: &str) -> Result<Response, Loss> {
    Connection::open(target, Duration::from_secs(30))?.ask(path, "localhost", false)
}

/// Waits until this release of the tests' apps answers: a worker of the one before may answer what reached it before the
/// word that it is to drain.
#[track_caller]
pub fn answers(target: &Target, release: &str) {
    until(format!("release {release} answers"), || {
        let response = get(target, "/").expect("it serves");
        (response.text().split(' ').nth(1) == Some(release)).then_some(())
    });
}

/// A connection, and what was read of it and not used.
pub struct Connection {
    stream: Stream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects; every later step is limited by `limit`.
    pub fn open(target: &Target, limit: Duration) -> Result<Connection, Loss> {
        let stream = Stream::open(target, limit).map_err(|error| match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Loss::TimedOut,
            _ => Loss::Refused,
        })?;
        Ok(Connection { stream, read: Vec::new() })
    }

    /// Asks for `path` and reads the response.
    pub fn ask(&mut self, path: &str, host: &str, keep_alive: bool) -> Result<Response, Loss> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n");
        self.send(request.as_bytes());
        self.response()
    }

    /// Sends bytes. A failure shows when the response is read, which may have come all the same.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads one response.
    pub fn response(&mut self) -> Result<Response, Loss> {
        let end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at;
            }
            if !self.more()? {
                return Err(if self.read.is_empty() { Loss::Unanswered } else { Loss::Truncated });
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status =
            status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(Loss::Truncated)?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Response { status, headers, body: Vec::new(), close: false };
        let says_close =
            |it: &Response| it.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        response.close = says_close(&response) || status_line.starts_with("HTTP/1.0");
        self.body(&mut response)?;
        Ok(response)
    }

    fn body(&mut self, response: &mut Response) -> Result<(), Loss> {
        if response.header("transfer-encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked")) {
            return self.chunks(response);
        }
        match response.header("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) => response.body = self.take(length)?,
            Some(Err(_)) => return Err(Loss::Truncated),
            None => {
                // The end of the connection is the end of the body, so a truncation cannot be told.
                while self.more()? {}
                response.body = std::mem::take(&mut self.read);
                response.close = true;
            }
        }
        Ok(())
    }

    fn chunks(&mut self, response: &mut Response) -> Result<(), Loss> {
        loop {
            let at = loop {
                if let Some(at) = find(&self.read, b"\r\n") {
                    break at;
                }
                self.need_more()?;
            };
            let size = String::from_utf8_lossy(&self.read[..at]).into_owned();
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| Loss::Truncated)?;
            self.read.drain(..at + 2);
            let chunk = self.take(size + 2)?;
            if size == 0 {
                return Ok(());
            }
            response.body.extend_from_slice(&chunk[..size]);
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Loss> {
        while self.read.len() < length {
            self.need_more()?;
        }
        Ok(self.read.drain(..length).collect())
    }

    fn need_more(&mut self) -> Result<(), Loss> {
        if self.more()? { Ok(()) } else { Err(Loss::Truncated) }
    }

    /// Reads on; false at the end of the connection, however it ended.
    fn more(&mut self) -> Result<bool, Loss> {
        let mut chunk = [0; 16 * 1024];
        loop {
            return match self.stream.read(&mut chunk) {
                Ok(0) => Ok(false),
                Ok(length) => {
                    self.read.extend_from_slice(&chunk[..length]);
                    Ok(true)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    Err(Loss::TimedOut)
                }
                Err(_) => Ok(false),
            };
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn open(target: &Target, limit: Duration) -> io::Result<Stream> {
        match target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, limit)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))?;
                Ok(Stream::Tcp(stream))
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))?;
                Ok(Stream::Unix(stream))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
