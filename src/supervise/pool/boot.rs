//! A boot that takes long is asked twice where it stands, so that a person sees it before it is given up.

use std::time::Duration;

use crate::supervise::process_fact::{LastWords, Stand};
use crate::supervise::time::Moment;

/// What is known of one boot besides its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::supervise) struct Boot {
    /// How often it was asked.
    asked: u8,
    /// What it has answered last.
    stand: Option<Stand>,
}

impl Boot {
    /// When it is asked next: after half of its time, and once more shortly before it is over.
    pub(in crate::supervise) fn look(&self, until: Moment, limit: Duration) -> Option<Moment> {
        let before = match self.asked {
            0 => limit / 2,
            1 => limit / 10,
            _ => return None,
        };
        Some(Moment::at(until.since_origin().saturating_sub(before)))
    }

    /// Whether it is asked now.
    pub(in crate::supervise) fn asks(&mut self, now: Moment, until: Moment, limit: Duration) -> bool {
        let due = self.look(until, limit).is_some_and(|look| look <= now);
        self.asked += u8::from(due);
        due
    }

    /// It has answered; whether it stands elsewhere than before.
    pub(in crate::supervise) fn stands(&mut self, stand: Stand) -> bool {
        let is_new = self.stand.as_ref().is_none_or(|before| before.at != stand.at);
        self.stand = Some(stand);
        is_new
    }

    /// The words for one that was given up.
    pub(in crate::supervise) fn words(&self, message: String) -> LastWords {
        let (message, traceback) = match &self.stand {
            Some(stand) => (format!("{message}: it waits in {}", stand.at), stand.stacks.clone()),
            None => (message, String::new()),
        };
        LastWords { message, traceback }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_boot_stands_is_new_once_and_its_last_place_is_told() {
        let stand = |at: &str| Stand { at: at.to_owned(), stacks: format!("stacks in {at}") };
        let mut boot = Boot::default();
        let (first, other) = ("wsgi.py line 6 (load)", "urls.py line 2 (<module>)");
        let news = [first, first, other, first].map(|at| boot.stands(stand(at)));
        assert_eq!(news, [true, false, true, true]);
        let words = boot.words("was not ready".to_owned());
        assert_eq!(words.message, "was not ready: it waits in wsgi.py line 6 (load)");
        assert_eq!(words.traceback, "stacks in wsgi.py line 6 (load)");
    }
}
