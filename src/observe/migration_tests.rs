use super::*;
use crate::observe::testing::migration;
use crate::supervise::AbortReason;

#[track_caller]
fn says(change: impl Fn(&mut MigrationView), sentence: &str) {
    let mut view = migration();
    (view.operation, view.doing, view.usually) = (None, None, None);
    change(&mut view);
    let status = MigrationStatus::from(&view);
    assert_eq!(status.summary, sentence);
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<MigrationStatus>(&text).unwrap(), status);
}

#[test]
fn each_phase_is_one_sentence() {
    let (s, since) = (Duration::from_secs, "since 15 s");
    says(|_| {}, "applies shop.0007_price (2 of 3) since 12 s");
    says(|it| it.attempt = 3, "applies shop.0007_price (2 of 3) since 12 s, try 3");
    says(|it| it.migration = None, &format!("applies what is pending in default, {since}"));
    says(|it| it.phase = MigrationPhase::Opening, &format!("looks what is pending in default, {since}"));
    says(
        |it| it.phase = MigrationPhase::Verifying,
        &format!("finds out what came of it in default, {since}"),
    );
    says(|it| it.phase = MigrationPhase::Waiting(s(8)), "met a lock; try 2 begins in 8.0 s");
    says(|it| it.phase = MigrationPhase::PostDeploy, &format!("runs post_deploy, {since}"));
    let holder = "web2 (pid 4711, since 12 s)".to_owned();
    says(
        |it| it.phase = MigrationPhase::Busy { holder: holder.clone() },
        &format!("waits for another server that migrates default, {since}: {holder}"),
    );
    says(
        |it| {
            it.phase = MigrationPhase::Aborting;
            it.aborting = Some((AbortReason::Harm(s(3)), StopSignal::Interrupt));
        },
        "ends shop.0007_price (2 of 3) since 12 s: others waited behind it for 3.0 s; now: SIGINT",
    );
}

#[test]
fn who_blocks_and_who_waits_is_named() {
    let psql = Backend {
        pid: 4711,
        application: "psql".into(),
        state: "idle in transaction".into(),
        query: format!("SELECT\n\t{}", "x".repeat(200)),
        seconds: 180,
    };
    let short = format!("SELECT {}…", "x".repeat(73));
    says(
        |it| {
            it.blockers = vec![psql.clone(), Backend::default()];
            it.harm = Some((1, Duration::from_millis(1200)));
            it.warning = Some("it is over its time\nand cannot be rolled back".into());
        },
        &format!(
            "applies shop.0007_price (2 of 3) since 12 s; blocked by pid 4711 (psql, idle in transaction, \
                 for 3 min: {short}) and 1 more; 1 other waits behind it for 1.2 s; it is over its time and cannot \
                 be rolled back"
        ),
    );
    assert_eq!(backend(&Backend { pid: 5, ..Backend::default() }), "pid 5");
    let unseen = Backend { application: "a prepared transaction".to_owned(), ..Backend::default() };
    assert_eq!(backend(&unseen), "a prepared transaction");
}

#[test]
fn the_next_step_asks_for_a_correction_only_where_the_migration_is_wrong() {
    let failed = Verdict::of(VerdictKind::Failed, "it is so");
    assert!(next_step("shop", &failed).contains("correct the migration that failed"));
    let elsewhere = Verdict { elsewhere: true, ..failed };
    assert_eq!(
        next_step("shop", &elsewhere),
        "no migration was applied; once that is over or put right, `ostler restart shop` or `ostler migrate shop` tries \
         again"
    );
}

#[test]
fn times_are_short() {
    let cases = [
        (0.34, "0.3 s"),
        (9.96, "10 s"),
        (42.2, "42 s"),
        (180.0, "3 min"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 5 min"),
    ];
    for (seconds, text) in cases {
        assert_eq!(time(seconds), text);
    }
    assert_eq!((time(f64::NAN), time(-1.0)), ("0.0 s".to_owned(), "0.0 s".to_owned()));
}
