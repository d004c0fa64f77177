use std::sync::Arc;

use ostler::run::hook_host::{HookInput, HookWatch, input, start};
use ostler::run::process::ProcessHandle;
use ostler::supervise::{Event, Exit, GenerationId, ProcessFact, ProcessId, StopSignal};
use ostler::worker::{Hook, HookOrder};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

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

/// A process for hooks, and what is heard of it.
struct Host {
    input: HookInput,
    process: Arc<ProcessHandle>,
    events: UnboundedReceiver<Event>,
}

impl Host {
    fn of(app: &App) -> Host {
        let ((process, gate), wire, _) = start(&children(), GenerationId(3), &app.blueprint).unwrap();
        let (process, (mut input, orders)) = (Arc::new(process), input());
        let (app, id) = (app.blueprint.app.clone(), ProcessId(7));
        let (tell, events) = unbounded_channel();
        tokio::spawn(HookWatch { app, id, process: process.clone(), wire, orders }.run(tell));
        gate.open();
        input.begin();
        Host { input, process, events }
    }

    fn tell(&self, hook: Hook) {
        self.input.tell(HookOrder::new(hook, 2));
    }

    /// What is heard next.
    async fn next(&mut self) -> ProcessFact {
        match soon(self.events.recv()).await {
            Some(Event::Process { process: ProcessId(7), fact }) => fact,
            other => panic!("{other:?}"),
        }
    }

    /// What is heard until it ends, when it is told that nothing more comes.
    async fn rest(self) -> Vec<ProcessFact> {
        let Host { input, mut events, .. } = self;
        drop(input);
        let mut rest = Vec::new();
        while let Some(event) = soon(events.recv()).await {
            let Event::Process { fact, .. } = event else { panic!("{event:?}") };
            rest.push(fact);
        }
        rest
    }
}

fn notes(app: &App) -> String {
    std::fs::read_to_string(app.folder.path().join("notes")).unwrap_or_default()
}

#[tokio::test]
async fn hooks_that_wait_run_in_order_before_the_end() {
    let app = App::new(OBEDIENT, &[]);
    let host = Host::of(&app);
    Hook::ALL.into_iter().for_each(|hook| host.tell(hook));
    let pid = host.process.pid();
    let rest = host.rest().await;
    let expected: Vec<&str> = Hook::ALL.iter().map(|hook| hook.name()).chain(["end of file"]).collect();
    assert_eq!(notes(&app).lines().collect::<Vec<_>>(), expected);
    let ran = |fact: &ProcessFact| match fact {
        ProcessFact::Ran { hook, error: None } => Some(*hook),
        _ => None,
    };
    assert_eq!(rest.iter().map_while(ran).collect::<Vec<_>>(), Hook::ALL, "{rest:?}");
    assert!(matches!(rest.last(), Some(ProcessFact::Exited(Exit::Code(0)))), "{rest:?}");
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
    let mut host = Host::of(&app);
    until("it has a child", || !notes(&app).is_empty()).await;
    host.tell(Hook::OnStarting);
    host.process.stop(StopSignal::Kill).unwrap();
    let exited = host.next().await;
    assert!(matches!(exited, ProcessFact::Exited(Exit::Signal(9))), "{exited:?}");
    let child = notes(&app).parse().unwrap();
    until("its child is gone", || !lives(child)).await;
    // Nobody is there any more, and nobody minds.
    host.tell(Hook::OnExit);
    host.process.stop(StopSignal::Kill).unwrap();
}

#[tokio::test]
async fn what_a_hook_host_has_started_ends_with_it() {
    let code = "child = os.fork()\n\
                if child == 0: time.sleep(600)\n\
                open('notes', 'w').write(str(child))";
    let app = App::new(code, &[]);
    let mut host = Host::of(&app);
    let exited = host.next().await;
    assert!(matches!(exited, ProcessFact::Exited(Exit::Code(0))), "{exited:?}");
    let child = notes(&app).parse().unwrap();
    until("its child is gone", || !lives(child)).await;
}

#[tokio::test]
async fn a_host_that_ends_by_itself_says_why_and_is_reaped_at_once() {
    for (code, says) in [
        ("sys.exit(3)", None),
        ("say(event='failed', stage='settings', message='no')", Some("no")),
        ("control.close(); time.sleep(1)", None),
    ] {
        let app = App::new(code, &[]);
        let mut host = Host::of(&app);
        host.tell(Hook::OnStarting);
        if let Some(says) = says {
            let failed = host.next().await;
            assert!(
                matches!(&failed, ProcessFact::Failed(words) if words.message.contains(says)),
                "{failed:?}"
            );
        }
        let exited = host.next().await;
        assert!(matches!(exited, ProcessFact::Exited(Exit::Code(_))), "{code}: {exited:?}");
    }
}

#[tokio::test]
async fn a_host_may_answer_for_ever() {
    let app = App::new(OBEDIENT, &[]);
    let mut host = Host::of(&app);
    // More than a worker may say in its whole life.
    for _ in 0..20 {
        (0..500).for_each(|_| host.tell(Hook::ChildExit));
        for _ in 0..500 {
            let ran = host.next().await;
            assert!(matches!(ran, ProcessFact::Ran { hook: Hook::ChildExit, error: None }), "{ran:?}");
        }
    }
    host.rest().await;
    assert!(notes(&app).ends_with("child_exit\nend of file\n"));
}
