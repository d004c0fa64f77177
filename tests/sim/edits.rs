//! However a configuration is edited, what runs in the end is what a fresh start with the last one runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ostler::config::{Address, AppName, Listen, Origin};
use ostler::plan::{Blueprint, Effect, Plan, Resources, diff};
use ostler::supervise::{
    Action, AppState, Command, Event, Exit, LinkFact, Moment, Outcome, ProcessFact, ProcessId, RequestId,
    Start, Supervisor,
};

use crate::reading::found;
use crate::rng::Rng;
use crate::scenario::{app_plan, kind_of_zygote, name, policy};

/// Workers that do as they are told, at once.
struct Calm {
    supervisor: Supervisor,
    now: Moment,
    facts: VecDeque<Event>,
    running: BTreeMap<ProcessId, Arc<Blueprint>>,
    limits: BTreeMap<AppName, Resources>,
    answers: BTreeMap<RequestId, Outcome>,
    files: Plan,
}

impl Calm {
    fn started(plan: Plan) -> Calm {
        let facts = VecDeque::from([Event::TimePassed]);
        let (files, supervisor) = (plan.clone(), Supervisor::new(plan, 1));
        let (running, limits, answers) = Default::default();
        Calm { supervisor, now: Moment::ZERO, facts, running, limits, answers, files }
    }

    fn tell(&mut self, event: Event) {
        let mut read = None;
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::StartProcess(Start { process: worker, blueprint, hold, .. }) => {
                    assert!(self.limits.contains_key(&blueprint.app), "started before it was limited");
                    self.running.insert(worker, blueprint);
                    let ready = ProcessFact::Ready.of(worker);
                    self.facts.push_back(if hold { ProcessFact::Loaded.of(worker) } else { ready });
                }
                Action::Limit { app, resources } => {
                    assert_ne!(self.limits.insert(app, resources), Some(resources), "told twice");
                }
                Action::ReadConfig { keep, .. } => read = Some(found(self.files.clone(), &keep)),
                Action::SwitchRelease { app, .. } => {
                    let (record, link, leads_to) = Default::default();
                    let fact = LinkFact::Read { record, link, leads_to };
                    self.facts.push_back(Event::ReleaseLinkObserved { app, fact });
                }
                Action::ReleaseApp { app } => drop(self.limits.remove(&app)),
                Action::AdmitWorker { worker } => self.facts.push_back(ProcessFact::Ready.of(worker)),
                Action::StopAccepting { app } => self.facts.push_back(Event::QueueEmptied { app }),
                Action::SignalProcess { process: worker, .. } if self.running.remove(&worker).is_some() => {
                    self.facts.push_back(ProcessFact::Exited(Exit::Code(0)).of(worker));
                }
                Action::Answer { id, outcome } => {
                    assert!(self.answers.insert(id, outcome).is_none(), "answered twice");
                }
                _ => {}
            }
        }
        if let Some(found) = read {
            self.tell(Event::ConfigRead { found: Box::new(Ok(found)) });
        }
    }

    /// One thing happens; false where nothing is left to.
    fn step(&mut self) -> bool {
        if let Some(fact) = self.facts.pop_front() {
            self.tell(fact);
            return true;
        }
        let Some(due) = self.supervisor.next_deadline() else { return false };
        self.now = self.now.max(due);
        self.tell(Event::TimePassed);
        true
    }

    fn settle(&mut self) {
        const STEPS: usize = 100_000;
        assert!((0..STEPS).any(|_| !self.step()), "it never comes to rest");
    }

    /// What runs, by app: how it is, and from what its workers were started.
    fn picture(&self) -> BTreeMap<AppName, (AppState, Vec<Arc<Blueprint>>)> {
        let view = self.supervisor.view(self.now);
        let of = |app: &AppName| self.running.values().filter(|it| it.app == *app).cloned().collect();
        view.apps.iter().map(|app| (app.name.clone(), (app.state, of(&app.name)))).collect()
    }
}

/// A valid plan that differs in one thing, or in nothing.
fn edited(rng: &mut Rng, plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let app = name(rng.below(3));
    let Some(Ok(old)) = plan.apps.get_mut(&app) else {
        let mut fresh = app_plan(&app, 1, &policy(rng));
        fresh.policy.max_age = None;
        plan.apps.insert(app, Ok(fresh));
        return plan;
    };
    let mut blueprint = (*old.blueprint).clone();
    match rng.below(8) {
        0 => old.policy.workers = rng.within(1, 6) as u32,
        1 => {
            let workers = old.policy.workers;
            old.policy = policy(rng);
            (old.policy.workers, old.policy.max_age) = (workers, None);
            old.policy.resources.memory_max = rng.chance(0.5).then(|| rng.within(1, 4) << 30);
        }
        2 => {
            blueprint.env.insert("WORD".to_owned(), rng.below(5).to_string());
        }
        3 => blueprint.umask = rng.below(64) as u32,
        4 => {
            let port = rng.within(8000, 8003) as u16;
            let address = Address::Tcp(([127, 0, 0, 1], port).into());
            blueprint.listen = vec![Listen { address, mode: None, backlog: 2048, origin: Origin::File }];
        }
        6 => blueprint.preload = kind_of_zygote(rng.below(3)),
        5 if plan.apps.len() > 1 => {
            plan.apps.remove(&app);
            return plan;
        }
        _ => {}
    }
    if let Some(Ok(old)) = plan.apps.get_mut(&app) {
        old.blueprint = Arc::new(blueprint);
    }
    plan
}

#[test]
fn after_any_edits_what_runs_is_what_a_fresh_start_runs() {
    for seed in 0..20 {
        let mut rng = Rng::seeded(seed);
        let mut plan = edited(&mut rng, &Plan::default());
        let mut calm = Calm::started(plan.clone());
        for edit in 0..200 {
            plan = edited(&mut rng, &plan);
            let told = calm.supervisor.changes(&plan);
            let before = calm.running.clone();
            calm.files = plan.clone();
            calm.tell(Event::Requested { id: RequestId(edit), command: Command::Hangup });
            if told.iter().all(|change| change.effect == Effect::Nothing) && calm.facts.is_empty() {
                assert_eq!(calm.running, before, "seed {seed}: nothing was announced");
            }
            // Often the next edit comes while this one is still being brought in.
            for _ in 0..rng.below(40) {
                calm.step();
            }
        }
        calm.settle();
        let mut fresh = Calm::started(plan.clone());
        fresh.settle();
        assert_eq!(calm.supervisor.plan(), plan, "seed {seed}");
        assert_eq!(calm.picture(), fresh.picture(), "seed {seed}");
        assert_eq!(calm.limits, fresh.limits, "seed {seed}: the limits in force are those of the last plan");
        assert!(diff(&calm.supervisor.plan(), &plan).iter().all(|it| it.effect == Effect::Nothing));
        assert_eq!(calm.answers.len(), 200, "seed {seed}: every reload is answered");
    }
}
