//! A steady load of requests on closing connections; whatever is not a whole, good answer is lost, and classified.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const THREADS: usize = 3;
const PAUSE: Duration = Duration::from_millis(8);
const PATIENCE: Duration = Duration::from_secs(10);

/// How many losses are kept in words.
const MOST_WORDS: usize = 5;

/// How a request was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Refused,
    ResetBeforeAnswer,
    Truncated,
    TimedOut,
    Status(u16),
    Other(String),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Refused => f.write_str("connection refused"),
            Loss::ResetBeforeAnswer => f.write_str("closed before the first byte"),
            Loss::Truncated => f.write_str("the answer was cut off"),
            Loss::TimedOut => write!(f, "no answer within {PATIENCE:?}"),
            Loss::Status(code) => write!(f, "HTTP status {code}"),
            Loss::Other(reason) => f.write_str(reason),
        }
    }
}

/// What became of all requests.
#[derive(Debug, Default)]
pub(super) struct RequestTally {
    pub(super) requests: u64,
    pub(super) lost: u64,
    /// The first few losses.
    pub(super) losses: Vec<Loss>,
}

/// Requests that go on until they are stopped.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<RequestTally>>,
}

impl Load {
    pub(super) fn start(address: SocketAddr) -> Load {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..THREADS)
            .map(|_| {
                let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
                std::thread::spawn(move || ask_until(&stop, &sent, address))
            })
            .collect();
        Load { stop, sent, threads }
    }

    /// Requests so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn stop(mut self) -> RequestTally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = RequestTally::default();
        for thread in self.threads.drain(..) {
            let part = thread.join().expect("the load's threads do not panic");
            all.requests += part.requests;
            all.lost += part.lost;
            all.losses.extend(part.losses);
        }
        all.losses.truncate(MOST_WORDS);
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask_until(stop: &AtomicBool, sent: &AtomicU64, address: SocketAddr) -> RequestTally {
    let mut tally = RequestTally::default();
    while !stop.load(Ordering::Relaxed) {
        tally.requests += 1;
        if let Err(loss) = fetch(address, "/") {
            tally.lost += 1;
            if tally.losses.len() < MOST_WORDS {
                tally.losses.push(loss);
            }
        }
        sent.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }
    tally
}

/// The body of a good answer, on a connection of its own.
pub(super) fn fetch(address: SocketAddr, path: &str) -> Result<String, Loss> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => Loss::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Loss::ResetBeforeAnswer,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Loss::TimedOut,
        _ => Loss::Other(error.to_string()),
    };
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if answer.is_empty() || error.kind() == ErrorKind::WouldBlock => {
            return Err(failed(error));
        }
        Err(_) => return Err(Loss::Truncated),
    }
    judge(&answer)
}

fn judge(answer: &[u8]) -> Result<String, Loss> {
    if answer.is_empty() {
        return Err(Loss::ResetBeforeAnswer);
    }
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(Loss::Truncated)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(Loss::Truncated)?;
    if code != 200 {
        return Err(Loss::Status(code));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if length == Some(body.len()) { Ok(body.to_owned()) } else { Err(Loss::Truncated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_good_answer_counts() {
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Ok("ok".into()));
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), Err(Loss::Truncated));
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\nContent-Le"), Err(Loss::Truncated));
        assert_eq!(judge(b"HTTP/1.1 502 Bad\r\n\r\n"), Err(Loss::Status(502)));
        assert_eq!(judge(b""), Err(Loss::ResetBeforeAnswer));
    }

    #[test]
    fn a_closed_port_is_a_refusal_and_the_load_counts_it() {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(fetch(address, "/"), Err(Loss::Refused));
        let load = Load::start(address);
        while load.sent() < 3 {
            std::thread::yield_now();
        }
        let tally = load.stop();
        assert!(tally.lost == tally.requests && tally.losses.contains(&Loss::Refused), "{tally:?}");
    }
}
