use std::collections::BTreeMap;

use ostler::plan::{Database, MigrateCommand};
use ostler::supervise::{Exit, FailureKind, MigrationFact, MigrationOrder, Record, Step, StopSignal};

use super::Rig;
use crate::support::{lives, nobody, soon, until};

#[tokio::test]
async fn a_migration_goes_from_its_lock_to_its_verification() {
    let mut rig = Rig::django("");
    let MigrationFact::Opened(opened) = rig.open().await else { panic!() };
    assert_eq!(opened.pending.as_ref().unwrap().migrations[0].name, "shop.0001_initial");
    rig.order(MigrationOrder::LockDatabase);
    assert_eq!(rig.next().await, MigrationFact::Busy { holder: "web2".to_owned(), quiet: None });
    let MigrationFact::Locked { pending, swept, .. } = rig.next().await else { panic!() };
    assert_eq!((pending.migrations.len(), swept[0].pid), (1, 4711));
    let begun = Record { database: "default".to_owned(), opened, ..Record::default() };
    assert_eq!(rig.record(begun.clone()).await, MigrationFact::Recorded);
    rig.order(MigrationOrder::RunMigration { attempt: 1, checks: true });
    let (mut wrote, mut looked, mut at) = (false, false, None);
    let (exit, failure) = loop {
        match rig.next().await {
            MigrationFact::Wrote => wrote = true,
            MigrationFact::Looked(look) => looked |= look.backends == 1,
            MigrationFact::Progressed(step) => at = Some(step),
            MigrationFact::CommandEnded { exit, failure } => break (exit, failure),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((exit, failure, wrote, looked), (Exit::Code(0), None, true, true));
    let at = at.unwrap();
    assert!(matches!(&at, Step::Migration { name, .. } if name == "shop.0001_initial"));
    let at = Some(("shop.0001_initial".to_owned(), at));
    rig.order(MigrationOrder::VerifyDatabase { pending, at, failed: false });
    let MigrationFact::Verified(report) = rig.told().await else { panic!() };
    assert_eq!(report.recorded.unwrap(), ["shop.0001_initial"]);
    assert_eq!(rig.record(begun).await, MigrationFact::Recorded);
    rig.order(MigrationOrder::CloseDatabase);
    rig.order(MigrationOrder::Close);
    soon(rig.migrations.close()).await;
    assert_eq!(rig.left(), [0; 0]);
    let runs = rig.history().runs().unwrap();
    assert_eq!(runs.len(), 1, "both lines are of one run");
    assert_eq!(runs[0].output, ["  Applying shop.0001_initial... OK"]);
    let told = rig.text("told");
    let orders: Vec<&str> = told.lines().filter_map(|line| line.split('"').nth(3)).collect();
    assert_eq!(orders, ["lock", "look", "look", "verify"], "{told}");
    assert!(told.contains(r#""migration":"shop.0001_initial","at":{"at":"migration""#), "{told}");
}

#[tokio::test]
async fn an_unfinished_line_is_a_sign_of_life() {
    let mut rig = Rig::shell("printf '  Applying shop.0001_initial...'; read never <&0; exec sleep 600");
    rig.start().await;
    assert_eq!(rig.next().await, MigrationFact::Wrote);
    rig.abort(StopSignal::Kill);
    assert_eq!(rig.ended().await.0, Exit::Signal(9));
    assert_eq!(rig.output().await, ["  Applying shop.0001_initial..."]);
}

#[tokio::test]
async fn a_flood_is_read_at_a_measured_pace_and_its_end_is_kept() {
    let mut rig = Rig::shell("yes 'every line alike' & sleep 600");
    rig.start().await;
    let mut signs = 0;
    let begun = tokio::time::Instant::now();
    // Whoever shares this thread with the reading goes on all the while.
    let mut turns = 0;
    while signs < 8 {
        tokio::select! {
            biased;
            fact = rig.next() => signs += usize::from(fact == MigrationFact::Wrote),
            () = tokio::task::yield_now() => turns += 1,
        }
    }
    let took = begun.elapsed();
    assert!(took.as_millis() >= 1200, "8 signs of life within {took:?}");
    assert!(turns > 0);
    rig.abort(StopSignal::Kill);
    assert_eq!(rig.ended().await.0, Exit::Signal(9));
    let output = rig.output().await;
    assert_eq!((output.len(), output[0].as_str()), (200, "every line alike"));
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak: u64 = own
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 200 * 1024, "{peak} KiB");
}

#[tokio::test]
async fn the_rungs_are_signals_with_their_default_effect() {
    for (rung, number) in [(StopSignal::Interrupt, 2), (StopSignal::Terminate, 15), (StopSignal::Kill, 9)] {
        let mut rig = Rig::shell("echo here; exec sleep 600");
        rig.start().await;
        assert_eq!(rig.next().await, MigrationFact::Wrote);
        rig.abort(rung);
        let (exit, failure) = rig.ended().await;
        assert_eq!(exit, Exit::Signal(number), "{rung:?}");
        assert!(failure.unwrap().message.starts_with("killed by signal"));
    }
}

#[tokio::test]
async fn who_ignores_every_signal_is_killed() {
    let mut rig = Rig::shell("trap '' INT TERM; echo here; while :; do sleep 1; done");
    rig.start().await;
    assert_eq!(rig.next().await, MigrationFact::Wrote);
    rig.abort(StopSignal::Interrupt);
    rig.abort(StopSignal::Terminate);
    rig.abort(StopSignal::Kill);
    assert_eq!(rig.ended().await.0, Exit::Signal(9));
    assert_eq!(rig.left(), [0; 0]);
}

#[tokio::test]
async fn a_failure_is_told_in_the_command_s_own_words_or_by_its_last_lines() {
    let code = "def run():\n    say(event='failed', kind='full', message='no room', traceback='x' * 40000)\n    sys.exit(1)";
    let mut rig = Rig::django(code);
    rig.start().await;
    let (exit, failure) = rig.ended().await;
    let failure = failure.unwrap();
    assert_eq!((exit, failure.kind, failure.message.as_str()), (Exit::Code(1), FailureKind::Full, "no room"));
    assert!(failure.traceback.len() <= 16 * 1024);

    let mut rig =
        Rig::shell("echo working; echo 'ERROR: canceling statement due to lock timeout' >&2; exit 3");
    rig.start().await;
    let failure = rig.ended().await.1.unwrap();
    assert_eq!(failure.kind, FailureKind::Lock);
    assert_eq!(failure.message, "exit status 3: ERROR: canceling statement due to lock timeout");
    assert!(failure.traceback.starts_with("working\n"));
}

#[tokio::test]
async fn garbage_on_the_control_socket_is_left_out() {
    let code = r#"
def run():
    control.sendall(b'hello\n\x00\x01\n' + b'x' * (1 << 20) + b'y\n[]\n{"event": "dance"}\n')
    say(event='step', at='applied', seconds=-1e300)
    say(event='step', at='after', words='w' * 5000)
"#;
    let mut rig = Rig::django(code);
    rig.start().await;
    let mut steps = Vec::new();
    let exit = loop {
        match rig.next().await {
            MigrationFact::Progressed(step) => steps.push(step),
            MigrationFact::CommandEnded { exit, .. } => break exit,
            _ => {}
        }
    };
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(steps[0], Step::Applied { seconds: 0.0 });
    assert!(matches!(&steps[1], Step::After { words } if words.len() < 2010), "{steps:?}");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_no_process() {
    let argv = vec!["no-such-program".to_owned()];
    let mut rig = Rig::new("", MigrateCommand::Other(argv), Vec::new());
    rig.start().await;
    let MigrationFact::SpawnFailed { reason } = rig.told().await else { panic!() };
    assert!(reason.contains("no-such-program") && reason.contains("/usr/bin:/bin"), "{reason}");
    let argv = vec!["./nothing".to_owned()];
    let mut rig = Rig::new("", MigrateCommand::Other(argv), Vec::new());
    rig.start().await;
    let (exit, failure) = rig.ended().await;
    assert_eq!(exit, Exit::Code(127));
    assert!(failure.unwrap().message.contains("nothing is not there"));
}

#[tokio::test]
async fn another_command_gets_the_app_s_environment_and_the_guards() {
    let argv: Vec<String> = ["sh", "-c", "env >seen; ls /proc/self/fd >fds"].map(str::to_owned).into();
    let url = Database::Url("postgresql://shop:secret@db/shop".to_owned());
    let code = "def watch():\n    json.dump(orders, open('orders', 'w'))\n    say(event='opened', vendor='postgresql', version='15.14', lock_timeout=1.5)\n    while control.recv(1000): pass";
    let mut rig = Rig::new(code, MigrateCommand::Other(argv), vec![url]);
    let MigrationFact::Opened(opened) = rig.open().await else { panic!() };
    let recorded = rig.record(Record { opened, ..Record::default() }).await;
    assert_eq!(recorded, MigrationFact::Recorded);
    rig.order(MigrationOrder::RunMigration { attempt: 1, checks: true });
    assert_eq!(rig.ended().await.0, Exit::Code(0));
    let orders: serde_json::Value = serde_json::from_str(&rig.text("orders")).unwrap();
    assert_eq!(orders["database"], serde_json::json!({"url": "postgresql://shop:secret@db/shop"}));
    assert_eq!((orders["contract"].as_u64(), orders["command"].as_str()), (Some(1), Some("other")));
    let seen = rig.text("seen");
    let env: BTreeMap<&str, &str> = seen.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(env["PGAPPNAME"], orders["tag"]);
    assert_eq!(env["PGOPTIONS"], "-c lock_timeout=1500 -c client_connection_check_interval=1000");
    assert_eq!(env["A"], "b");
    // And the listing's own.
    assert_eq!(rig.text("fds").lines().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn without_a_database_every_order_is_answered_honestly() {
    let mut rig = Rig::shell("true");
    let MigrationFact::Opened(opened) = rig.open().await else { panic!() };
    assert!(opened.unwatched.is_some() && opened.pending.is_none());
    rig.order(MigrationOrder::LockDatabase);
    assert!(matches!(rig.next().await, MigrationFact::Locked { .. }));
    rig.abort(StopSignal::Cancel);
    assert_eq!(rig.next().await, MigrationFact::Cancelled { backends: 0 });
    rig.abort(StopSignal::EndBackends);
    assert_eq!(rig.next().await, MigrationFact::BackendsGone);
    let pending = ostler::supervise::Pending::default();
    rig.order(MigrationOrder::VerifyDatabase { pending, at: None, failed: true });
    let MigrationFact::Verified(report) = rig.next().await else { panic!() };
    assert!(report.unverified.is_some() && report.recorded.is_none());
}

#[tokio::test]
async fn post_deploy_runs_in_order_until_one_fails() {
    let mut rig = Rig::shell("true");
    let sh = |code: &str| ["sh", "-c", code].map(str::to_owned).to_vec();
    let migrate = std::sync::Arc::make_mut(&mut rig.opening.migrate);
    migrate.post_deploy =
        vec![sh("echo one >>notes"), sh("echo two >>notes; echo why; exit 4"), sh("echo three >>notes")];
    rig.open().await;
    rig.order(MigrationOrder::PostDeploy);
    let MigrationFact::PostDeployEnded { exit, words } = rig.told().await else { panic!() };
    assert_eq!((exit, rig.text("notes").as_str()), (Exit::Code(4), "one\ntwo\n"));
    assert!(words.contains("exit 4") && words.ends_with("exit status 4: why"), "{words}");
    std::sync::Arc::make_mut(&mut rig.opening.migrate).post_deploy =
        vec![sh("echo four >>notes"), sh("echo five >>notes; exec sleep 600")];
    rig.order(MigrationOrder::Open(rig.opening.clone()));
    rig.next().await;
    rig.order(MigrationOrder::PostDeploy);
    until("the second one runs", || rig.text("notes").ends_with("five\n")).await;
    rig.abort(StopSignal::Terminate);
    let MigrationFact::PostDeployEnded { exit, .. } = rig.told().await else { panic!() };
    assert_eq!(exit, Exit::Signal(15));
}

#[tokio::test]
async fn output_goes_to_the_app_s_log_file_as_the_app_s_user() {
    let mut rig = Rig::shell("id -un; echo later >&2");
    let account = nobody();
    let blueprint = std::sync::Arc::make_mut(&mut rig.opening.blueprint);
    let file = rig.folder.path().join("logs/shop.log");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    if let Some(account) = &account {
        std::os::unix::fs::chown(file.parent().unwrap(), Some(account.uid), Some(account.gid)).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(rig.folder.path(), open).unwrap();
    }
    blueprint.log_file = Some(file.clone());
    blueprint.account = account.clone();
    rig.start().await;
    assert_eq!(rig.ended().await.0, Exit::Code(0));
    until("the file has both lines", || rig.text("logs/shop.log").lines().count() == 2).await;
    assert!(rig.text("logs/shop.log").ends_with("later\n"));
    if let Some(account) = account {
        assert!(rig.text("logs/shop.log").starts_with("nobody\n"));
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&file.metadata().unwrap()), account.uid);
    }
}

#[tokio::test]
async fn closing_a_run_kills_what_is_left_of_it() {
    let code = "def run():\n    open('pid', 'w').write(str(os.getpid()))\n    print('here', flush=True)\n    time.sleep(600)";
    let mut rig = Rig::django(code);
    rig.start().await;
    while rig.next().await != MigrationFact::Wrote {}
    let pid: i32 = rig.text("pid").parse().unwrap();
    assert!(lives(pid));
    soon(rig.migrations.close()).await;
    assert!(!lives(pid));
    assert_eq!(rig.left(), [0; 0]);
}

#[tokio::test]
async fn who_uses_the_processor_is_told_to_work_and_who_waits_is_not() {
    let mut rig = Rig::shell("while true; do :; done");
    rig.start().await;
    while rig.any().await != MigrationFact::Worked {}
    rig.abort(StopSignal::Kill);
    rig.ended().await;
    // It writes each time that it has been looked at some times.
    let mut rig = Rig::shell("exec 2>&1; sleep 3; echo here; sleep 600");
    rig.start().await;
    assert_eq!(rig.any().await, MigrationFact::Wrote);
    rig.abort(StopSignal::Kill);
}
