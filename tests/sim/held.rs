//! Memory holds growth back: the machine's, or the app's own limit. And what an older ostlerd has left is understood.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::plan::{Plan, WorkerRange};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, AppLoad, Event, MachineMemory, Moment, Observation, ProcessFact,
    ProcessId, Role, Start, Supervisor, WorkerLoad,
};

use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

const MIB: u64 = 1 << 20;
const MACHINE: MachineMemory = MachineMemory { total: 8000 * MIB, available: 6000 * MIB };

/// A supervisor whose one app has two workers of 100 MiB, and may have ten; and what was said since `at`.
struct Shop {
    supervisor: Supervisor,
    now: Moment,
    said: Vec<AppEventKind>,
}

impl Shop {
    fn with_limit(memory_max: Option<u64>) -> Shop {
        let mut plan = app_plan(&name(0), 1, &policy(&mut Rng::seeded(1)));
        plan.policy.workers = 2;
        plan.policy.range = Some(WorkerRange { min: 2, max: 10, idle: Duration::from_secs(60) });
        (plan.policy.resources.memory_max, plan.policy.max_rss) = (memory_max, None);
        let apps = BTreeMap::from([(name(0), Ok(plan))]);
        let supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
        let mut shop = Shop { supervisor, now: Moment::ZERO, said: Vec::new() };
        shop.tell(Event::TimePassed);
        let seen = Observation { rss: Some(100 * MIB), ..Observation::default() };
        shop.tell(Event::WorkersObserved { seen: vec![(ProcessId(1), seen), (ProcessId(2), seen)] });
        shop
    }

    fn tell(&mut self, event: Event) {
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::StartProcess(Start { process: worker, role: Role::Web, .. }) => {
                    self.tell(ProcessFact::Ready.of(worker))
                }
                Action::Announce(AppEvent { kind, .. }) => self.said.push(kind),
                _ => {}
            }
        }
    }

    /// For a while everybody is busy and many wait.
    fn is_pressed(&mut self, memory: Option<MachineMemory>, own: Option<u64>) {
        for _ in 0..20 {
            self.now = self.now + Duration::from_millis(200);
            let workers = (1..=2).map(|id| (ProcessId(id), WorkerLoad { in_flight: 1, cpu: None })).collect();
            let load = AppLoad { app: name(0), workers, waiting: Some(40), memory: own };
            self.tell(Event::LoadObserved { apps: vec![load], memory });
        }
    }

    fn held(&self) -> Vec<&str> {
        let held = self.said.iter().filter_map(|it| match it {
            AppEventKind::HeldByMemory { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
        held.collect()
    }

    fn wanted(&self) -> u32 {
        self.supervisor.view(self.now).apps[0].wanted
    }
}

#[test]
fn where_there_is_memory_nothing_is_held_back() {
    let mut shop = Shop::with_limit(Some(4000 * MIB));
    shop.is_pressed(Some(MACHINE), Some(200 * MIB));
    assert!(shop.wanted() > 4, "{:?}", shop.said);
    assert!(shop.held().is_empty(), "{:?}", shop.said);
}

#[test]
fn memory_holds_growth_back_and_says_so_once_and_whose_it_is() {
    let full = MachineMemory { available: 450 * MIB, ..MACHINE };
    for (limit, machine, words) in [
        (None, Some(full), "50 MiB of memory of the machine can be used and a worker takes 100 MiB"),
        (Some(300 * MIB), Some(MACHINE), "85 MiB of memory of the app's own limit can be used"),
    ] {
        let mut shop = Shop::with_limit(limit);
        shop.is_pressed(machine, Some(200 * MIB));
        assert_eq!(shop.wanted(), 2);
        assert!(matches!(shop.held()[..], [said] if said.contains(words)), "{:?}", shop.said);
        let held = shop.supervisor.view(shop.now).apps[0].scaling.clone().and_then(|it| it.held_back);
        assert!(held.is_some_and(|held| held.contains("40 connections wait, but")));
    }
}

#[test]
fn no_more_are_started_than_there_is_memory_for() {
    let mut shop = Shop::with_limit(None);
    shop.is_pressed(Some(MachineMemory { available: 550 * MIB, ..MACHINE }), None);
    let first = shop.said.iter().find_map(|it| match it {
        AppEventKind::ScaledByLoad { from, to, .. } => Some((*from, *to)),
        _ => None,
    });
    assert_eq!(first, Some((2, 3)), "{:?}", shop.said);
}
