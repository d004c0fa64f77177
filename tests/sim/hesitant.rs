//! Workers that the load takes away, and that are missed soon after.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ostler::config::WorkerRange;
use ostler::plan::Plan;
use ostler::supervise::{
    Action, AppEvent, AppEventKind, AppLoad, Event, Exit, Moment, ProcessFact, ProcessId, Supervisor,
    WorkerLoad,
};

use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

const IDLE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(150);

/// An app whose workers are up at once and go at once; when the load has taken one away.
struct UnderLoad {
    supervisor: Supervisor,
    now: Moment,
    ready: BTreeSet<ProcessId>,
    shrunk: Vec<Moment>,
}

impl UnderLoad {
    fn new() -> UnderLoad {
        let mut policy = policy(&mut Rng::seeded(1));
        policy.range = Some(WorkerRange { min: 1, max: 2, idle: IDLE });
        (policy.workers, policy.max_age, policy.max_requests, policy.max_rss) = (1, None, 0, None);
        policy.hang_timeout = None;
        let apps = BTreeMap::from([(name(0), Ok(app_plan(&name(0), 0, &policy)))]);
        let supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
        let mut shop =
            UnderLoad { supervisor, now: Moment::ZERO, ready: BTreeSet::new(), shrunk: Vec::new() };
        shop.tell(Event::TimePassed);
        shop
    }

    fn tell(&mut self, event: Event) {
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::StartProcess(start) => {
                    self.ready.insert(start.process);
                    self.tell(ProcessFact::Ready.of(start.process));
                }
                Action::SignalProcess { process, .. } => {
                    self.ready.remove(&process);
                    self.tell(ProcessFact::Exited(Exit::Code(0)).of(process));
                }
                Action::Announce(AppEvent { kind: AppEventKind::ScaledByLoad { from, to, .. }, .. })
                    if to < from =>
                {
                    self.shrunk.push(self.now)
                }
                _ => {}
            }
        }
    }

    /// So many connections are there at once.
    fn see(&mut self, connections: u32) {
        self.now = self.now + STEP;
        let mut left = connections;
        let workers = self.ready.iter().map(|worker| {
            let in_flight = left.min(1);
            left -= in_flight;
            (*worker, WorkerLoad { in_flight, cpu: None })
        });
        let workers = workers.collect();
        let load = AppLoad { app: name(0), workers, waiting: Some(left), memory: None };
        self.tell(Event::LoadObserved { apps: vec![load], memory: None });
        self.tell(Event::TimePassed);
    }

    fn grows(&mut self) {
        (0..200).for_each(|_| {
            if self.ready.len() < 2 {
                self.see(4)
            }
        });
        assert_eq!(self.ready.len(), 2, "{:?}", self.now);
    }

    /// With nothing to do: how long until one goes, in times of `idle`.
    fn shrinks(&mut self) -> u64 {
        let (began, before) = (self.now, self.shrunk.len());
        while self.shrunk.len() == before {
            self.see(0);
            assert!(self.now.since(began) < 100 * IDLE, "nobody goes");
        }
        // The peak that counts is remembered in parts of that time: it may be a few of them more.
        let times = self.now.since(began).as_secs_f64() / IDLE.as_secs_f64();
        1 << times.log2().round() as u32
    }
}

#[test]
fn a_worker_that_is_missed_soon_after_it_went_is_kept_twice_as_long_the_next_time() {
    let mut shop = UnderLoad::new();
    for times in [1, 2, 4, 8, 16, 16] {
        shop.grows();
        assert_eq!(shop.shrinks(), times);
    }
}

#[test]
fn one_that_is_missed_much_later_is_kept_no_longer() {
    let mut shop = UnderLoad::new();
    for _ in 0..3 {
        shop.grows();
        assert_eq!(shop.shrinks(), 1);
        (0..2000).for_each(|_| shop.see(0));
    }
}

#[test]
fn after_a_long_time_with_enough_to_do_it_goes_sooner_again() {
    let mut shop = UnderLoad::new();
    for times in [1, 2] {
        shop.grows();
        assert_eq!(shop.shrinks(), times);
    }
    shop.grows();
    // Both are needed for more than four times as long as one is kept.
    (0..8000).for_each(|_| shop.see(2));
    shop.shrinks();
    shop.grows();
    assert_eq!(shop.shrinks(), 4, "one time less than it would be");
}
