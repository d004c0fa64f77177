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
    Rules { migrate, vendor, sight, clock: at(0) }
}

fn applying(atomic: bool) -> Attempt {
    let mut attempt = Attempt::started(at(0));
    let name = "shop.0007_price".to_owned();
    attempt.progressed(at(0), Step::Migration { name, number: 1, of: 1, atomic });
    attempt
}

/// It works, and is looked at, up to this moment.
fn busy_until(attempt: &mut Attempt, now: Moment) {
    attempt.looked(now, Look { backends: 1, working: true, ..Look::default() });
}

#[test]
fn harm_ends_whatever_is_under_way() {
    let migrate = migrate();
    for (vendor, atomic) in [(Vendor::Postgresql, true), (Vendor::Postgresql, false), (Vendor::Mysql, false)]
    {
        let mut attempt = applying(atomic);
        let rules = rules(&migrate, vendor, Sight::Watched);
        attempt.looked(at(1), Look { harm: Some(Duration::from_millis(2900)), ..Look::default() });
        assert_eq!(attempt.judge(at(1), &rules), None);
        attempt.looked(at(2), Look { harm: Some(secs(3)), ..Look::default() });
        assert_eq!(attempt.judge(at(2), &rules), Some(Finding::Abort(AbortReason::Hold(secs(3)))));
        // Where it waits itself, it harms by its place in the queue.
        let waiting = Some(Duration::from_millis(800));
        attempt.looked(at(3), Look { harm: Some(secs(3)), waiting, ..Look::default() });
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
    let mut unseen = Attempt::started(at(0));
    unseen.progressed(at(0), Step::Unseen { words: "no apply_migration".to_owned() });
    busy_until(&mut unseen, late);
    assert!(matches!(unseen.judge(late, &rules), Some(Finding::Warn(_))));
    unseen.looked(late, Look { harm: Some(secs(3)), ..Look::default() });
    assert_eq!(unseen.judge(late, &rules), Some(Finding::Abort(AbortReason::Hold(secs(3)))));
}

#[test]
fn a_wait_for_a_lock_is_short_where_it_is_atomic_and_longer_where_not() {
    let migrate = migrate();
    let rules = rules(&migrate, Vendor::Postgresql, Sight::Watched);
    for (atomic, limit) in [(true, 3), (false, 60)] {
        let mut attempt = applying(atomic);
        let waiting = |seconds| Look { waiting: Some(secs(seconds)), working: true, ..Look::default() };
        attempt.looked(at(1), waiting(limit - 1));
        assert_eq!(attempt.judge(at(1), &rules), None);
        attempt.looked(at(2), waiting(limit));
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
fn a_stall_is_said_at_half_its_time_and_ended_where_somebody_sees_that_nothing_works() {
    let migrate = migrate();
    for (sight, ends) in [(Sight::Watched, true), (Sight::None, true), (Sight::Blind, false)] {
        let rules = rules(&migrate, Vendor::Mysql, sight);
        let mut attempt = applying(false);
        let seen = |attempt: &mut Attempt, now| attempt.looked(now, Look::default());
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
