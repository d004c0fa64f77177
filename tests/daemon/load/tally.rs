//! What became of the requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::http::Loss;

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Answered with 2xx, whole.
    Ok,
    /// Nobody listened.
    Refused,
    /// A fresh connection ended before the first byte.
    ResetFresh,
    /// A connection that had served before ended before the first byte, and no `Connection: close` had said so.
    ResetReused,
    /// It ended within the response.
    Truncated,
    /// Answered with 5xx.
    ServerError,
    /// Answered with anything else.
    Odd,
    /// Not answered in time.
    TimedOut,
}

impl Outcome {
    pub(super) fn of_status(status: u16) -> Outcome {
        match status {
            200..=299 => Outcome::Ok,
            500..=599 => Outcome::ServerError,
            _ => Outcome::Odd,
        }
    }

    pub(super) fn of_loss(loss: Loss, reused: bool) -> Outcome {
        match (loss, reused) {
            (Loss::Refused, _) => Outcome::Refused,
            (Loss::Unanswered, false) => Outcome::ResetFresh,
            (Loss::Unanswered, true) => Outcome::ResetReused,
            (Loss::Truncated, _) => Outcome::Truncated,
            (Loss::TimedOut, _) => Outcome::TimedOut,
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was asked, since the load began.
    pub at: Duration,
    /// From the connect, or the request on an open connection, to the whole response.
    pub took: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether the connection had served before.
    pub reused: bool,
    /// The response's body.
    pub body: String,
}

/// All requests of a load.
#[derive(Debug)]
pub struct Tally {
    /// In the order in which they were asked.
    pub samples: Vec<Sample>,
}

impl Tally {
    pub(super) fn new(mut samples: Vec<Sample>) -> Tally {
        samples.sort_by_key(|sample| sample.at);
        Tally { samples }
    }

    /// How many had this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.samples.iter().filter(|sample| sample.outcome == outcome).count()
    }

    /// How many were not answered well.
    pub fn lost(&self) -> usize {
        self.samples.len() - self.count(Outcome::Ok)
    }

    /// How many went over a connection that had served before.
    pub fn reused(&self) -> usize {
        self.samples.iter().filter(|sample| sample.reused).count()
    }

    /// Fails the test where anything was lost, or hardly anything was asked.
    #[track_caller]
    pub fn lost_nothing(&self) {
        let lost: Vec<&Sample> = self.samples.iter().filter(|it| it.outcome != Outcome::Ok).take(5).collect();
        assert_eq!(self.lost(), 0, "requests were lost: {self}, the first of them {lost:?}");
        assert!(self.samples.len() >= 20, "too few requests to say anything: {self}");
    }

    /// Fails the test where anything was lost before `end`, or hardly anything was asked until then.
    #[track_caller]
    pub fn lost_nothing_before(&self, end: Duration) {
        let known = |sample: &&Sample| sample.at + sample.took < end;
        let lost = self.samples.iter().filter(known).filter(|sample| sample.outcome != Outcome::Ok);
        assert_eq!(lost.count(), 0, "requests were lost before {end:?}: {self}");
        assert!(self.samples.iter().filter(known).count() >= 20, "too few requests to say anything: {self}");
    }

    /// The slowest of the requests that were under way within `when`.
    pub fn worst(&self, when: Range<Duration>) -> Duration {
        self.within(when).map(|sample| sample.took).max().unwrap_or_default()
    }

    /// The latency that 99 of 100 requests within `when` did not exceed.
    pub fn p99(&self, when: Range<Duration>) -> Duration {
        let mut took: Vec<Duration> = self.within(when).map(|sample| sample.took).collect();
        took.sort();
        took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }

    /// Every different body: with the tests' apps, which processes answered with which release.
    pub fn bodies(&self) -> BTreeSet<&str> {
        self.samples.iter().filter(|it| it.outcome == Outcome::Ok).map(|it| it.body.as_str()).collect()
    }

    /// The releases that answered: the second word of the tests' apps.
    pub fn releases(&self) -> BTreeSet<&str> {
        self.bodies().into_iter().filter_map(|body| body.split(' ').nth(1)).collect()
    }

    fn within(&self, when: Range<Duration>) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |it| it.at < when.end && it.at + it.took >= when.start)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::new();
        for sample in &self.samples {
            *counts.entry(sample.outcome).or_insert(0) += 1;
        }
        write!(f, "{} requests ({} on reused connections), {counts:?}", self.samples.len(), self.reused())?;
        for sample in self.samples.iter().filter(|sample| sample.outcome != Outcome::Ok).take(10) {
            let reused = if sample.reused { "reused" } else { "fresh" };
            write!(f, "\n  at {:?}, after {:?}, {reused}: {:?}", sample.at, sample.took, sample.outcome)?;
            let words: String = sample.body.chars().take(200).collect();
            write!(f, " {words}")?;
        }
        Ok(())
    }
}
