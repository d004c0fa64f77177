//! The classifying client: many connections that ask again and again and give every outcome a name.
//!
//! It is stricter than a browser: a request on a reused connection that the server closes without having
//! said `Connection: close` counts as lost, and nothing is ever asked twice.

mod http;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use http::{Connection, Loss, Target, answers, get};
pub use tally::{Outcome, Sample, Tally};

use crate::harness::until;

/// What to ask, and how.
#[derive(Clone, Debug)]
pub struct Load {
    target: Target,
    connections: u32,
    keep_alive: bool,
    pause: Duration,
    limit: Duration,
}

impl Load {
    /// Six connections that close after each request.
    pub fn on(target: &Target) -> Load {
        Load {
            target: target.clone(),
            connections: 6,
            keep_alive: false,
            pause: Duration::from_millis(4),
            limit: Duration::from_secs(20),
        }
    }

    /// So many connections.
    pub fn connections(mut self, count: u32) -> Load {
        self.connections = count;
        self
    }

    /// Connections stay open as long as the server lets them.
    pub fn keep_alive(mut self, yes: bool) -> Load {
        self.keep_alive = yes;
        self
    }

    /// The pause of the first connection between two requests; the second has twice as much, and so on.
    #[allow(dead_code, reason = "of no use in every program that has this module")]
    pub fn pause(mut self, pause: Duration) -> Load {
        self.pause = pause;
        self
    }

    /// Takes a longer answer for a time-out.
    pub fn limit(mut self, limit: Duration) -> Load {
        self.limit = limit;
        self
    }

    /// Begins.
    pub fn start(self) -> Running {
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), answered: AtomicU64::new(0) });
        let began = Instant::now();
        let clients = (0..self.connections).map(|number| {
            let client = Client { load: self.clone(), shared: Arc::clone(&shared), began, number };
            std::thread::spawn(move || client.run())
        });
        Running { clients: clients.collect(), shared, began }
    }
}

struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
}

/// The load while it is on.
pub struct Running {
    clients: Vec<JoinHandle<Vec<Sample>>>,
    shared: Arc<Shared>,
    began: Instant,
}

impl Running {
    /// Time since the beginning, as samples count it.
    pub fn clock(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many outcomes there have been.
    pub fn asked(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits for so many outcomes from now on.
    #[track_caller]
    pub fn more(&self, count: u64) {
        let goal = self.asked() + count;
        until(format!("{count} more requests have an outcome"), || (self.asked() >= goal).then_some(()));
    }

    /// Ends it; requests under way are answered first.
    pub fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let samples = self.clients.into_iter().flat_map(|client| {
            client.thread().unpark();
            client.join().expect("a client does not panic")
        });
        Tally::new(samples.collect())
    }
}

/// One connection's worth of asking.
struct Client {
    load: Load,
    shared: Arc<Shared>,
    began: Instant,
    number: u32,
}

impl Client {
    fn run(self) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut open = None;
        // Each next connection is slower, so that a reload meets busy ones and idle ones.
        let pause = self.load.pause * (self.number + 1);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let reused = open.is_some();
            let (outcome, answer) = self.ask(&mut open);
            let sample = Sample {
                at: began - self.began,
                took: began.elapsed(),
                outcome,
                reused,
                body: answer.unwrap_or_default(),
            };
            if sample.outcome != Outcome::Ok {
                open = None;
            }
            samples.push(sample);
            self.shared.answered.fetch_add(1, Ordering::Relaxed);
            // A pace, not a wait: `stop` cuts it short.
            std::thread::park_timeout(if open.is_none() && outcome == Outcome::Refused {
                Duration::from_millis(20)
            } else {
                pause
            });
        }
        samples
    }

    fn ask(&self, open: &mut Option<Connection>) -> (Outcome, Option<String>) {
        let reused = open.is_some();
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => match Connection::open(&self.load.target, self.load.limit) {
                Ok(connection) => connection,
                Err(lost) => return (Outcome::of_loss(lost, false), None),
            },
        };
        match connection.ask("/", "localhost", self.load.keep_alive) {
            Err(lost) => (Outcome::of_loss(lost, reused), None),
            Ok(response) => {
                let outcome = Outcome::of_status(response.status);
                let body = String::from_utf8_lossy(&response.body).into_owned();
                if self.load.keep_alive && !response.close {
                    *open = Some(connection);
                }
                (outcome, Some(body))
            }
        }
    }
}
