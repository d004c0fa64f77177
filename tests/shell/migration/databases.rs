use std::time::Duration;

use ostler::run::migration::DatabasePatience;
use ostler::supervise::{MigrationFact, MigrationOrder, RunId, StopSignal, Trouble, TroubleKind};

use super::Rig;
use crate::support::{lives, soon, until};

async fn trouble(code: &str) -> Trouble {
    let mut rig = Rig::django(code);
    let told = rig.open().await;
    let MigrationFact::DatabaseFailed(trouble) = told else { panic!("{told:?}") };
    soon(rig.migrations.close()).await;
    trouble
}

#[tokio::test]
async fn a_database_side_that_fails_says_why() {
    let code = "def watch():\n    say(event='failed', kind='unreachable', message='connection refused', traceback='T')\n    sys.exit(1)";
    let told = trouble(code).await;
    assert_eq!((told.kind, told.message.as_str()), (TroubleKind::Unreachable, "connection refused"));
    assert_eq!(told.traceback, "T");
}

#[tokio::test]
async fn one_that_ends_without_a_word_is_told_with_its_last_lines() {
    let told = trouble("def watch(): print('started'); raise RuntimeError('the driver crashed')").await;
    assert_eq!(told.kind, TroubleKind::Broken);
    assert!(told.traceback.contains("started") && told.traceback.contains("the driver crashed"), "{told:?}");
    let told = trouble("def watch(): os.kill(os.getpid(), 9)").await;
    assert!(told.message.contains("wrote nothing"), "{told:?}");
}

#[tokio::test]
async fn garbage_is_left_out_and_what_comes_after_it_is_heard() {
    let code = r#"
def watch():
    control.sendall(b'\xff\x00\n[1]\n{"event": "dance"}\n' + b'x' * (1 << 20) + b'y\n' + b'[' * 60000 + b'\n')
    say(event='locked', pending=PENDING)
    say(event='verified', backends=0)
    say(event='opened', vendor='sqlite', version='v' * 900, warnings=['w' * 2900] * 300)
    while control.recv(1000): pass
"#;
    let mut rig = Rig::django(code);
    let MigrationFact::Opened(opened) = rig.open().await else { panic!("what nobody asked for is not told") };
    assert!(opened.version.len() < 310 && opened.warnings.len() == 200);
    assert!(opened.warnings.iter().all(|words| words.len() < 2010));
}

#[tokio::test]
async fn one_that_dies_while_the_command_runs_is_told_and_asked_no_more() {
    let code = "def answer(order, do):\n    if do == 'look': os._exit(3)\n\
                def run(): print('here', flush=True); time.sleep(600)";
    let mut rig = Rig::django(code);
    rig.start().await;
    let MigrationFact::DatabaseFailed(told) = rig.told().await else { panic!() };
    assert_eq!(told.kind, TroubleKind::Broken);
    rig.abort(StopSignal::Cancel);
    assert_eq!(rig.told().await, MigrationFact::Cancelled { backends: 0 });
    rig.abort(StopSignal::EndBackends);
    assert!(matches!(rig.told().await, MigrationFact::DatabaseFailed(_)));
    rig.abort(StopSignal::Kill);
    rig.ended().await;
    // And it may be opened anew.
    rig.order(MigrationOrder::OpenDatabase { index: 0 });
    assert!(matches!(rig.told().await, MigrationFact::Opened(_)));
}

#[tokio::test]
async fn closing_ends_the_database_side_and_one_that_does_not_end_is_killed() {
    for code in ["", "def answer(order, do): pass\nimport atexit; atexit.register(lambda: time.sleep(600))"] {
        let mut rig = Rig::django(&format!("open('pid', 'w').write(str(os.getpid()))\n{code}"));
        assert!(matches!(rig.open().await, MigrationFact::Opened(_)));
        let pid: i32 = rig.text("pid").parse().unwrap();
        assert!(lives(pid));
        rig.order(MigrationOrder::CloseDatabase);
        until("it is gone", || !lives(pid)).await;
    }
}

#[tokio::test]
async fn one_that_is_silent_is_told_and_killed() {
    let short = Duration::from_millis(300);
    let generous = Duration::from_secs(60);
    let patience = DatabasePatience { lock: generous, answer: generous, beat: generous, end: generous };
    // It never opens; it opens and never answers; it is stopped.
    let never = "def watch(): time.sleep(600)";
    let mute = "def answer(order, do): pass";
    let stopped = "def answer(order, do): os.kill(os.getpid(), signal.SIGSTOP)";
    for (code, opens, patience) in [
        (never, short, patience),
        (mute, generous, DatabasePatience { lock: short, ..patience }),
        (stopped, generous, DatabasePatience { lock: short, ..patience }),
    ] {
        let mut rig = Rig::django(&format!("open('pid', 'w').write(str(os.getpid()))\n{code}"))
            .patient(patience)
            .opens(opens);
        let mut told = rig.open().await;
        if let MigrationFact::Opened(_) = told {
            rig.order(MigrationOrder::LockDatabase);
            told = rig.next().await;
        }
        let MigrationFact::DatabaseFailed(trouble) = told else { panic!("{told:?}") };
        assert!(
            trouble.message.contains("within 300ms") || trouble.message.contains("for 300ms"),
            "{trouble:?}"
        );
        let pid: i32 = rig.text("pid").parse().unwrap();
        until("it is gone", || !lives(pid)).await;
    }
}

#[tokio::test]
async fn one_that_hangs_while_it_opens_tells_where_it_stands() {
    let code = "import faulthandler\n\
                def watch():\n    \
                    faulthandler.register(signal.SIGRTMIN + 5, sys.stderr)\n    \
                    open('pid', 'w').write(str(os.getpid()))\n    \
                    waits_for_something()\n\
                def waits_for_something(): time.sleep(600)";
    let mut rig = Rig::django(code).opens(Duration::from_secs(3));
    let MigrationFact::DatabaseFailed(trouble) = rig.open().await else { panic!("it does not open") };
    assert!(trouble.message.contains("within 3s (`open_timeout`)"), "{trouble:?}");
    assert!(trouble.traceback.contains("waits_for_something"), "{trouble:?}");
}

/// It shares one processor with three others, and so takes four times as long as it needs.
#[tokio::test]
async fn one_that_waits_for_a_processor_has_time_until_it_gets_one() {
    let code = "\
def work(seconds):
    while time.process_time() < seconds: pass
def watch():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    others = []
    for _ in range(3):
        others.append(os.fork())
        if others[-1] == 0: work(60); os._exit(0)
    work(1)
    for other in others: os.kill(other, 9)
    say(event='opened', vendor='sqlite', version='3.40', pending=PENDING)
    control.recv(1)";
    let mut rig = Rig::django(code).opens(Duration::from_secs(3));
    let told = rig.open().await;
    assert!(matches!(told, MigrationFact::Opened(_)), "{told:?}");
}

#[tokio::test]
async fn as_many_as_there_are_processors_are_opened_at_once_and_who_hangs_holds_up_the_next_for_a_moment() {
    let code = "def watch():\n    open('begun.%d' % os.getpid(), 'w').close()\n    time.sleep(600)";
    let mut rig = Rig::django(code).opens(Duration::from_secs(600));
    let folder = rig.folder.path().to_owned();
    let begun = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name());
        names.filter(|it| it.to_str().unwrap().starts_with("begun.")).count()
    };
    let at_once = std::thread::available_parallelism().unwrap().get();
    for run in 1..=at_once as u64 + 2 {
        let (app, opening) = (rig.app.clone(), rig.opening.clone());
        rig.migrations.perform(app.clone(), RunId(run), MigrationOrder::Open(opening));
        rig.migrations.perform(app, RunId(run), MigrationOrder::OpenDatabase { index: 0 });
    }
    until("the first have begun", || begun() >= at_once).await;
    assert_eq!(begun(), at_once);
    rig.order(MigrationOrder::CloseDatabase);
    until("the next has its turn", || begun() > at_once).await;
    assert_eq!(begun(), at_once + 1);
    until("all have theirs, though nobody is open", || begun() == at_once + 2).await;
    soon(rig.migrations.close()).await;
}

#[tokio::test]
async fn one_that_gave_signs_of_life_and_stands_still_is_told_though_it_owes_no_answer() {
    let code = "def answer(order, do):\n    say(event='alive')\n    os.kill(os.getpid(), signal.SIGSTOP)";
    let patience = DatabasePatience { beat: Duration::from_millis(300), ..DatabasePatience::default() };
    let mut rig = Rig::django(&format!("open('pid', 'w').write(str(os.getpid()))\n{code}")).patient(patience);
    assert!(matches!(rig.open().await, MigrationFact::Opened(_)));
    // What a rollback is waited for is waited for without end.
    rig.abort(StopSignal::EndBackends);
    let MigrationFact::DatabaseFailed(trouble) = rig.next().await else { panic!() };
    assert!(trouble.message.contains("stands still"), "{trouble:?}");
    let pid: i32 = rig.text("pid").parse().unwrap();
    until("it is gone", || !lives(pid)).await;
}

#[tokio::test]
async fn a_rollback_is_waited_for_as_long_as_it_takes() {
    let code = "def answer(order, do):\n    if do == 'end_backends':\n        time.sleep(1)\n        say(event='backends_gone')";
    let patience = Duration::from_millis(200);
    let patience = DatabasePatience { lock: patience, answer: patience, ..DatabasePatience::default() };
    let mut rig = Rig::django(code).patient(patience);
    rig.open().await;
    rig.abort(StopSignal::EndBackends);
    assert_eq!(rig.next().await, MigrationFact::BackendsGone);
}

#[tokio::test]
async fn a_flood_of_looks_does_not_crowd_out_the_rest() {
    let code = r#"
def answer(order, do):
    while do == 'look' and order['every_seconds']:
        control.sendall(b'{"event": "look", "backends": 1, "working": true}\n' * 1000)
def run():
    time.sleep(1)
    sys.exit(5)
"#;
    let mut rig = Rig::django(code);
    rig.start().await;
    let mut looks = 0;
    let begun = std::time::Instant::now();
    loop {
        match rig.next().await {
            MigrationFact::Looked(_) => looks += 1,
            MigrationFact::CommandEnded { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let most = 1000.0 * (begun.elapsed().as_secs_f64() + 1.5);
    assert!(f64::from(looks) < most, "{looks} looks, {most} at most");
}
