//! Workers that are worn out, and old ones that die while a release comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::config::Surge;
use ostler::plan::{Plan, Policy};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Cause, Command, ConfigFound, Event, Exit, GenerationId, Moment,
    Observation, ProcessChange, ProcessFact, ProcessId, RequestId, Role, Start, Supervisor,
};

use crate::played::no_link;
use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

fn two_workers() -> Policy {
    let mut policy = policy(&mut Rng::seeded(1));
    (policy.workers, policy.range, policy.max_age, policy.max_requests) = (2, None, None, 0);
    (policy.max_rss, policy.hang_timeout, policy.request_timeout) = (Some(200 << 20), None, None);
    policy.restarts_per_minute = 60;
    policy.rollout.max_surge = Surge::Workers(1);
    policy
}

/// An app with two workers that serve.
struct TwoWorkers {
    supervisor: Supervisor,
    now: Moment,
    started: Vec<(ProcessId, GenerationId)>,
    draining: Vec<(ProcessId, Cause)>,
    /// How often all was given back that only others than the serving generation needed.
    given_back: usize,
}

impl TwoWorkers {
    fn new() -> TwoWorkers {
        let apps = BTreeMap::from([(name(0), Ok(app_plan(&name(0), 0, &two_workers())))]);
        let supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
        let (started, draining) = Default::default();
        let mut shop = TwoWorkers { supervisor, now: Moment::ZERO, started, draining, given_back: 0 };
        shop.tell(Event::TimePassed);
        shop.tell(no_link());
        shop.all_come_up();
        shop.tell(no_link());
        assert_eq!(shop.started.len(), 2);
        shop
    }

    fn all_come_up(&mut self) {
        for (process, _) in self.started.clone() {
            self.tell(ProcessFact::Ready.of(process));
        }
    }

    fn tell(&mut self, event: Event) {
        self.now = self.now + Duration::from_millis(100);
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::StartProcess(Start { role: Role::Web, process, generation, .. }) => {
                    self.started.push((process, generation));
                }
                Action::Announce(AppEvent { kind: AppEventKind::Process(event), .. }) => {
                    let drains = |change: &ProcessChange| match change {
                        ProcessChange::Draining { cause } => Some(*cause),
                        _ => None,
                    };
                    self.draining.extend(drains(&event.change).map(|cause| (event.process, cause)));
                }
                Action::KeepOnly { .. } => self.given_back += 1,
                _ => {}
            }
        }
    }

    /// Another release is configured.
    fn reload(&mut self) {
        self.tell(Event::Requested { id: RequestId(1), command: Command::Reload });
        let apps = BTreeMap::from([(name(0), app_plan(&name(0), 1, &two_workers()))]);
        self.tell(Event::ConfigRead { found: Box::new(Ok(ConfigFound { apps, ..ConfigFound::default() })) });
    }
}

#[test]
fn the_worker_that_is_worn_out_goes_when_another_one_is_ready_and_no_other_does() {
    let mut shop = TwoWorkers::new();
    // Not the one that would go if there were too many.
    let large = shop.started[1].0;
    let seen = Observation { rss: Some(300 << 20), ..Observation::default() };
    shop.tell(Event::WorkersObserved { seen: vec![(large, seen)] });
    assert_eq!((shop.started.len(), shop.draining.len()), (3, 0), "one more is started first");
    shop.all_come_up();
    assert_eq!(shop.draining, [(large, Cause::MaxRss)]);
}

#[test]
fn an_old_worker_that_dies_while_a_release_comes_in_is_made_good() {
    let mut shop = TwoWorkers::new();
    shop.reload();
    let [_, _, (_, new)] = shop.started[..] else { panic!("one of the new ones: {:?}", shop.started) };
    let (old, before) = shop.started[0];
    assert_ne!(new, before);
    shop.tell(ProcessFact::Exited(Exit::Signal(9)).of(old));
    assert_eq!(shop.started.last().map(|it| it.1), Some(before), "{:?}", shop.started);
}

#[test]
fn what_only_the_old_generation_needed_is_given_back_once_when_it_has_gone() {
    let mut shop = TwoWorkers::new();
    let before = shop.given_back;
    shop.reload();
    for _ in 0..100 {
        shop.now = shop.now + Duration::from_secs(1);
        for (process, _) in shop.started.clone() {
            shop.tell(ProcessFact::Loaded.of(process));
        }
        shop.all_come_up();
        for (process, _) in shop.draining.clone() {
            shop.tell(ProcessFact::Exited(Exit::Code(0)).of(process));
        }
    }
    let view = shop.supervisor.view(shop.now);
    assert!(view.apps[0].rollout.is_none() && view.apps[0].generation == Some(GenerationId(2)), "{view:?}");
    assert_eq!(shop.given_back - before, 1);
}
