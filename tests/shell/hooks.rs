use std::time::Duration;

use ostler::run::hook_host::{HookHost, HookPatience, start};
use ostler::supervise::GenerationId;
use ostler::worker::{Hook, HookOrder};
use tokio::task::JoinHandle;

use crate::support::{children, lives, soon, until};
use crate::worker::App;

/// Notes each line that it gets.
const OBEDIENT: &str = "\
lines = control.makefile()
for line in lines:
    hook = json.loads(line)['hook']
    open('notes', 'a').write(hook + '\\n')
    say(event='ran', hook=hook)
open('notes', 'a').write('end of file\\n')";

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn host(app: &App, patience: HookPatience) -> (HookHost, JoinHandle<()>) {
    let (host, task) = start(&children(), GenerationId(3), &app.blueprint, patience).unwrap();
    (host, tokio::spawn(task.run()))
}

/// Its process, once it is there.
async fn started(host: &HookHost) -> i32 {
    until("it is there", || host.pid().is_some()).await;
    host.pid().unwrap()
}

fn notes(app: &App) -> String {
    std::fs::read_to_string(app.folder.path().join("notes")).unwrap_or_default()
}

#[tokio::test]
async fn hooks_that_wait_run_in_order_before_the_end() {
    let app = App::new(OBEDIENT, &[]);
    let (mut host, task) = host(&app, HookPatience { hook: LONG, end: LONG });
    for hook in Hook::ALL {
        host.tell(HookOrder::new(hook, 2));
    }
    let pid = started(&host).await;
    drop(host);
    soon(task).await.unwrap();
    let expected: Vec<&str> = Hook::ALL.iter().map(|hook| hook.name()).chain(["end of file"]).collect();
    assert_eq!(notes(&app).lines().collect::<Vec<_>>(), expected);
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_hook_that_hangs_is_killed_with_all_that_it_started() {
    let code = "child = os.fork()\n\
                if child == 0: time.sleep(600)\n\
                open('child', 'w').write(str(child))\n\
                os.rename('child', 'notes')\n\
                time.sleep(600)";
    let app = App::new(code, &[]);
    let (mut host, task) = host(&app, HookPatience { hook: SHORT, end: LONG });
    until("it has a child", || !notes(&app).is_empty()).await;
    host.tell(HookOrder::new(Hook::OnStarting, 2));
    soon(task).await.unwrap();
    let child = notes(&app).parse().unwrap();
    until("its child is gone", || !lives(child)).await;
    // Nobody is there any more, and nobody minds.
    host.tell(HookOrder::new(Hook::OnExit, 2));
    host.reopen_logs();
}

#[tokio::test]
async fn a_host_that_does_not_end_is_killed() {
    let app = App::new("open('notes', 'w').write('here')\nwhile True: time.sleep(600)", &[]);
    let (mut host, task) = host(&app, HookPatience { hook: LONG, end: SHORT });
    until("it runs", || !notes(&app).is_empty()).await;
    host.tell(HookOrder::new(Hook::OnExit, 2));
    let pid = started(&host).await;
    drop(host);
    soon(task).await.unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_host_that_ends_by_itself_is_reaped_at_once() {
    for code in [
        "sys.exit(3)",
        "say(event='failed', stage='settings', message='no')",
        "control.close(); time.sleep(1)",
    ] {
        let app = App::new(code, &[]);
        let (mut host, task) = host(&app, HookPatience { hook: LONG, end: LONG });
        host.tell(HookOrder::new(Hook::OnStarting, 2));
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn a_host_may_answer_for_ever() {
    let app = App::new(OBEDIENT, &[]);
    let (mut host, task) = host(&app, HookPatience { hook: LONG, end: LONG });
    // More than a worker may say in its whole life.
    for round in 0..20 {
        for _ in 0..500 {
            host.tell(HookOrder::new(Hook::ChildExit, 2));
        }
        until("they have run", || notes(&app).lines().count() == (round + 1) * 500).await;
    }
    drop(host);
    soon(task).await.unwrap();
    assert!(notes(&app).ends_with("child_exit\nend of file\n"));
}
