//! What pictures taken one after the other tell, and none of them alone: requests per second. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Status;
use crate::config::AppName;
use crate::supervise::ProcessId;

/// Pictures that come faster than this are left out: counts are read once a second.
const APART: Duration = Duration::from_millis(900);

/// Rates are means over this time: what is read once a second and seen once a second comes in fits and starts.
const WINDOW: Duration = Duration::from_secs(5);

/// How many rates are kept of each app, the newest last.
const KEPT: usize = 60;

/// What is kept of the pictures so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    last: Option<Duration>,
    workers: BTreeMap<ProcessId, Worker>,
    apps: BTreeMap<AppName, AppTrend>,
}

#[derive(Clone, Debug, PartialEq)]
struct Worker {
    pid: Option<i32>,
    counted: Counted,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct AppTrend {
    /// Requests that were seen to finish, by workers that are gone too.
    total: u64,
    counted: Counted,
    /// `None` where no picture came.
    course: VecDeque<Option<f64>>,
}

/// A count at the times when it was read, oldest first: what [`WINDOW`] needs, and no more.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counted(VecDeque<(Duration, u64)>);

impl Counted {
    fn read(&mut self, at: Duration, count: u64) {
        self.0.push_back((at, count));
        while self.0.len() > 2 && self.0[1].0 + WINDOW <= at {
            self.0.pop_front();
        }
    }

    fn newest(&self) -> u64 {
        self.0.back().map_or(0, |(_, count)| *count)
    }

    /// `None` before it was read twice.
    fn per_second(&self) -> Option<f64> {
        let ((from, before), (to, now)) = (self.0.front()?, self.0.back()?);
        let seconds = to.saturating_sub(*from).as_secs_f64();
        (seconds > 0.0).then(|| now.saturating_sub(*before) as f64 / seconds)
    }
}

impl Trend {
    /// Takes in a picture, seen at the time `now` counted from anywhere.
    pub fn seen(&mut self, status: &Status, now: Duration) {
        let last = self.last;
        if last.is_some_and(|last| now < last + APART) {
            return;
        }
        self.last = Some(now);
        for app in &status.apps {
            let finished: u64 = app.workers.iter().map(|worker| self.finished(worker, last, now)).sum();
            self.apps.entry(app.name.clone()).or_default().seen(finished, last, now);
        }
        self.apps.retain(|name, _| status.apps.iter().any(|app| app.name == *name));
        let there: BTreeSet<ProcessId> =
            status.apps.iter().flat_map(|app| &app.workers).map(|worker| worker.id).collect();
        self.workers.retain(|id, _| there.contains(id));
    }

    /// How many requests this worker has finished since the last picture.
    fn finished(&mut self, worker: &super::WorkerStatus, last: Option<Duration>, now: Duration) -> u64 {
        // Where the count went back or the process is another, there is nothing to compare with.
        let known = self
            .workers
            .get_mut(&worker.id)
            .filter(|known| known.counted.newest() <= worker.requests)
            .filter(|known| known.pid.is_none() || known.pid == worker.pid);
        if let Some(known) = known {
            let finished = worker.requests - known.counted.newest();
            known.pid = worker.pid;
            known.counted.read(now, worker.requests);
            return finished;
        }
        let mut counted = Counted::default();
        // One that was not there in the last picture has begun with nothing.
        let young = last.filter(|last| worker.age_seconds <= (now - *last + APART).as_secs_f64());
        if let Some(last) = young {
            counted.read(last, 0);
        }
        counted.read(now, worker.requests);
        self.workers.insert(worker.id, Worker { pid: worker.pid, counted });
        if young.is_some() { worker.requests } else { 0 }
    }

    /// Requests per second of a worker; `None` where it was seen but once.
    pub fn worker(&self, id: ProcessId) -> Option<f64> {
        self.workers.get(&id)?.counted.per_second()
    }

    /// Requests per second of an app.
    pub fn app(&self, name: &AppName) -> Option<f64> {
        self.apps.get(name)?.counted.per_second()
    }

    /// Requests per second of the last minute, the newest last; `None` for a second in which nobody looked.
    pub fn course(&self, name: &AppName) -> Vec<Option<f64>> {
        self.apps.get(name).map(|app| app.course.iter().copied().collect()).unwrap_or_default()
    }
}

impl AppTrend {
    fn seen(&mut self, finished: u64, last: Option<Duration>, now: Duration) {
        self.total = self.total.saturating_add(finished);
        self.counted.read(now, self.total);
        let Some(last) = last else { return };
        let missed = (now - last).as_secs().saturating_sub(2).min(KEPT as u64);
        self.course.extend((0..missed).map(|_| None));
        self.course.push_back(self.counted.per_second());
        let excess = self.course.len().saturating_sub(KEPT);
        self.course.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::WorkerStatus;
    use crate::observe::testing::{app, status, worker};
    use crate::supervise::WorkerState;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn counted(id: u64, requests: u64, age_seconds: f64) -> WorkerStatus {
        WorkerStatus { requests, age_seconds, ..worker(id, WorkerState::Ready) }
    }

    fn shop() -> AppName {
        "shop".parse().unwrap()
    }

    fn seen(trend: &mut Trend, at: Duration, workers: Vec<WorkerStatus>) {
        trend.seen(&status(vec![app("shop", workers)]), at);
    }

    #[test]
    fn one_picture_tells_no_rate_and_the_next_does() {
        let mut trend = Trend::default();
        seen(&mut trend, s(10), vec![counted(1, 1000, 99.0)]);
        assert_eq!((trend.worker(ProcessId(1)), trend.app(&shop())), (None, None));
        seen(&mut trend, s(12), vec![counted(1, 1030, 101.0)]);
        assert_eq!((trend.worker(ProcessId(1)), trend.app(&shop())), (Some(15.0), Some(15.0)));
        assert_eq!(trend.course(&shop()), [Some(15.0)]);
    }

    #[test]
    fn a_rate_forgets_what_is_older_than_its_window() {
        let mut trend = Trend::default();
        for second in 0..20 {
            seen(&mut trend, s(second), vec![counted(1, if second < 10 { 100 * second } else { 900 }, 99.0)]);
        }
        assert_eq!(trend.app(&shop()), Some(0.0));
        assert_eq!(trend.course(&shop())[4], Some(100.0));
    }

    #[test]
    fn a_new_worker_starts_at_nothing_and_an_old_one_that_comes_into_sight_does_not() {
        let mut trend = Trend::default();
        seen(&mut trend, s(1), vec![]);
        seen(&mut trend, s(2), vec![counted(1, 8, 0.5), counted(2, 5000, 900.0)]);
        assert_eq!((trend.worker(ProcessId(1)), trend.worker(ProcessId(2))), (Some(8.0), None));
        assert_eq!(trend.app(&shop()), Some(8.0), "what the old one had served is not of this second");
    }

    #[test]
    fn no_rate_is_ever_negative_or_absurd_whatever_becomes_of_ostlerd() {
        let mut trend = Trend::default();
        seen(&mut trend, s(1), vec![counted(1, 500, 99.0), counted(2, 700, 99.0)]);
        seen(&mut trend, s(2), vec![counted(1, 510, 99.0), counted(2, 710, 99.0)]);
        // Another ostlerd: one worker adopted, of one the count is gone, one has come.
        seen(&mut trend, s(12), vec![counted(1, 610, 109.0), counted(2, 3, 109.0), counted(3, 20, 4.0)]);
        assert_eq!(trend.worker(ProcessId(1)), Some(10.0));
        assert_eq!(trend.worker(ProcessId(2)), None);
        assert_eq!(trend.worker(ProcessId(3)), Some(2.0));
        let course = trend.course(&shop());
        assert_eq!(course.len(), 10);
        assert!(course[1..9].iter().all(Option::is_none), "nobody looked: {course:?}");
        assert!(course[9].is_some_and(|rate| (0.0..50.0).contains(&rate)), "{course:?}");
        let mut other = counted(1, 9_000_000, 1.0);
        other.pid = Some(4711);
        seen(&mut trend, s(60), vec![other]);
        assert_eq!(trend.app(&shop()).map(|rate| rate < 1e6), Some(true));
    }

    #[test]
    fn pictures_in_a_hurry_and_a_clock_that_stands_change_nothing() {
        let mut trend = Trend::default();
        seen(&mut trend, s(1), vec![counted(1, 10, 99.0)]);
        seen(&mut trend, s(2), vec![counted(1, 20, 99.0)]);
        let before = trend.clone();
        seen(&mut trend, Duration::from_millis(2100), vec![counted(1, 30, 99.0)]);
        seen(&mut trend, s(2), vec![counted(1, 30, 99.0)]);
        seen(&mut trend, s(0), vec![counted(1, 30, 99.0)]);
        assert_eq!(trend, before);
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_who_it_is_of() {
        let mut trend = Trend::default();
        for second in 0..500 {
            seen(&mut trend, s(second), vec![counted(1, second, 99.0)]);
        }
        assert_eq!(trend.course(&shop()).len(), KEPT);
        assert!(trend.workers[&ProcessId(1)].counted.0.len() <= 7);
        seen(&mut trend, s(100_000), vec![]);
        assert_eq!((trend.course(&shop()).len(), trend.workers.len()), (KEPT, 0));
        trend.seen(&status(vec![]), s(100_002));
        assert_eq!(trend.apps.len(), 0);
    }
}
