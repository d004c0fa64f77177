//! A shop of sync workers in front of which clients queue, and the real core that decides how many there are.
//!
//! Clients come at random by the shape, and are served for 0.1 s on average, most for less, some for much longer. A
//! seed decides all of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::{
    AppPlan, Blueprint, Fingerprint, Plan, Policy, Readiness, Resources, RolloutPolicy, WorkerClass,
    WorkerRange,
};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, AppLoad, Event, Exit, MachineMemory, Moment, ProcessFact, ProcessId,
    Role, Start, Supervisor, WorkerLoad,
};

use crate::shape::{MOST, Shape};

/// How long a client is served on average.
pub(crate) const SERVICE: f64 = 0.1;

/// How many workers there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Workers {
    Fixed(u32),
    Range { min: u32, max: u32 },
}

/// What came of a shape.
pub(crate) struct Run {
    /// How long each client waited, in seconds, sorted.
    pub(crate) waits: Vec<f64>,
    /// When how many workers were wanted: each change.
    pub(crate) wanted: Vec<(f64, u32)>,
    /// When each wait began, and how long it was, of those that were worth it.
    pub(crate) waited: Vec<(f64, f64)>,
    /// Seconds of all workers together.
    pub(crate) paid: f64,
}

impl Run {
    /// The wait that so large a share of the clients did not exceed.
    pub(crate) fn wait(&self, share: f64) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        self.waits.get((last as f64 * share) as usize).copied().unwrap_or(0.0)
    }

    pub(crate) fn most(&self) -> u32 {
        self.wanted.iter().map(|(_, wanted)| *wanted).max().unwrap_or(0)
    }

    pub(crate) fn changes(&self) -> usize {
        self.wanted.len().saturating_sub(1)
    }

    /// How often there were more soon after there had been fewer: workers that should not have gone.
    pub(crate) fn regrets(&self, from: f64) -> usize {
        let steps: Vec<(f64, bool)> =
            self.wanted.windows(2).map(|pair| (pair[1].0, pair[1].1 > pair[0].1)).collect();
        steps.windows(2).filter(|pair| !pair[0].1 && pair[1].1 && pair[1].0 >= from).count()
    }
}

/// The core's own: a shape is judged by what it does with its seeds, which have to mean the same in every version.
struct Random(ostler::supervise::Random);

impl Random {
    /// From 0 to 1, without either.
    fn share(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1u64 << 53) as f64 + f64::MIN_POSITIVE
    }

    /// A time that is `mean` on average and forgets how long it has been.
    fn time(&mut self, mean: f64) -> f64 {
        -self.share().ln() * mean
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Worker {
    ready: bool,
    busy: bool,
    draining: bool,
    started: u64,
}

/// What happens at a moment, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Booted(ProcessId),
    Served(ProcessId),
}

struct Model {
    core: Supervisor,
    random: Random,
    boot: u64,
    now: u64,
    due: BinaryHeap<Reverse<(u64, Due)>>,
    workers: BTreeMap<ProcessId, Worker>,
    queue: VecDeque<u64>,
    facts: VecDeque<Event>,
    /// When the core wants to be called, and when it wants to know the load of which apps.
    deadline: Option<u64>,
    look: Option<(u64, Vec<AppName>)>,
    run: Run,
}

/// Lets the clients of a shape come to so many workers, each of which takes `boot` to be there.
pub(crate) fn run(shape: &Shape, workers: Workers, boot: Duration, seed: u64) -> Run {
    let mut model = Model::new(workers, boot, seed);
    model.go(shape, shape.seconds);
    let left: Vec<ProcessId> = model.workers.keys().copied().collect();
    left.into_iter().for_each(|worker| model.pay(worker));
    model.run.waits.sort_by(f64::total_cmp);
    model.run
}

/// How many seconds after all workers got something to do that does not end, and so many clients more came who wait,
/// there are more workers. Before it nobody came for `quiet` seconds.
pub(crate) fn noticed(workers: Workers, quiet: f64, waiting: usize) -> f64 {
    let nobody = Shape { name: "nobody", seconds: quiet + 30.0, rate: |_| 0.0 };
    let mut model = Model::new(workers, Duration::from_millis(20), 0);
    model.go(&nobody, quiet);
    model.now = (quiet * 1e6) as u64;
    model.workers.values_mut().for_each(|it| it.busy = true);
    model.queue.extend(std::iter::repeat_n(model.now, waiting));
    model.go(&nobody, nobody.seconds);
    model.run.wanted.get(1).map_or(f64::INFINITY, |(at, _)| at - quiet)
}

impl Model {
    fn new(workers: Workers, boot: Duration, seed: u64) -> Model {
        let first = match workers {
            Workers::Fixed(count) => count,
            Workers::Range { min, .. } => min,
        };
        let (waits, waited) = Default::default();
        Model {
            core: Supervisor::new(plan(workers), seed),
            random: Random(ostler::supervise::Random::seeded(seed)),
            boot: boot.as_micros() as u64,
            now: 0,
            due: BinaryHeap::new(),
            workers: BTreeMap::new(),
            queue: VecDeque::new(),
            facts: VecDeque::from([Event::TimePassed]),
            deadline: None,
            look: None,
            run: Run { waits, wanted: vec![(0.0, first)], waited, paid: 0.0 },
        }
    }

    fn go(&mut self, shape: &Shape, until: f64) {
        let end = (until * 1e6) as u64;
        // Nobody comes before the first workers are there.
        let mut arrival = 5_000_000;
        while self.now < end {
            self.hear();
            let look_at = self.look.as_ref().map(|(at, _)| *at);
            let due = self.due.peek().map(|Reverse((at, _))| *at);
            let next =
                [look_at, self.deadline, due].into_iter().flatten().fold(arrival, u64::min).max(self.now);
            self.now = next;
            if due.is_some_and(|at| at <= next) {
                self.happens();
            } else if arrival <= next {
                arrival = self.arrives(shape);
            } else if look_at.is_some_and(|at| at <= next) {
                let apps = self.look.take().map(|(_, apps)| apps).unwrap_or_default();
                let event = self.look(apps);
                self.facts.push_back(event);
            } else {
                self.facts.push_back(Event::TimePassed);
            }
        }
    }

    /// Tells the core what has become known.
    fn hear(&mut self) {
        if self.facts.is_empty() {
            return;
        }
        while let Some(fact) = self.facts.pop_front() {
            for action in self.core.handle(Moment::at(Duration::from_micros(self.now)), fact) {
                self.perform(action);
            }
        }
        let micros = |at: Moment| at.since_origin().as_micros() as u64;
        self.deadline = self.core.next_deadline().map(|at| micros(at) + 1);
        self.look = self.core.next_load_look().map(|look| (micros(look.due), look.apps));
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::StartProcess(Start { process: worker, role: Role::Web, .. }) => {
                self.workers.insert(worker, Worker { started: self.now, ..Worker::default() });
                self.due.push(Reverse((self.now + self.boot, Due::Booted(worker))));
            }
            Action::SignalProcess { process: worker, .. } => {
                let Some(it) = self.workers.get_mut(&worker) else { return };
                it.draining = true;
                if !it.busy {
                    self.leaves(worker);
                }
            }
            Action::Announce(AppEvent { kind: AppEventKind::ScaledByLoad { to, .. }, .. }) => {
                self.run.wanted.push((self.now as f64 / 1e6, to));
            }
            _ => {}
        }
    }

    fn happens(&mut self) {
        let Some(Reverse((_, due))) = self.due.pop() else { return };
        match due {
            Due::Booted(worker) => {
                let Some(it) = self.workers.get_mut(&worker) else { return };
                it.ready = true;
                self.facts.push_back(ProcessFact::Ready.of(worker));
                self.free(worker);
            }
            Due::Served(worker) => self.free(worker),
        }
    }

    /// A worker has time: whoever has waited longest is next.
    fn free(&mut self, worker: ProcessId) {
        let Some(it) = self.workers.get_mut(&worker) else { return };
        it.busy = false;
        if it.draining {
            return self.leaves(worker);
        }
        if let Some(since) = self.queue.pop_front() {
            self.serves(worker, since);
        }
    }

    fn serves(&mut self, worker: ProcessId, since: u64) {
        let wait = (self.now - since) as f64 / 1e6;
        self.run.waits.push(wait);
        if wait > 0.05 {
            self.run.waited.push((since as f64 / 1e6, wait));
        }
        if let Some(it) = self.workers.get_mut(&worker) {
            it.busy = true;
        }
        let takes = (self.random.time(SERVICE) * 1e6) as u64;
        self.due.push(Reverse((self.now + takes, Due::Served(worker))));
    }

    fn leaves(&mut self, worker: ProcessId) {
        self.pay(worker);
        self.workers.remove(&worker);
        self.facts.push_back(ProcessFact::Exited(Exit::Code(0)).of(worker));
    }

    fn pay(&mut self, worker: ProcessId) {
        let started = self.workers.get(&worker).map_or(self.now, |it| it.started);
        self.run.paid += (self.now - started) as f64 / 1e6;
    }

    /// Somebody comes, or at this moment of the shape does not; when the next may.
    fn arrives(&mut self, shape: &Shape) -> u64 {
        let rate = (shape.rate)(self.now as f64 / 1e6);
        if self.random.share() < rate / MOST {
            let free = self.workers.iter().find(|(_, it)| it.ready && !it.busy && !it.draining);
            match free.map(|(worker, _)| *worker) {
                Some(worker) => self.serves(worker, self.now),
                None => self.queue.push_back(self.now),
            }
        }
        self.now + (self.random.time(1.0 / MOST) * 1e6) as u64
    }

    fn look(&self, apps: Vec<AppName>) -> Event {
        let load = |(worker, it): (&ProcessId, &Worker)| {
            (*worker, WorkerLoad { in_flight: it.busy.into(), cpu: None })
        };
        let one = |app| AppLoad {
            app,
            workers: self.workers.iter().map(load).collect(),
            waiting: Some(self.queue.len() as u32),
            memory: None,
        };
        let memory = MachineMemory { total: 64 << 30, available: 48 << 30 };
        Event::LoadObserved { apps: apps.into_iter().map(one).collect(), memory: Some(memory) }
    }
}

fn plan(workers: Workers) -> Plan {
    let name: AppName = "shop".parse().expect("a valid name");
    let (workers, range) = match workers {
        Workers::Fixed(count) => (count, None),
        Workers::Range { min, max } => {
            (min, Some(WorkerRange { min, max, idle: Duration::from_secs(5 * 60) }))
        }
    };
    let policy = Policy {
        no_migrations: None,
        workers,
        range,
        hang_timeout: None,
        request_timeout: None,
        drain_timeout: Duration::from_secs(30),
        keepalive: Duration::ZERO,
        quiet_drain: None,
        max_requests: 0,
        max_requests_jitter: 0,
        max_age: None,
        max_rss: None,
        restarts_per_minute: 60,
        rollout: RolloutPolicy::default(),
        readiness: Readiness::default(),
        resources: Resources::default(),
    };
    let blueprint = Arc::new(blueprint(&name));
    let apps = BTreeMap::from([(name, Ok(AppPlan { blueprint, policy, migrate: None }))]);
    Plan { apps, ..Plan::default() }
}

fn blueprint(app: &AppName) -> Blueprint {
    Blueprint {
        app: app.clone(),
        directory: PathBuf::from("/srv"),
        python: PathBuf::from("/usr/bin/python3"),
        entry: "wsgi:application".to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        account: None,
        umask: 0o022,
        limits: ostler::plan::ProcessLimits::default(),
        listen: Vec::new(),
        class: WorkerClass::Sync,
        capacity: Some(1),
        gunicorn: "27.0.1".to_owned(),
        probe: None,
        log_file: None,
        preload: ostler::plan::Preload::Nothing,
        processes: Default::default(),
        no_new_privileges: true,
        image: None,
        hooks: Vec::new(),
        release: Fingerprint::default(),
    }
}
