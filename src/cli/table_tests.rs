use super::*;
use crate::observe::{BackgroundState, BackgroundStatus, DrainStatus};
use crate::supervise::{AppState, GenerationId, LastRollout, ProcessId, ScalingView};

const DARK: Screen = Screen { live: false, colour: false };

fn shop() -> AppStatus {
    let worker = |id: u64, requests| WorkerStatus {
        id: ProcessId(id),
        pid: Some(800 + id as i32),
        generation: GenerationId(7),
        state: WorkerState::Ready,
        requests,
        in_flight: 1,
        oldest_request_seconds: Some(0.25),
        rss_bytes: Some(64 << 20),
        age_seconds: 125.0,
        keeps_idle_seconds: None,
    };
    AppStatus {
        image: None,
        name: "shop".parse().unwrap(),
        state: AppState::Serving,
        generation: Some(GenerationId(7)),
        directory: Some("/srv/shop/releases/42".into()),
        before: None,
        output: None,
        runs: Some("gthread, gunicorn 27.0.1".into()),
        workers_wanted: 2,
        proof: None,
        scaling: None,
        listeners: vec!["127.0.0.1:8000".into()],
        migrations: None,
        unmigrated: Vec::new(),
        migration: None,
        last_migration: None,
        rollout: None,
        last_rollout: None,
        problem: None,
        release_changed: None,
        last_words: None,
        health: Default::default(),
        backoff_seconds: None,
        workers: vec![worker(9, 12), worker(10, 12345)],
        zygotes: vec![],
        processes: vec![],
    }
}

fn status(app: AppStatus) -> Status {
    let config =
        ConfigStatus { valid: true, file: "/etc/ostler/ostler.toml".into(), ..ConfigStatus::default() };
    Status { version: "0.1.0".into(), pid: 12, draining: false, drain: None, config, apps: vec![app] }
}

#[test]
fn a_healthy_app_is_a_table() {
    let expected = "\
ostlerd 0.1.0, pid 12, /etc/ostler/ostler.toml

shop  serving  g7  2 of 2 workers ready  gthread, gunicorn 27.0.1
  listens on 127.0.0.1:8000
  code from /srv/shop/releases/42
  WORKER  PID  GEN  STATE    AGE  REQUESTS  NOW  OLDEST    MEMORY
  w9      809  g7   ready  2m05s        12    1    0.2s  64.0 MiB
  w10     810  g7   ready  2m05s     12345    1    0.2s  64.0 MiB
";
    assert_eq!(render(&status(shop()), DARK, false), expected);
}

#[test]
fn workers_that_follow_the_load_are_said_to_with_why_they_are_so_many() {
    let lines = |by_hand, last: Option<&str>, held: Option<&str>| {
        let words = |words: Option<&str>| words.map(str::to_owned);
        let (last, held_back) = (words(last), words(held));
        let scaling = Some(ScalingView { min: 2, max: 16, by_hand, last, held_back });
        let page = render(&status(AppStatus { scaling, ..shop() }), DARK, false);
        page.lines().filter(|line| line.contains("workers")).skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let range = "  2 to 16 workers, as the load needs";
    assert_eq!(lines(false, None, None), [range]);
    assert_eq!(lines(true, None, None), [format!("{range}: not now, their number was given by hand")]);
    let grown = "grown from 2 to 4 workers: all 2 workers are busy";
    assert_eq!(
        lines(false, Some(grown), Some("no memory")),
        [format!("{range}; {grown}"), "  not more workers: no memory".to_owned()]
    );
}

#[test]
fn a_drain_is_said_with_how_far_it_is() {
    let mut drain =
        DrainStatus { since_seconds: 5.0, edge_wait_seconds: 3.0, ends_in_seconds: None, stopping: false };
    let mut status = status(shop());
    let mut line = |drain| {
        status.drain = Some(drain);
        render(&status, DARK, false).lines().nth(1).unwrap().to_owned()
    };
    let begun = "draining since 5.0s: readiness fails";
    assert_eq!(line(drain), format!("{begun}; the edge notices within 3.0s; `ostler undrain` ends it"));
    drain.edge_wait_seconds = 0.0;
    drain.ends_in_seconds = Some(600.0);
    assert_eq!(line(drain), format!("{begun}; ends by itself in 10m00s"));
    drain.stopping = true;
    assert_eq!(line(drain), format!("{begun}; ostlerd stops after it"));
}

#[test]
fn what_is_wrong_is_said() {
    let mut app = shop();
    app.state = AppState::Failed;
    app.problem = Some("no worker boots".into());
    app.backoff_seconds = Some(4.0);
    app.last_rollout = Some(LastRollout {
        generation: Some(GenerationId(8)),
        committed: false,
        reason: Some("2 workers did not boot".into()),
    });
    let traceback = (1..=20).map(|n| format!("line {n}\x1b[31m\n")).collect();
    app.last_words = Some(LastWords { message: "boom".into(), traceback });
    let mut status = status(app);
    status.config.valid = false;
    status.config.problem = Some("shop.toml:3: unknown key".into());
    let text = render(&status, DARK, false);
    assert!(text.starts_with("the configuration's files are refused"), "{text}");
    for part in [
        "│ shop.toml:3: unknown key",
        "the last rollout to g8 was rolled back: 2 workers did not boot",
        "problem: no worker boots",
        "next start in 4.0s",
        "│ line 1",
        "│ … 4 lines more: `ostler status --verbose`",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(!text.contains('\x1b'));
}

#[test]
fn a_migration_is_shown_and_one_that_left_something_with_its_remedy() {
    let mut app = shop();
    let migration = r#"{"run": 1, "database": "default", "phase": "running", "since_seconds": 1.0, "attempt": 1,
            "summary": "applies shop.0007_price since 1.0 s"}"#;
    app.migration = Some(serde_json::from_str(migration).unwrap());
    let text = render(&status(app.clone()), DARK, false);
    assert!(text.contains("\n  migration: applies shop.0007_price since 1.0 s\n"), "{text}");
    let last = r#"{"database": "default", "verdict": {"kind": "dirty", "reason": "an index is INVALID",
            "leftovers": [{"what": "index x is INVALID", "remedy": "DROP INDEX x;"}]}}"#;
    app.last_migration = Some(serde_json::from_str(last).unwrap());
    let expected = "
  the last migration of default: dirty: an index is INVALID
    index x is INVALID
        DROP INDEX x;
    next: nothing migrates by itself until you have done this and said so, on any server: `ostler migrate shop --resolve`
";
    let words = "migration dirty: an index is INVALID";
    app.problem = Some(words.into());
    app.last_rollout = Some(LastRollout { generation: None, committed: false, reason: Some(words.into()) });
    let text = render(&status(app), DARK, false);
    assert!(text.contains(expected), "{text}");
    assert_eq!(text.matches("an index is INVALID").count(), 1, "{text}");
}

#[test]
fn colour_is_only_added() {
    let coloured = render(&status(shop()), Screen { live: true, colour: true }, false);
    assert!(coloured.contains("\x1b[32mserving\x1b[0m"));
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find('\x1b') {
        bare.push_str(&rest[..start]);
        rest = &rest[start + rest[start..].find('m').unwrap() + 1..];
    }
    bare.push_str(rest);
    assert_eq!(
        bare.lines().map(str::trim_end).collect::<Vec<_>>(),
        render(&status(shop()), DARK, false).lines().collect::<Vec<_>>()
    );
}

#[test]
fn a_preloaded_app_shows_what_its_workers_are_forked_from() {
    let text = render(&status(AppStatus { zygotes: vec![zygote()], ..shop() }), DARK, false);
    let expected = "  zygote w8 of g7: pid 808, 2m05s old, 96.0 MiB, workers are forked from it\n";
    assert!(text.ends_with(expected), "{text}");
}

fn zygote() -> crate::observe::ZygoteStatus {
    crate::observe::ZygoteStatus {
        id: ProcessId(8),
        pid: Some(808),
        generation: GenerationId(7),
        loads: crate::plan::Preload::App,
        ready: true,
        rss_bytes: Some(96 << 20),
        age_seconds: 125.0,
    }
}

#[test]
fn commands_are_shown_with_what_runs_and_what_waits() {
    let queue = BackgroundStatus {
        name: "queue".into(),
        state: BackgroundState::Running,
        id: Some(ProcessId(11)),
        pid: Some(811),
        generation: GenerationId(7),
        restarts: 0,
        age_seconds: Some(125.0),
        rss_bytes: Some(96 << 20),
        next_start_seconds: None,
    };
    let mail = BackgroundStatus {
        name: "mail".into(),
        state: BackgroundState::Waiting,
        id: None,
        pid: None,
        restarts: 3,
        age_seconds: None,
        rss_bytes: None,
        next_start_seconds: Some(4.0),
        ..queue.clone()
    };
    let text = render(&status(AppStatus { processes: vec![queue, mail], ..shop() }), DARK, false);
    let expected = "  process queue w11 of g7: running, pid 811, 2m05s old, 96.0 MiB
  process mail of g7: not running, next start in 4.0s, started again 3 times
";
    assert!(text.ends_with(expected), "{text}");
}
