//! What is said of a reload: while it is under way, and in the answer.

use std::collections::BTreeMap;

use ostler::plan::{AppPlan, Plan, Refusal};
use ostler::supervise::{
    Action, Command, ConfigFound, Event, FoundProcess, Moment, ProcessFact, ProcessId, RequestId, SlotStage,
    Supervisor,
};

use crate::played::no_link;
use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

fn planned(app: u64, version: u64) -> AppPlan {
    app_plan(&name(app), version, &policy(&mut Rng::seeded(1)))
}

fn tell(supervisor: &mut Supervisor, event: Event) -> Vec<Action> {
    supervisor.handle(Moment::ZERO, event)
}

/// One app that serves.
fn serving() -> Supervisor {
    let apps = BTreeMap::from([(name(0), Ok(planned(0, 0)))]);
    let mut supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
    tell(&mut supervisor, Event::TimePassed);
    tell(&mut supervisor, no_link());
    for process in 1..=8 {
        tell(&mut supervisor, ProcessFact::Ready.of(ProcessId(process)));
    }
    tell(&mut supervisor, no_link());
    supervisor
}

fn read(supervisor: &mut Supervisor, found: ConfigFound) -> Vec<Action> {
    tell(supervisor, Event::ConfigRead { found: Box::new(Ok(found)) })
}

fn found(version: u64) -> ConfigFound {
    ConfigFound { apps: BTreeMap::from([(name(0), planned(0, version))]), ..ConfigFound::default() }
}

fn answer(actions: &[Action]) -> String {
    let outcome = actions.iter().find_map(|it| match it {
        Action::Answer { outcome, .. } => Some(outcome.to_string()),
        _ => None,
    });
    outcome.unwrap_or_else(|| panic!("no answer: {actions:?}"))
}

fn reloaded(with: ConfigFound) -> String {
    let mut supervisor = serving();
    tell(&mut supervisor, Event::Requested { id: RequestId(1), command: Command::Reload });
    answer(&read(&mut supervisor, with))
}

#[test]
fn the_first_reading_of_one_that_takes_over_is_nobodys_reload() {
    let before = serving();
    let is_there = FoundProcess { alive: true, stage: Some(SlotStage::Ready) };
    let there = before.snapshot().processes().map(|(_, process, ..)| (process, is_there)).collect();
    let mut next = Supervisor::adopt(before.snapshot(), &there, Moment::ZERO, 1);
    tell(&mut next, Event::TimePassed);
    tell(&mut next, no_link());
    read(&mut next, found(1));
    let view = next.view(Moment::ZERO);
    assert!(view.apps[0].rollout.is_some() && !view.reloading, "{view:?}");

    let mut asked = serving();
    tell(&mut asked, Event::Requested { id: RequestId(1), command: Command::Reload });
    read(&mut asked, found(1));
    let view = asked.view(Moment::ZERO);
    assert!(view.apps[0].rollout.is_some() && view.reloading, "{view:?}");
}

#[test]
fn what_is_in_force_after_a_restart_only_is_named_in_the_answer() {
    let needs_restart = vec!["health.listen".to_owned()];
    let said = reloaded(ConfigFound { needs_restart, ..found(0) });
    assert!(said.contains("health.listen"), "{said}");
}

#[test]
fn whoever_goes_on_as_before_is_named_one_or_many() {
    let held = |apps: &[u64]| {
        let why = |app: &u64| (name(*app), Refusal::new(format!("{}: no such user", name(*app))));
        reloaded(ConfigFound { held: apps.iter().map(why).collect(), ..ConfigFound::default() })
    };
    let (one, both) = (held(&[0]), held(&[0, 1]));
    assert!(one.contains("this app goes on as before"), "{one}");
    assert!(both.contains("these apps go on as before"), "{both}");
    assert!(both.contains(name(0).as_str()) && both.contains(name(1).as_str()), "{both}");
}

#[test]
fn a_reload_that_changes_nothing_waits_for_the_rollout_that_brings_in_what_it_names() {
    let mut supervisor = serving();
    let mut reload = |id, version| {
        tell(&mut supervisor, Event::Requested { id: RequestId(id), command: Command::Reload });
        read(&mut supervisor, found(version))
    };
    reload(1, 1);
    let actions = reload(2, 1);
    assert!(!actions.iter().any(|it| matches!(it, Action::Answer { .. })), "{actions:?}");
}

#[test]
fn those_who_ask_for_a_reload_while_one_is_read_share_the_next_reading() {
    let mut supervisor = serving();
    let reads =
        |actions: &[Action]| actions.iter().filter(|it| matches!(it, Action::ReadConfig { .. })).count();
    let mut actions = Vec::new();
    for id in 1..=4 {
        actions
            .extend(tell(&mut supervisor, Event::Requested { id: RequestId(id), command: Command::Reload }));
    }
    assert_eq!(reads(&actions), 1);
    let second = read(&mut supervisor, found(0));
    let rest = read(&mut supervisor, found(0));
    assert_eq!((reads(&second), reads(&rest)), (1, 0));
    let answers = rest.iter().filter(|it| matches!(it, Action::Answer { .. })).count();
    assert_eq!(answers, 3, "{rest:?}");
}
