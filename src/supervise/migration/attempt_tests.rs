use std::collections::BTreeMap;

use super::*;
use crate::plan::MigrateCommand;

fn at(seconds: u64) -> Moment {
    Moment::at(Duration::from_secs(seconds))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn migrate() -> Migrate {
    Migrate {
        command: MigrateCommand::Django,
        databases: Vec::new(),
        post_deploy: Vec::new(),
        budgets: Budgets::default(),
        breaking: Default::default(),
        overrides: BTreeMap::new(),
        marker: true,
    }
}

fn rules(migrate: &Migrate, vendor: Vendor, sight: Sight) -> Rules<'_> {
    Rules { migrate, vendor, sight, clock: at(0), lock_timeout: None, serves: true }
}

fn applying(atomic: bool) -> Attempt {
    let mut attempt = Attempt::started(at(0), 0);
    let name = "shop.0007_price".to_owned();
    attempt.progressed(at(0), Step::Migration { name, number: 1, of: 1, atomic });
    attempt
}

/// It works, and is looked at, up to this moment.
fn busy_until(attempt: &mut Attempt, now: Moment) {
    see(attempt, now, DatabaseLook { working: true, ..DatabaseLook::default() });
}

/// A look at the place where it is.
fn see(attempt: &mut Attempt, now: Moment, look: DatabaseLook) {
    attempt.looked(now, DatabaseLook { place: attempt.place, backends: 1, ..look });
}

#[test]
fn harm_ends_whatever_is_under_way() {
    let migrate = migrate();
    for (vendor, atomic) in [(Vendor::Postgresql, true), (Vendor::Postgresql, false), (Vendor::Mysql, false)]
    {
        let mut attempt = applying(atomic);
        let rules = rules(&migrate, vendor, Sight::Watched);
        see(
            &mut attempt,
            at(1),
            DatabaseLook { harm: Some(Duration::from_millis(2900)), ..DatabaseLook::default() },
        );
        assert_eq!(attempt.judge(at(1), &rules), None);
        see(&mut attempt, at(2), DatabaseLook { harm: Some(secs(3)), ..DatabaseLook::default() });
        assert_eq!(attempt.judge(at(2), &rules), Some(Finding::Abort(AbortReason::Hold(secs(3)))));
        // Where it waits itself, it harms by its place in the queue.
        let waiting = Some(Duration::from_millis(800));
        see(&mut attempt, at(3), DatabaseLook { harm: Some(secs(3)), waiting, ..DatabaseLook::default() });
        assert_eq!(attempt.judge(at(3), &rules), Some(Finding::Abort(AbortReason::Harm(secs(3)))));
    }
}

#[test]
fn one_that_does_not_tell_how_far_it_is_is_not_ended_for_its_time() {
    let migrate = migrate();
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    let late = at(10_000);
    let mut seen = applying(true);
    busy_until(&mut seen, late);
    assert!(matches!(seen.judge(late, &rules), Some(Finding::Abort(AbortReason::Timeout(_)))));
    let mut unseen = Attempt::started(at(0), 0);
    unseen.progressed(at(0), Step::Unseen { words: "no apply_migration".to_owned() });
    busy_until(&mut unseen, late);
    assert!(matches!(unseen.judge(late, &rules), Some(Finding::Warn(_))));
    see(&mut unseen, late, DatabaseLook { harm: Some(secs(3)), ..DatabaseLook::default() });
    assert_eq!(unseen.judge(late, &rules), Some(Finding::Abort(AbortReason::Hold(secs(3)))));
}

#[test]
fn a_wait_for_a_lock_is_short_where_it_is_atomic_and_longer_where_not() {
    let migrate = migrate();
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    for (atomic, limit) in [(true, 3), (false, 60)] {
        let mut attempt = applying(atomic);
        let waiting =
            |seconds| DatabaseLook { waiting: Some(secs(seconds)), working: true, ..DatabaseLook::default() };
        see(&mut attempt, at(1), waiting(limit - 1));
        assert_eq!(attempt.judge(at(1), &rules), None);
        see(&mut attempt, at(2), waiting(limit));
        let expected = Some(Finding::Abort(AbortReason::LockWait(secs(limit))));
        assert_eq!(attempt.judge(at(2), &rules), expected);
    }
}

#[test]
fn what_can_be_rolled_back_is_ended_for_time_and_the_rest_is_reported_once() {
    let migrate = migrate();
    let expected = |vendor, atomic| {
        let rules = rules(&migrate, vendor, Sight::Watched);
        let mut attempt = applying(atomic);
        busy_until(&mut attempt, at(299));
        assert_eq!(attempt.judge(at(299), &rules), None);
        busy_until(&mut attempt, at(300));
        let first = attempt.judge(at(300), &rules);
        (first, attempt.judge(at(300), &rules))
    };
    let ended = Some(Finding::Abort(AbortReason::Timeout(secs(300))));
    assert_eq!(expected(Vendor::Postgresql, true).0, ended);
    assert_eq!(expected(Vendor::Sqlite, true).0, ended);
    for (vendor, atomic) in [(Vendor::Postgresql, false), (Vendor::Mysql, false), (Vendor::Mysql, true)] {
        let (first, second) = expected(vendor, atomic);
        assert!(matches!(first, Some(Finding::Warn(_))), "{first:?}");
        assert_eq!(second, None);
    }
}

#[test]
fn a_stall_is_said_at_half_its_time_and_ended_where_somebody_sees_it_and_that_undoes_it() {
    let migrate = migrate();
    let cases = [
        (Sight::Watched, Vendor::Postgresql, true, true),
        (Sight::None, Vendor::Postgresql, true, true),
        (Sight::Blind, Vendor::Postgresql, true, false),
        (Sight::Watched, Vendor::Postgresql, false, false),
        (Sight::Watched, Vendor::Mysql, true, false),
    ];
    for (sight, vendor, atomic, ends) in cases {
        let rules = rules(&migrate, vendor, sight);
        let mut attempt = applying(atomic);
        let seen = |attempt: &mut Attempt, now| see(attempt, now, DatabaseLook::default());
        seen(&mut attempt, at(60));
        assert!(matches!(attempt.judge(at(60), &rules), Some(Finding::Warn(_))));
        seen(&mut attempt, at(119));
        assert_eq!(attempt.judge(at(119), &rules), None);
        seen(&mut attempt, at(120));
        let ended = ends.then_some(Finding::Abort(AbortReason::Stall(secs(120))));
        assert_eq!(attempt.judge(at(120), &rules), ended);
    }
}

#[test]
fn a_backend_at_work_is_no_stall_and_no_look_at_all_is_no_watch() {
    let migrate = migrate();
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    let mut attempt = applying(false);
    for now in (0..290).step_by(10) {
        busy_until(&mut attempt, at(now));
        assert_eq!(attempt.judge(at(now), &rules), None);
    }
    assert_eq!(attempt.judge(at(310), &rules), Some(Finding::Unseen(LONGEST_SILENCE)));
}

#[test]
fn a_deadline_leads_to_a_finding() {
    let migrate = migrate();
    for sight in [Sight::Watched, Sight::Blind, Sight::None] {
        for vendor in [Vendor::Postgresql, Vendor::Mysql] {
            let rules = rules(&migrate, vendor, sight);
            let mut attempt = applying(vendor == Vendor::Postgresql);
            for _ in 0..10 {
                let Some(due) = attempt.due(&rules) else { break };
                match attempt.judge(due, &rules) {
                    Some(Finding::Warn(_)) => {}
                    Some(_) => break,
                    None => panic!("nothing is found at {due}: {attempt:?}"),
                }
            }
        }
    }
}

#[test]
fn a_look_judges_only_the_place_that_it_was_taken_of() {
    let migrate = migrate();
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    let waiting = |place| DatabaseLook {
        place,
        waiting: Some(secs(50)),
        harm: Some(secs(50)),
        ..DatabaseLook::default()
    };
    let next = |attempt: &mut Attempt| {
        let name = "shop.0008_weight".to_owned();
        attempt.progressed(at(51), Step::Applied { seconds: 51.0 });
        attempt.progressed(at(51), Step::Migration { name, number: 2, of: 2, atomic: true });
    };
    // What waited has had its lock: neither what was seen of it counts for the next, nor what comes late.
    let mut attempt = applying(false);
    let before = waiting(attempt.place);
    attempt.looked(at(50), before.clone());
    next(&mut attempt);
    assert_eq!(attempt.judge(at(51), &rules), None);
    attempt.looked(at(52), before);
    assert_eq!(attempt.judge(at(52), &rules), None);
    let now = waiting(attempt.place);
    attempt.looked(at(53), now);
    assert!(matches!(attempt.judge(at(53), &rules), Some(Finding::Abort(_))));
    // Nor does it for the next operation of the same, nor for the next try.
    let mut attempt = applying(false);
    let before = waiting(attempt.place);
    attempt.progressed(at(1), Step::Operation { number: 2, of: 2, words: String::new(), runs: None });
    attempt.looked(at(2), before.clone());
    assert_eq!(attempt.judge(at(2), &rules), None);
    let mut again = Attempt::started(at(3), attempt.place + 1);
    again.looked(at(4), before);
    assert_eq!(again.judge(at(4), &rules), None);
}

#[test]
fn a_concurrent_index_waits_as_long_as_nobody_waits_behind_it() {
    let mut migrate = migrate();
    let wait = |seconds| DatabaseLook {
        waiting: Some(secs(seconds)),
        concurrent: true,
        working: true,
        ..DatabaseLook::default()
    };
    let mut attempt = applying(false);
    for seconds in [59, 60, 600, 6000] {
        let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
        see(&mut attempt, at(1), wait(seconds));
        let said = attempt.judge(at(1), &rules);
        assert_eq!(matches!(said, Some(Finding::Warn(_))), seconds == 60, "{said:?}");
        assert!(!matches!(said, Some(Finding::Abort(_))), "{said:?}");
    }
    let mut harms = applying(false);
    see(&mut harms, at(1), DatabaseLook { blocked: 1, harm: Some(secs(3)), ..wait(60) });
    let rules_of = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    assert!(matches!(harms.judge(at(1), &rules_of), Some(Finding::Abort(AbortReason::Harm(_)))));
    // Unless somebody has said how long this very one may.
    let own = crate::plan::Override { lock_wait: Some(secs(90)), ..crate::plan::Override::default() };
    migrate.overrides.insert("shop.0007_price".to_owned(), own);
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    let mut bounded = applying(false);
    see(&mut bounded, at(1), wait(90));
    assert!(matches!(bounded.judge(at(1), &rules), Some(Finding::Abort(AbortReason::LockWait(_)))));
}

#[test]
fn no_time_counts_as_long_as_nobody_is_served_and_nobody_else_is_connected() {
    let migrate = migrate();
    let alone = DatabaseLook { working: true, clients: Some(0), ..DatabaseLook::default() };
    for (serves, clients, ends) in
        [(false, Some(0), false), (true, Some(0), true), (false, Some(1), true), (false, None, true)]
    {
        let rules = Rules { serves, ..rules(&migrate, Vendor::Postgresql, Sight::Watched) };
        let mut attempt = applying(true);
        let mut ended = false;
        for now in (0..4000).step_by(10) {
            see(&mut attempt, at(now), DatabaseLook { clients, ..alone.clone() });
            ended |= attempt.judge(at(now), &rules).is_some();
            assert!(attempt.due(&rules).is_some_and(|due| due > at(now)) || ended);
        }
        assert_eq!(ended, ends, "{serves} {clients:?}");
    }
    // From when somebody is there, it counts.
    let rules = Rules { serves: false, ..rules(&migrate, Vendor::Postgresql, Sight::Watched) };
    let mut attempt = applying(true);
    see(&mut attempt, at(3000), alone.clone());
    for (now, ends) in [(3010, false), (3299, false), (3300, true)] {
        see(&mut attempt, at(now), DatabaseLook { clients: Some(1), ..alone.clone() });
        assert_eq!(attempt.judge(at(now), &rules).is_some(), ends, "{now}");
    }
}

#[test]
fn a_step_without_a_connection_is_said_to_be_unwatched_once() {
    let migrate = migrate();
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    let mut attempt = applying(true);
    let nobody = |attempt: &Attempt| DatabaseLook { place: attempt.place, ..DatabaseLook::default() };
    for (now, said) in [(1, false), (3, false), (4, true), (5, false)] {
        let look = nobody(&attempt);
        attempt.looked(at(now), look);
        let found = attempt.judge(at(now), &rules);
        assert_eq!(matches!(found, Some(Finding::Warn(_))), said, "{now}: {found:?}");
    }
}

#[test]
fn the_lock_timeout_of_the_server_counts_where_nobody_has_set_one() {
    let mut migrate = migrate();
    let wait =
        |seconds| DatabaseLook { waiting: Some(secs(seconds)), working: true, ..DatabaseLook::default() };
    let ends = |migrate: &Migrate, seconds| {
        let lock_timeout = Some(secs(5));
        let rules = Rules { lock_timeout, ..rules(migrate, Vendor::Postgresql, Sight::Watched) };
        let mut attempt = applying(true);
        see(&mut attempt, at(1), wait(seconds));
        attempt.judge(at(1), &rules).is_some()
    };
    assert!(!ends(&migrate, 6) && ends(&migrate, 7));
    migrate.budgets.lock_timeout = Some(secs(1));
    assert!(!ends(&migrate, 2) && ends(&migrate, 3));
}
