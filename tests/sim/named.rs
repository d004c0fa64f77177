//! Releases that are named one after the other, and links that two apps share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ostler::plan::Plan;
use ostler::supervise::{
    Action, Command, Event, LinkFact, LinkOrder, LookAt, Moment, ReleaseLink, ReleaseRecord, RequestId,
    Supervisor,
};

use crate::links::folder;
use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

fn link() -> ReleaseLink {
    ReleaseLink { path: PathBuf::from("/srv/shop/current"), below: PathBuf::new() }
}

/// Apps whose directories lead through the same link.
fn started(apps: u64) -> Supervisor {
    let planned = |app| app_plan(&name(app), 0, &policy(&mut Rng::seeded(1)));
    let apps: Vec<u64> = (0..apps).collect();
    let plan =
        Plan { apps: apps.iter().map(|app| (name(*app), Ok(planned(*app)))).collect(), ..Plan::default() };
    let mut supervisor = Supervisor::new(plan, 1);
    supervisor.handle(Moment::ZERO, Event::TimePassed);
    for app in apps {
        let record = Box::new(ReleaseRecord::default());
        let leads_to = Some(folder(&name(0), 0));
        observed(&mut supervisor, app, LinkFact::Read { record, link: Some(link()), leads_to });
    }
    supervisor
}

fn observed(supervisor: &mut Supervisor, app: u64, fact: LinkFact) -> Vec<Action> {
    supervisor.handle(Moment::ZERO, Event::ReleaseLinkObserved { app: name(app), fact })
}

fn names(supervisor: &mut Supervisor, id: u64, app: u64, version: u64) -> Vec<Action> {
    let release = Some(folder(&name(0), version));
    let command = Command::Restart { app: name(app), release, accept_breakage: false };
    supervisor.handle(Moment::ZERO, Event::Requested { id: RequestId(id), command })
}

fn looked(version: u64) -> LinkFact {
    let (leads_to, text, to) = (Some(folder(&name(0), 0)), folder(&name(0), 0), folder(&name(0), version));
    LinkFact::Looked { link: link(), leads_to, text, to }
}

/// The orders about links, by app.
fn orders(actions: &[Action]) -> BTreeMap<String, Vec<LinkOrder>> {
    let mut orders = BTreeMap::<String, Vec<LinkOrder>>::new();
    for action in actions {
        if let Action::SwitchRelease { app, order } = action {
            orders.entry(app.to_string()).or_default().push(order.clone());
        }
    }
    orders
}

#[test]
fn each_release_that_is_named_is_looked_at_once_and_another_one_by_itself() {
    let mut supervisor = started(1);
    let mut actions = names(&mut supervisor, 1, 0, 1);
    actions.extend(names(&mut supervisor, 2, 0, 2));
    actions.extend(names(&mut supervisor, 3, 0, 1));
    for fact in [looked(1), LinkFact::Written, LinkFact::Moved] {
        actions.extend(observed(&mut supervisor, 0, fact));
    }
    let looks: Vec<LookAt> = orders(&actions)
        .into_values()
        .flatten()
        .filter_map(|it| if let LinkOrder::Look(at) = it { Some(at) } else { None })
        .collect();
    let release = |version| LookAt::Release(folder(&name(0), version));
    assert_eq!(looks, [release(1), release(2)], "{actions:?}");
}

#[test]
fn a_link_that_one_app_moves_is_moved_by_no_other_that_has_looked_at_it_before() {
    let mut supervisor = started(2);
    let looks = |actions: &[Action]| {
        matches!(orders(actions).into_values().flatten().next(), Some(LinkOrder::Look(_)))
    };
    for (id, app) in [(1, 0), (2, 1)] {
        let actions = names(&mut supervisor, id, app, 1);
        assert!(looks(&actions), "{actions:?}");
    }
    let actions = observed(&mut supervisor, 0, looked(1));
    assert!(
        matches!(orders(&actions)[name(0).as_str()].as_slice(), [LinkOrder::Write { .. }]),
        "{actions:?}"
    );
    let actions = observed(&mut supervisor, 1, looked(1));
    assert_eq!(orders(&actions), BTreeMap::new(), "it waits for its turn");
}
