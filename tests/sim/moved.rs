//! Apps that come back while they stop, and links that go back while somebody reads what they lead to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ostler::plan::{AppPlan, Plan, Refusal};
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Command, ConfigFound, Event, Exit, LinkFact, LinkOrder, Moment,
    ProcessFact, ProcessId, ReleaseLink, ReleaseRecord, RequestId, Supervisor,
};

use crate::links::folder;
use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

fn planned(version: u64) -> AppPlan {
    app_plan(&name(0), version, &policy(&mut Rng::seeded(1)))
}

fn plan(app: AppPlan) -> Plan {
    Plan { apps: BTreeMap::from([(name(0), Ok(app))]), ..Plan::default() }
}

fn read(apps: Vec<AppPlan>) -> Event {
    let apps = apps.into_iter().map(|app| (name(0), app)).collect();
    Event::ConfigRead { found: Box::new(Ok(ConfigFound { apps, ..ConfigFound::default() })) }
}

fn observed(fact: LinkFact) -> Event {
    Event::ReleaseLinkObserved { app: name(0), fact }
}

fn link() -> ReleaseLink {
    ReleaseLink { path: PathBuf::from("/srv/shop/current"), below: PathBuf::new() }
}

fn first_read() -> Event {
    let record = Box::new(ReleaseRecord::default());
    observed(LinkFact::Read { record, link: Some(link()), leads_to: Some(folder(&name(0), 0)) })
}

fn asked(id: u64, command: Command) -> Event {
    Event::Requested { id: RequestId(id), command }
}

#[test]
fn an_app_that_comes_back_is_not_begun_from_the_release_that_its_link_was_moved_back_from() {
    let mut supervisor = Supervisor::new(plan(planned(0)), 1);
    let mut tell = |event| supervisor.handle(Moment::ZERO, event);
    tell(Event::TimePassed);
    tell(first_read());
    tell(asked(1, Command::Hangup));
    tell(asked(2, Command::Hangup));
    tell(asked(
        3,
        Command::Restart { app: name(0), release: Some(folder(&name(0), 1)), accept_breakage: false },
    ));
    let (leads_to, text, to) = (Some(folder(&name(0), 0)), folder(&name(0), 0), folder(&name(0), 1));
    tell(observed(LinkFact::Looked { link: link(), leads_to, text, to }));
    tell(observed(LinkFact::Written));
    tell(observed(LinkFact::Moved));

    // The app's file is gone; the link goes back while it is read again, and there again.
    let actions = tell(read(Vec::new()));
    let goes_back = |it: &Action| matches!(it, Action::SwitchRelease { order: LinkOrder::Move { to, .. }, .. } if *to == folder(&name(0), 0));
    assert!(actions.iter().any(goes_back), "{actions:?}");
    assert!(actions.iter().any(|it| matches!(it, Action::ReadConfig { .. })), "{actions:?}");
    let actions = tell(observed(LinkFact::Moved));
    let is_back =
        |it: &Action| matches!(it, Action::Announce(AppEvent { kind: AppEventKind::LinkPutBack, .. }));
    assert!(actions.iter().any(is_back), "{actions:?}");
    let mut actions = tell(observed(LinkFact::Written));
    for process in 1..=8 {
        actions.extend(tell(ProcessFact::Exited(Exit::Unknown).of(ProcessId(process))));
    }
    assert!(actions.iter().any(|it| matches!(it, Action::ReleaseApp { .. })), "{actions:?}");

    let mut actions = tell(read(vec![planned(1)]));
    actions.extend(tell(first_read()));
    assert!(actions.iter().any(|it| matches!(it, Action::Prepare { .. })), "{actions:?}");
    assert!(!actions.iter().any(|it| matches!(it, Action::StartProcess(_))), "{actions:?}");
}

#[test]
fn an_app_that_comes_back_and_cannot_be_looked_at_comes_back_as_it_was_read_last() {
    let mut supervisor = Supervisor::new(plan(planned(0)), 1);
    let mut tell = |event| supervisor.handle(Moment::ZERO, event);
    tell(Event::TimePassed);
    tell(first_read());
    for process in 1..=8 {
        tell(ProcessFact::Ready.of(ProcessId(process)));
    }
    // It serves now, which is written down.
    tell(first_read());
    tell(observed(LinkFact::Written));
    let reloads = |tell: &mut dyn FnMut(Event) -> Vec<Action>, id, found| {
        tell(asked(id, Command::Hangup));
        tell(found);
    };
    // Removed, it drains; then it is configured again with another release, and then nobody can tell with which.
    reloads(&mut tell, 1, read(Vec::new()));
    reloads(&mut tell, 2, read(vec![planned(1)]));
    let held = BTreeMap::from([(name(0), Refusal::new("no such user"))]);
    let found = Box::new(Ok(ConfigFound { held, ..ConfigFound::default() }));
    reloads(&mut tell, 3, Event::ConfigRead { found });
    let mut actions = Vec::new();
    for process in 1..=8 {
        actions.extend(tell(ProcessFact::Exited(Exit::Unknown).of(ProcessId(process))));
    }
    let begun = actions.iter().find_map(|it| match it {
        Action::StartProcess(start) => Some(start.blueprint.directory.clone()),
        _ => None,
    });
    assert_eq!(begun, Some(folder(&name(0), 1)), "{actions:?}");
}
