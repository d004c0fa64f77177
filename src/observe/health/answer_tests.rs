use std::time::Duration;

use super::*;
use crate::config::Saturation;
use crate::observe::Status;
use crate::observe::health::Vitals;
use crate::observe::testing::{app, status, worker};
use crate::supervise::{AppState, LastMigration, MigrationView, WorkerState};
use crate::supervise::{Verdict as Ending, VerdictKind};

const STRANGER: Question<'static> =
    Question { method: Method::Ask, path: "/readyz", query: "", json: false, trusted: false };
const FRIEND: Question<'static> = Question { query: "verbose", trusted: true, ..STRANGER };

fn workers(states: &[WorkerState]) -> Vec<crate::observe::WorkerStatus> {
    states.iter().enumerate().map(|(id, state)| worker(id as u64, *state)).collect()
}

/// A shop that serves and a blog that does not.
fn machine() -> Status {
    let shop = app("shop", workers(&[WorkerState::Ready, WorkerState::Ready]));
    let mut blog = app("blog", workers(&[WorkerState::Booting]));
    blog.state = AppState::Failed;
    status(vec![blog, shop])
}

fn well() -> Status {
    status(vec![app("shop", workers(&[WorkerState::Ready, WorkerState::Ready]))])
}

fn ask(status: &Status, question: Question<'_>) -> Answer {
    asked(status, &Vitals::default(), Duration::ZERO, Saturation::Warn, question)
}

fn asked(
    status: &Status,
    vitals: &Vitals,
    loop_age: Duration,
    saturation: Saturation,
    question: Question<'_>,
) -> Answer {
    Judge { status, vitals, loop_age, saturation }.answer(&question)
}

fn says(answer: Answer, code: u16, body: &str) {
    assert_eq!((answer.code, &*answer.body), (code, body));
}

#[test]
fn a_machine_is_ready_when_every_app_is() {
    says(ask(&well(), STRANGER), 200, "ok\n");
    says(ask(&machine(), STRANGER), 503, "fail\n");
    says(
        ask(&machine(), FRIEND),
        503,
        "fail\n[+]ostlerd ok\n[-]blog fail: 0 of 1 worker ready\n[+]shop ok\n",
    );
    // A machine without an app has nothing for a client yet.
    says(ask(&status(vec![]), STRANGER), 503, "fail\n");
}

#[test]
fn an_app_answers_for_itself() {
    says(ask(&machine(), Question { path: "/readyz/shop", ..STRANGER }), 200, "ok\n");
    says(ask(&machine(), Question { path: "/readyz/blog", ..STRANGER }), 503, "fail\n");
    let detail = ask(&machine(), Question { path: "/readyz/shop", ..FRIEND });
    says(detail, 200, "ok\n[+]ostlerd ok\n[+]shop ok\n");
    assert_eq!(ask(&machine(), Question { path: "/readyz/none", ..FRIEND }).code, 404);
}

#[test]
fn an_excluded_app_does_not_count() {
    for query in ["exclude=blog", "x=1&exclude=blog", "exclude=a&exclude=blog"] {
        says(ask(&machine(), Question { query, ..STRANGER }), 200, "ok\n");
    }
    for query in ["exclude=shop", "exclude=", "exclude", "xexclude=blog"] {
        says(ask(&machine(), Question { query, ..STRANGER }), 503, "fail\n");
    }
    let detail = ask(&machine(), Question { query: "verbose&exclude=blog", ..FRIEND });
    says(detail, 200, "ok\n[+]ostlerd ok\n[+]blog ok: excluded\n[+]shop ok\n");
}

#[test]
fn an_optional_app_fails_alone() {
    let mut status = machine();
    status.apps[0].health.optional = true;
    says(ask(&status, STRANGER), 200, "ok\n");
    says(ask(&status, Question { path: "/readyz/blog", ..STRANGER }), 503, "fail\n");
    let detail = ask(&status, FRIEND).body;
    assert!(detail.contains("[-]blog fail (optional): 0 of 1 worker ready"), "{detail}");
}

#[test]
fn min_ready_workers_are_needed_and_no_more_than_are_wanted() {
    let mut status = well();
    status.apps[0].health.min_ready = 2;
    says(ask(&status, STRANGER), 200, "ok\n");
    status.apps[0].workers[0].state = WorkerState::Ending;
    says(ask(&status, STRANGER), 503, "fail\n");
    status.apps[0].workers_wanted = 1;
    says(ask(&status, STRANGER), 200, "ok\n");
    status.apps[0].workers.clear();
    status.apps[0].workers_wanted = 0;
    says(ask(&status, STRANGER), 503, "fail\n");
}

#[test]
fn only_ready_workers_count() {
    for state in [WorkerState::Booting, WorkerState::Held, WorkerState::Draining, WorkerState::Ending] {
        says(ask(&status(vec![app("shop", workers(&[state]))]), STRANGER), 503, "fail\n");
    }
}

#[test]
fn a_stopped_app_is_not_ready_even_while_its_workers_finish() {
    for state in [AppState::Stopping, AppState::Stopped] {
        let mut status = well();
        status.apps[0].state = state;
        says(ask(&status, STRANGER), 503, "fail\n");
        status.apps[0].health.optional = true;
        says(ask(&status, STRANGER), 200, "ok\n");
    }
}

#[test]
fn a_rollout_does_not_touch_readiness() {
    for state in [AppState::RollingOut, AppState::RollingBack, AppState::Degraded] {
        let mut status = well();
        status.apps[0].state = state;
        says(ask(&status, STRANGER), 200, "ok\n");
    }
}

#[test]
fn a_draining_machine_is_alive_and_not_ready() {
    let mut status = well();
    status.draining = true;
    let answer = ask(&status, STRANGER);
    assert!(answer.leave_at_once);
    says(answer, 503, "fail\n");
    assert!(ask(&status, Question { path: "/readyz/shop", ..STRANGER }).leave_at_once);
    let live = ask(&status, Question { path: "/livez", ..STRANGER });
    assert!(!live.leave_at_once);
    says(live, 200, "ok\n");
    assert!(!ask(&machine(), STRANGER).leave_at_once, "who does not drain may come back soon");
}

#[test]
fn a_loop_that_stands_still_fails_both() {
    for path in ["/livez", "/readyz", "/readyz/shop"] {
        let at = |age| {
            let question = Question { path, ..STRANGER };
            asked(&well(), &Vitals::default(), Duration::from_secs(age), Saturation::Warn, question).code
        };
        assert_eq!((at(10), at(11)), (200, 503), "{path}");
    }
}

#[test]
fn saturation_warns_and_fails_only_where_asked_and_lasting() {
    let mut status = well();
    status.apps[0].health.capacity = Some(1);
    status.apps[0].workers.iter_mut().for_each(|worker| worker.in_flight = 1);
    let mut vitals = Vitals::default();
    vitals.seen(&status, Duration::ZERO);
    let at = |vitals: &Vitals, saturation| asked(&status, vitals, Duration::ZERO, saturation, FRIEND);
    says(at(&vitals, Saturation::Fail), 200, "ok\n[+]ostlerd ok\n[+]shop ok: all workers are busy\n");
    vitals.seen(&status, Duration::from_secs(10));
    assert_eq!(at(&vitals, Saturation::Warn).code, 200);
    let failed = at(&vitals, Saturation::Fail);
    says(failed, 503, "fail\n[+]ostlerd ok\n[-]shop fail: saturated: all workers are busy\n");
}

#[test]
fn a_queue_that_fills_is_saturation() {
    let mut status = well();
    (status.apps[0].health.listen_queue, status.apps[0].health.listen_backlog) = (Some(20), Some(200));
    let mut vitals = Vitals::default();
    vitals.seen(&status, Duration::ZERO);
    let answer = asked(&status, &vitals, Duration::ZERO, Saturation::Warn, FRIEND);
    assert!(answer.body.contains("[+]shop ok: 20 connections wait for a worker"), "{}", answer.body);
    status.apps[0].health.listen_queue = Some(19);
    vitals.seen(&status, Duration::ZERO);
    assert!(!asked(&status, &vitals, Duration::ZERO, Saturation::Warn, FRIEND).body.contains("wait"));
}

#[test]
fn strangers_are_told_nothing_but_the_word() {
    says(ask(&machine(), Question { query: "verbose", ..STRANGER }), 503, "fail\n");
    let json = ask(&machine(), Question { json: true, ..STRANGER });
    assert_eq!(json.form, Form::Health);
    says(json, 503, "{\"status\":\"fail\"}");
    assert_eq!(ask(&machine(), Question { path: "/metrics", ..STRANGER }).code, 403);
}

#[test]
fn health_json_has_a_check_for_each_app() {
    let answer = ask(&machine(), Question { json: true, query: "", ..FRIEND });
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(json["status"], "fail");
    assert_eq!(json["checks"]["shop:ready"][0]["observedValue"], 2);
    assert_eq!(json["checks"]["blog:ready"][0]["status"], "fail");
    assert_eq!(json["checks"]["blog:ready"][0]["output"], "0 of 1 worker ready");
    assert_eq!(json["checks"]["ostlerd"][0]["status"], "pass");
}

#[test]
fn what_cannot_be_asked_is_404_or_405_and_never_a_redirect() {
    for path in [
        "",
        "*",
        "/index.html",
        "/events/",
        "/readyz/",
        "/livez/",
        "/READYZ",
        "//readyz",
        "/readyz/../shop",
        "/health",
    ] {
        assert_eq!(ask(&well(), Question { path, ..FRIEND }).code, 404, "{path}");
    }
    for path in ["/", "/events", "/livez", "/readyz", "/readyz/shop", "/metrics"] {
        assert_eq!(ask(&well(), Question { path, method: Method::Other, ..FRIEND }).code, 405, "{path}");
    }
}

#[test]
fn the_page_is_for_who_may_see_details() {
    let shown = ask(&well(), Question { path: "/", ..FRIEND });
    assert_eq!((shown.code, shown.form), (200, Form::Page));
    assert!(shown.body.contains(">shop<"), "{}", shown.body);
    assert_eq!(ask(&well(), Question { path: "/events", ..FRIEND }).form, Form::Events);
    for path in ["/", "/events"] {
        let refused = ask(&well(), Question { path, ..STRANGER });
        assert_eq!((refused.code, refused.form), (403, Form::Text));
        assert!(refused.body.starts_with("fail: ") && !refused.body.contains("shop"), "{}", refused.body);
    }
}

#[test]
fn metrics_are_openmetrics() {
    let mut vitals = Vitals::default();
    vitals.seen(&machine(), Duration::ZERO);
    let question = Question { path: "/metrics", ..FRIEND };
    let answer = asked(&machine(), &vitals, Duration::ZERO, Saturation::Warn, question);
    assert_eq!((answer.code, answer.form), (200, Form::Metrics));
    let text = &*answer.body;
    for line in [
        "ostler_workers{app=\"shop\",state=\"ready\"} 2",
        "ostler_workers{app=\"blog\",state=\"booting\"} 1",
        "# TYPE ostler_requests counter",
        "ostler_requests_total{app=\"shop\"} 0",
        "# UNIT ostler_oldest_request_seconds seconds",
        "ostler_workers_resident_memory_bytes{app=\"shop\"} 2097152",
        "ostler_config_valid 1",
        "ostler_ready 0",
        "ostler_app_ready{app=\"shop\"} 1",
        "ostler_build_info{version=\"0.1.0\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is missing from\n{text}");
    }
}

#[test]
fn metrics_in_the_older_format_describe_their_samples_by_name() {
    let mut vitals = Vitals::default();
    vitals.seen(&machine(), Duration::ZERO);
    let question = Question { path: "/metrics", ..FRIEND };
    let answer = asked(&machine(), &vitals, Duration::ZERO, Saturation::Warn, question).classic();
    assert_eq!(answer.form, Form::ClassicMetrics);
    let lines: Vec<&str> = answer.body.lines().collect();
    let described = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in described {
        assert!(["counter", "gauge"].contains(&kind), "{name} is {kind}");
        assert!(lines.iter().any(|line| line.starts_with(&format!("# HELP {name} "))), "{name} has no help");
    }
    assert!(lines.contains(&"# TYPE ostler_requests_total counter"), "{}", answer.body);
    assert!(lines.contains(&"# TYPE ostler_build_info gauge"), "{}", answer.body);
}

/// A shop whose migration is under way, as `change` makes it.
fn migrating(change: impl Fn(&mut MigrationView)) -> Status {
    let mut status = well();
    let mut view = crate::observe::testing::migration();
    change(&mut view);
    status.apps[0].migration = Some((&view).into());
    status
}

#[test]
fn a_migration_is_named_and_fails_no_check() {
    let running = migrating(|_| {});
    let line = "[+]shop migration ok: applies shop.0007_price (2 of 3) since 12 s (usually 40 s); \
                operation 1 of 2, Add field cents to product; building index 43 %\n";
    says(ask(&running, FRIEND), 200, &format!("ok\n[+]ostlerd ok\n[+]shop ok\n{line}"));
    says(
        ask(&running, Question { path: "/readyz/shop", ..FRIEND }),
        200,
        &format!("ok\n[+]ostlerd ok\n[+]shop ok\n{line}"),
    );
    says(ask(&running, STRANGER), 200, "ok\n");
    let json = |status| -> serde_json::Value {
        serde_json::from_str(&ask(status, Question { json: true, ..FRIEND }).body).unwrap()
    };
    let value = json(&running);
    assert_eq!(
        (&value["status"], &value["checks"]["shop:migration"][0]["status"]),
        (&"pass".into(), &"pass".into())
    );
    assert_eq!(value["checks"]["shop:migration"][0]["observedValue"], 15.0);
    let harming = json(&migrating(|view| view.harm = Some((2, Duration::from_secs(1)))));
    assert_eq!(
        (&harming["status"], &harming["checks"]["shop:migration"][0]["status"]),
        (&"warn".into(), &"warn".into())
    );
    assert!(harming["output"].as_str().unwrap().contains("2 others wait behind it for 1.0 s"), "{harming}");
}

#[test]
fn a_migration_that_ended_badly_warns_until_one_ends_well() {
    let mut bad = well();
    let verdict = |kind| Ending::of(kind, "x\ny");
    let last = |kind| {
        Some(LastMigration { database: "default".into(), verdict: verdict(kind), seen: Default::default() })
    };
    bad.apps[0].last_migration = last(VerdictKind::Dirty);
    let body = ask(&bad, FRIEND).body;
    assert!(
        body.ends_with("[+]shop ok\n[+]shop migration ok: the last one of default: dirty: x y\n"),
        "{body}"
    );
    bad.apps[0].last_migration = last(VerdictKind::Applied);
    says(ask(&bad, FRIEND), 200, "ok\n[+]ostlerd ok\n[+]shop ok\n");
}
