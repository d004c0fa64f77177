//! What a generation has shown of itself before it took its first client, and what of a new one is borne with for it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::counted;
use crate::plan::Probe;

/// What a worker, and so its generation, has shown of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// How many URLs of Django's are loaded; `None` if the app is not Django's.
    pub urls: Option<u32>,
    /// Its answer to the probe; `None` if there was none.
    pub answer: Option<ProbeAnswer>,
}

/// An answer to the probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// The path that was asked for.
    pub path: String,
    /// The status, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// Whether it did not come in time.
    pub late: bool,
    /// Whether it is good; a bad one was borne with.
    pub good: bool,
    /// What is bad about it, in one sentence; else empty.
    pub message: String,
}

/// Which bad answers to a probe that nobody has asked for are only warned of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tolerance {
    /// A bad status, an exception, no status at all.
    pub errors: bool,
    /// No answer in time.
    pub late: bool,
}

impl Tolerance {
    /// Nothing is borne with.
    pub const NONE: Tolerance = Tolerance { errors: false, late: false };
    /// Whatever it answers.
    pub const ALL: Tolerance = Tolerance { errors: true, late: true };

    /// What a new generation may do, beside one that serves and has answered so: nothing worse.
    pub(super) fn beside(probe: &Probe, serving: Option<&ProbeAnswer>) -> Tolerance {
        match serving.filter(|answer| answer.path == probe.path) {
            // Nobody knows how it answers, or it does no better.
            None | Some(ProbeAnswer { good: false, .. }) => Tolerance::ALL,
            // What takes half of the time may take all of it on a busy machine.
            Some(answer) => Tolerance { errors: false, late: answer.took >= probe.timeout / 2 },
        }
    }
}

/// `loaded 41 URLs, / answered 200 in 0.02 s`
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.urls {
            Some(urls) => write!(f, "loaded {}", counted(*urls, "URL"))?,
            None => write!(f, "loaded")?,
        }
        match &self.answer {
            Some(ProbeAnswer { path, status: Some(status), took, good: true, .. }) => {
                write!(f, ", {path} answered {status} in {:.2} s", took.as_secs_f64())
            }
            Some(answer) => write!(f, ", {}", answer.message),
            None => Ok(()),
        }
    }
}

impl Proof {
    /// Takes what another worker of the same generation has shown: it can do what one of them could.
    pub(super) fn improve(&mut self, shown: Proof) {
        self.urls = shown.urls.or(self.urls);
        let better = match (&self.answer, &shown.answer) {
            (None, Some(_)) => true,
            (Some(known), Some(answer)) => answer.good || !known.good,
            (_, None) => false,
        };
        if better {
            self.answer = shown.answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> Probe {
        let (path, scheme) = ("/".to_owned(), "http".to_owned());
        Probe { path, host: None, scheme, timeout: Duration::from_secs(10), asked: false }
    }

    fn answer(good: bool, took: u64) -> ProbeAnswer {
        let (path, took) = ("/".to_owned(), Duration::from_secs(took));
        ProbeAnswer { path, status: Some(200), took, late: false, good, message: String::new() }
    }

    #[test]
    fn a_new_generation_may_do_nothing_worse_than_the_one_that_serves() {
        let beside = |answer: ProbeAnswer| Tolerance::beside(&probe(), Some(&answer));
        assert_eq!(Tolerance::beside(&probe(), None), Tolerance::ALL, "nobody knows");
        assert_eq!(beside(answer(false, 0)), Tolerance::ALL);
        assert_eq!(beside(answer(true, 1)), Tolerance::NONE);
        assert_eq!(beside(answer(true, 5)), Tolerance { errors: false, late: true });
        let elsewhere = ProbeAnswer { path: "/healthz".to_owned(), ..answer(true, 0) };
        assert_eq!(beside(elsewhere), Tolerance::ALL, "that says nothing of this path");
    }

    #[test]
    fn what_was_shown_is_said_in_a_line() {
        let shown = Proof { urls: Some(1), answer: Some(answer(true, 2)) };
        assert_eq!(shown.to_string(), "loaded 1 URL, / answered 200 in 2.00 s");
        let message = "the probe of / answered 500".to_owned();
        let bad = ProbeAnswer { message, ..answer(false, 0) };
        assert_eq!(
            Proof { urls: None, answer: Some(bad) }.to_string(),
            "loaded, the probe of / answered 500"
        );
        assert_eq!(Proof::default().to_string(), "loaded");
    }

    #[test]
    fn a_generation_can_do_what_one_of_its_workers_could() {
        let shown = |good| Proof { urls: Some(3), answer: Some(answer(good, 0)) };
        let mut proof = Proof::default();
        proof.improve(shown(false));
        proof.improve(shown(true));
        proof.improve(shown(false));
        proof.improve(Proof::default());
        assert_eq!(proof, shown(true));
    }
}
