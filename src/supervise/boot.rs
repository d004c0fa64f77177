//! A boot that fails: by the process's own word, or by the clock. One that takes long is asked twice where it stands, so that
//! a person sees it before it is given up.

use std::time::Duration;

use super::app::{App, Turn};
use super::event::{LastWords, Stand, WorkerId};
use super::loss::Lost;
use super::news::{Cause, Happening};
use super::time::Moment;
use super::worker::Life;

/// What is known of one boot besides its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Boot {
    /// How often it was asked.
    asked: u8,
    /// What it has answered last.
    stand: Option<Stand>,
}

impl Boot {
    /// When it is asked next: after half of its time, and once more shortly before it is over.
    pub(super) fn look(&self, until: Moment, limit: Duration) -> Option<Moment> {
        let before = match self.asked {
            0 => limit / 2,
            1 => limit / 10,
            _ => return None,
        };
        Some(Moment::at(until.since_origin().saturating_sub(before)))
    }

    /// Whether it is asked now.
    pub(super) fn asks(&mut self, now: Moment, until: Moment, limit: Duration) -> bool {
        let due = self.look(until, limit).is_some_and(|look| look <= now);
        self.asked += u8::from(due);
        due
    }

    /// It has answered; whether it stands elsewhere than before.
    pub(super) fn stands(&mut self, stand: Stand) -> bool {
        let news = self.stand.as_ref().is_none_or(|before| before.at != stand.at);
        self.stand = Some(stand);
        news
    }

    /// The words for one that was given up.
    pub(super) fn words(&self, message: String) -> LastWords {
        let (message, traceback) = match &self.stand {
            Some(stand) => (format!("{message}: it waits in {}", stand.at), stand.stacks.clone()),
            None => (message, String::new()),
        };
        LastWords { message, traceback }
    }
}

impl App {
    /// A worker's own words are the reason, whatever becomes of its process.
    pub(super) fn worker_failed(&mut self, turn: &mut Turn<'_>, id: WorkerId, words: LastWords) {
        let Some(worker) = self.workers.get_mut(&id) else { return self.zygote_failed(turn, id, words) };
        if !worker.failed(turn.now) {
            worker.words = words;
            return;
        }
        let (worker, generation) = (worker.clone(), worker.generation);
        let failed = Happening::WorkerFailed { worker: id, generation, last_words: words.clone() };
        self.announce(turn, failed);
        self.lost(turn, Lost::worker(&worker, false, words));
    }

    /// Where a worker stands that is not ready yet.
    pub(super) fn worker_stands(&mut self, turn: &mut Turn<'_>, id: WorkerId, stand: Stand) {
        let Some(worker) = self.workers.get_mut(&id) else { return self.zygote_stands(turn, id, stand) };
        if !matches!(worker.life, Life::Booting { .. }) {
            return;
        }
        let (generation, age) = (worker.generation, turn.now.since(worker.spawned));
        let (at, stacks) = (stand.at.clone(), stand.stacks.clone());
        if worker.boot.stands(stand) {
            self.announce(turn, Happening::WorkerWaits { worker: id, generation, at, age, stacks });
        }
    }

    /// It had its time.
    pub(super) fn boot_timed_out(&mut self, turn: &mut Turn<'_>, id: WorkerId, limit: Duration) {
        let Some(worker) = self.workers.get(&id).cloned() else { return };
        let generation = worker.generation;
        let message = format!("worker {id} was not ready within boot_timeout ({} s)", limit.as_secs_f64());
        let (cause, age) = (Cause::BootTimeout, turn.now.since(worker.spawned));
        self.announce(turn, Happening::WorkerHung { worker: id, generation, cause, age });
        self.end(turn, id, cause);
        if worker.unborn {
            self.blame_zygote(turn, generation);
        }
        let words = worker.boot.words(message);
        self.lost(turn, Lost::worker(&worker, false, words));
    }
}
