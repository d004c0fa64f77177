use std::path::{Path, PathBuf};
use std::sync::Arc;

use ostler::config::{Address, Listen, Origin};
use ostler::plan::{Blueprint, Fingerprint, Probe, WorkerClass};
use ostler::run::listeners::{Listeners, SocketName};
use ostler::run::scoreboard::{Scoreboard, Slot, monotonic_now};
use ostler::run::socket_activation::Passed;
use ostler::run::worker_process::{Admission, StartedWorker, WorkerHandle, start};
use ostler::supervise::{Event, Exit, GenerationId, ProcessFact, ProcessId, StopSignal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{children, lives, script, soon, until};

/// A stand-in for the interpreter that speaks the worker contract.
const PRELUDE: &str = r#"#!/usr/bin/python3 -IS
import json, os, socket, sys, time
orders = json.loads(os.pread(4, 65536, 0))
control = socket.socket(fileno=5)
def say(**message): control.sendall(json.dumps(message).encode() + b"\n")
"#;

/// An app with a scoreboard and listeners, whose workers are the program `code`.
pub(crate) struct App {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) listeners: Listeners,
    scoreboard: Scoreboard,
    slot: Slot,
}

impl App {
    pub(crate) fn new(code: &str, listen: &[Address]) -> App {
        let folder = tempfile::tempdir().unwrap();
        let python = script(folder.path(), "python", &format!("{PRELUDE}{code}\n"));
        App::run_by(python, folder, listen)
    }

    pub(crate) fn run_by(python: PathBuf, folder: tempfile::TempDir, listen: &[Address]) -> App {
        let listen: Vec<Listen> = listen
            .iter()
            .map(|address| Listen { address: address.clone(), mode: None, backlog: 16, origin: Origin::File })
            .collect();
        let mut listeners = Listeners::new(folder.path());
        listeners.bind_missing(&listen, None, &Passed::default()).unwrap();
        let mut scoreboard = Scoreboard::create(&folder.path().join("scoreboard")).unwrap();
        let _first = scoreboard.claim().unwrap();
        let slot = scoreboard.claim().unwrap();
        let blueprint = Arc::new(blueprint(folder.path(), python, listen));
        App { folder, blueprint, listeners, scoreboard, slot }
    }

    pub(crate) fn start(&self, hold: bool) -> (WorkerHandle, UnboundedReceiver<Event>) {
        let name = (ProcessId(17), GenerationId(3));
        let place = (&self.scoreboard, &self.slot);
        let admission = Admission { hold, ..Admission::default() };
        let StartedWorker { handle, watch, gate, .. } =
            start(&children(), name, &self.blueprint, admission, &self.listeners, place).unwrap();
        gate.open();
        let (sender, events) = unbounded_channel();
        tokio::spawn(watch.run(sender));
        (handle, events)
    }
}

pub(crate) fn blueprint(folder: &Path, python: PathBuf, listen: Vec<Listen>) -> Blueprint {
    Blueprint {
        app: "shop".parse().unwrap(),
        directory: folder.to_owned(),
        python,
        entry: "shop.wsgi:application".to_owned(),
        args: vec!["-k".to_owned(), "gthread".to_owned()],
        env: [("A".to_owned(), "b".to_owned())].into(),
        account: None,
        umask: 0o022,
        limits: ostler::plan::ProcessLimits::default(),
        listen,
        class: WorkerClass::Gthread,
        capacity: None,
        gunicorn: "27.0.1".to_owned(),
        probe: Some(Probe {
            path: "/healthz".to_owned(),
            host: Some("localhost".to_owned()),
            scheme: "http".to_owned(),
            timeout: std::time::Duration::from_secs(10),
            asked: true,
        }),
        log_file: None,
        hooks: Vec::new(),
        preload: ostler::plan::Preload::Nothing,
        processes: Default::default(),
        no_new_privileges: true,
        image: None,
        release: Fingerprint::default(),
    }
}

pub(crate) async fn all(mut events: UnboundedReceiver<Event>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = soon(events.recv()).await {
        told.push(words(&event));
    }
    told
}

pub(crate) fn words(event: &Event) -> String {
    match event {
        Event::Process { process: worker, fact: ProcessFact::Proved(_) } => format!("{worker} proved"),
        Event::Process { process: worker, fact: ProcessFact::Loaded } => format!("{worker} loaded"),
        Event::Process { process: worker, fact: ProcessFact::Ready } => format!("{worker} ready"),
        Event::Process { process: worker, fact: ProcessFact::Failed(words) } => {
            format!("{worker} failed: {} {}", words.message, words.traceback)
        }
        Event::Process { process: worker, fact: ProcessFact::Exited(exit) } => {
            format!("{worker} exited: {exit}")
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_worker_gets_its_orders_and_serves_the_shared_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    let app = App::new(
        "with open('orders', 'w') as f: json.dump([orders, sys.argv], f)\n\
         import mmap, struct\n\
         page = mmap.mmap(6, orders['slot']['size'], offset=orders['slot']['offset'])\n\
         page[:32] = struct.pack('=4Q', 1, 3, time.monotonic_ns(), 5)\n\
         say(event='ready')\n\
         for listener in orders['listeners']:\n\
         \x20   served = socket.socket(fileno=listener['fd'])\n\
         \x20   served.setblocking(True)\n\
         \x20   served.accept()[0].sendall(listener['family'].encode())",
        &[Address::Tcp("127.0.0.1:0".parse().unwrap()), Address::Unix(path.clone())],
    );
    let (handle, mut events) = app.start(false);
    assert_eq!(words(&soon(events.recv()).await.unwrap()), "w17 ready");
    assert!(lives(handle.pid()));

    let told = std::fs::read_to_string(app.folder.path().join("orders")).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let bound = app.listeners.of(&app.blueprint.listen);
    let SocketName::Inet(host, port) = &bound[0].name else { panic!("{bound:?}") };
    let orders = serde_json::json!({
        "contract": 1, "mode": "worker", "app": "shop", "worker": 17, "generation": 3,
        "entry": "shop.wsgi:application", "args": ["-k", "gthread"],
        "listeners": [{"fd": 7, "family": "inet", "address": ["127.0.0.1", port], "backlog": 16},
                      {"fd": 8, "family": "unix", "address": path, "backlog": 16}],
        "slot": {"offset": 4096, "size": 4096}, "hold": false,
        "probe": {"path": "/healthz", "host": "localhost", "scheme": "http", "timeout_seconds": 10.0,
                  "asked": true, "tolerate": {"errors": false, "late": false}},
        "log_file": null, "room": 131072,
    });
    assert_eq!(told[0], orders);
    assert_eq!(told[1][3], "ostler: shop [w17 g3]");
    assert_eq!(app.scoreboard.read(&app.slot, monotonic_now()).unwrap().requests, 5);

    let address = format!("{host}:{port}");
    let answers = tokio::task::spawn_blocking(move || {
        let tcp = std::io::read_to_string(std::net::TcpStream::connect(address).unwrap()).unwrap();
        let unix = std::io::read_to_string(std::os::unix::net::UnixStream::connect(path).unwrap()).unwrap();
        (tcp, unix)
    });
    assert_eq!(soon(answers).await.unwrap(), ("inet".to_owned(), "unix".to_owned()));
    assert_eq!(all(events).await, ["w17 exited: exit status 0"]);
}

#[tokio::test]
async fn a_held_worker_waits_until_it_is_admitted() {
    let app = App::new(
        "assert orders['hold']\nsay(event='loaded')\nassert control.recv(1) == b'g'\nsay(event='ready')\n\
         assert control.recv(1) == b''",
        &[],
    );
    let (handle, mut events) = app.start(true);
    assert_eq!(words(&soon(events.recv()).await.unwrap()), "w17 loaded");
    handle.admit().unwrap();
    // The control socket is closed once the worker is ready, though the handle still lives.
    assert_eq!(all(events).await, ["w17 ready", "w17 exited: exit status 0"]);
    handle.admit().unwrap();
    handle.signal(StopSignal::Kill).unwrap();
}

#[tokio::test]
async fn a_held_worker_ends_with_whoever_watches_it() {
    let app = App::new("assert control.recv(1) == b''", &[]);
    let name = (ProcessId(1), GenerationId(1));
    let (held, place) = (Admission { hold: true, ..Admission::default() }, (&app.scoreboard, &app.slot));
    let started = start(&children(), name, &app.blueprint, held, &app.listeners, place).unwrap();
    let pid = started.handle.pid();
    started.gate.open();
    drop(started.watch);
    until("the worker ends", || !lives(pid)).await;
}

#[tokio::test]
async fn what_a_worker_says_of_its_failure_comes_before_its_exit() {
    // The grandchild holds the control socket open, as a daemon that the app starts would.
    let app = App::new(
        "if os.fork() == 0:\n\
         \x20   open('grandchild', 'w').write(str(os.getpid()))\n\
         \x20   os.rename('grandchild', 'there')\n\
         \x20   time.sleep(600)\n\
         while not os.path.exists('there'): time.sleep(0.001)\n\
         say(event='failed', stage='import', message='No module named shop', traceback='Traceback: …')\n\
         os._exit(3)",
        &[],
    );
    for _ in 0..20 {
        let _ = std::fs::remove_file(app.folder.path().join("there"));
        let (_, events) = app.start(false);
        let told = all(events).await;
        assert_eq!(told, ["w17 failed: No module named shop Traceback: …", "w17 exited: exit status 3"]);
        let grandchild = std::fs::read_to_string(app.folder.path().join("there")).unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(grandchild), nix::sys::signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_babbles_is_read_so_far_and_no_further() {
    let app = App::new(
        "import signal\n\
         signal.signal(signal.SIGPIPE, signal.SIG_IGN)\n\
         control.sendall(b'hello\\n')\n\
         say(event='loaded')\n\
         try:\n\
         \x20   while True: control.sendall(b'x' * 10000)\n\
         except OSError: os._exit(9)",
        &[],
    );
    let (_, events) = app.start(true);
    assert_eq!(all(events).await, ["w17 loaded", "w17 exited: exit status 9"]);
}

#[tokio::test]
async fn an_interpreter_that_cannot_be_run_is_a_failure_in_words() {
    let app = App::new("", &[]);
    std::fs::remove_file(&app.blueprint.python).unwrap();
    let (_, events) = app.start(false);
    let told = all(events).await;
    assert!(told[0].starts_with("w17 failed: cannot run "), "{told:?}");
    assert!(told[0].contains("/python is not there"), "{told:?}");
    assert_eq!(told[1..], ["w17 exited: exit status 127"]);
}

#[tokio::test]
async fn a_killed_worker_is_told_by_its_signal() {
    let app = App::new("say(event='ready')\ntime.sleep(600)", &[]);
    let (handle, mut events) = app.start(false);
    soon(events.recv()).await.unwrap();
    handle.signal(StopSignal::Kill).unwrap();
    let last = soon(events.recv()).await.unwrap();
    assert!(matches!(last, Event::Process { fact: ProcessFact::Exited(Exit::Signal(9)), .. }), "{last:?}");
}
