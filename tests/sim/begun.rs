//! First starts: what is said of them, and what is known afterwards.

use ostler::plan::Refusal;
use ostler::supervise::{AppEventKind, AppState, Command, Event};

use crate::played::{Shop, no_link};
use crate::scenario::name;

#[test]
fn a_first_start_is_under_way_before_any_worker_has_failed() {
    let mut shop = Shop::new();
    shop.has_run_before();
    shop.has_nothing_pending();
    let view = shop.supervisor.view(shop.now);
    assert_eq!((shop.rollouts(), view.apps[0].state), (1, AppState::Starting));
}

#[test]
fn that_an_app_serves_is_said_once_when_all_have_come_up() {
    let mut shop = Shop::new();
    shop.serves();
    let serving = |it: &&AppEventKind| matches!(it, AppEventKind::Serving { .. });
    assert_eq!(shop.said.iter().filter(serving).count(), 1, "{:?}", shop.said);
    let last = shop.supervisor.view(shop.now).apps[0].last_rollout.clone();
    assert!(last.is_some_and(|it| it.committed), "that is how the start ended");
}

#[test]
fn a_start_that_ends_well_does_not_hide_that_something_was_refused_since() {
    let mut shop = Shop::new();
    shop.has_run_before();
    shop.has_nothing_pending();
    shop.asks(Command::restart(name(0)));
    shop.tell(no_link());
    let prepared = Box::new(Err(Refusal::new("no module named goods")));
    shop.tell(Event::AppPrepared { app: name(0), prepared });
    shop.comes_up();
    let view = shop.supervisor.view(shop.now).apps[0].clone();
    assert_eq!(view.state, AppState::Serving);
    let last = view.last_rollout.expect("something was tried");
    assert_eq!(last.reason.as_deref(), Some("no module named goods"));
}
