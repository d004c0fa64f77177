//! What a process that workers are forked from runs before it forks.

use std::collections::BTreeMap;
use std::sync::Arc;

use ostler::plan::{AppPlan, Hook, Plan, Preload};
use ostler::supervise::{
    Action, Command, ConfigFound, Event, Moment, ProcessFact, RequestId, Role, Supervisor,
};

use crate::played::no_link;
use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

fn planned(version: u64) -> AppPlan {
    let mut policy = policy(&mut Rng::seeded(1));
    (policy.workers, policy.range) = (1, None);
    let mut plan = app_plan(&name(0), version, &policy);
    let mut blueprint = (*plan.blueprint).clone();
    (blueprint.preload, blueprint.hooks) = (Preload::Settings, vec![Hook::OnStarting, Hook::OnReload]);
    plan.blueprint = Arc::new(blueprint);
    plan
}

/// The first hook of each zygote that is started; whatever is started comes up.
fn tell(supervisor: &mut Supervisor, event: Event) -> Vec<Hook> {
    let (mut events, mut first) = (vec![event], Vec::new());
    while let Some(event) = events.pop() {
        for action in supervisor.handle(Moment::ZERO, event) {
            if let Action::StartProcess(start) = action {
                let is_zygote = matches!(start.role, Role::Zygote(_));
                first.extend(start.first.filter(|_| is_zygote).map(|due| due.hook));
                let facts = [ProcessFact::Ready, ProcessFact::Forked];
                events.extend(facts.map(|fact| fact.of(start.process)));
            }
        }
    }
    first
}

#[test]
fn the_first_generation_is_started_and_each_later_one_is_a_reload() {
    let apps = BTreeMap::from([(name(0), Ok(planned(0)))]);
    let mut supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
    assert_eq!(tell(&mut supervisor, Event::TimePassed), [Hook::OnStarting]);
    for _ in 0..2 {
        tell(&mut supervisor, no_link());
    }
    tell(&mut supervisor, Event::Requested { id: RequestId(1), command: Command::Reload });
    let apps = BTreeMap::from([(name(0), planned(1))]);
    let found = Box::new(Ok(ConfigFound { apps, ..ConfigFound::default() }));
    assert_eq!(tell(&mut supervisor, Event::ConfigRead { found }), [Hook::OnReload]);
}
