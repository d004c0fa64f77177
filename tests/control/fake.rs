//! An ostlerd without workers: the real server, and answers by the name of the app that is asked about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler::config::AppName;
use ostler::control::GivenCommand;
use ostler::observe::{AppStatus, ConfigStatus, Status};
use ostler::supervise::{
    AppEvent, AppEventKind, AppState, Command as Asked, GenerationId, LastWords, Leftover, Opened, Outcome,
    Pending, PendingMigration, ProcessChange, ProcessEvent, ProcessId, Role, Vendor, Verdict, VerdictKind,
};
use tokio::sync::{broadcast, oneshot, watch};

/// Longer than anything here takes; only a failure waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Fake {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) events: broadcast::Sender<AppEvent>,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) owners: watch::Sender<BTreeMap<AppName, u32>>,
    commands: Receiver<Asked>,
    held: Receiver<oneshot::Sender<Outcome>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn name(text: &str) -> AppName {
    text.parse().unwrap()
}

pub(crate) fn event(app: &str, kind: AppEventKind) -> AppEvent {
    AppEvent { app: name(app), kind }
}

pub(crate) fn ready(app: &str, ready: u32) -> AppEvent {
    let (worker, generation) = (ProcessId(u64::from(ready)), GenerationId(2));
    let took = Duration::from_millis(410);
    event(
        app,
        AppEventKind::Process(ProcessEvent {
            process: worker,
            role: Role::Web,
            generation,
            change: ProcessChange::Ready { ready: Some(ready), wanted: Some(2), took },
        }),
    )
}

pub(crate) fn app(text: &str, state: AppState) -> AppStatus {
    AppStatus {
        zygotes: Vec::new(),
        image: None,
        processes: Vec::new(),
        name: name(text),
        state,
        generation: Some(GenerationId(1)),
        directory: None,
        before: None,
        output: None,
        runs: Some("gthread, gunicorn 23.0.0".into()),
        workers_wanted: 2,
        proof: None,
        scaling: None,
        listeners: vec!["127.0.0.1:8000".into()],
        migrations: Some("Django\'s migrate, database default".into()),
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
        workers: vec![],
    }
}

pub(crate) fn status(apps: Vec<AppStatus>) -> Status {
    let config =
        ConfigStatus { valid: true, file: "/etc/ostler/ostler.toml".into(), ..ConfigStatus::default() };
    Status { version: "0.0.0".into(), pid: 1, draining: false, drain: None, config, apps }
}

impl Fake {
    /// Apps by what becomes of a command about them: `shop` (done), `broken` (rolled back), `busy` (refused),
    /// `slow` (answered when the test says so), `torn` (left dirty by a migration), `vanish` (never answered).
    pub(crate) fn start() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let bound = ostler::control::bind(&socket).unwrap();
        let apps = ["broken", "busy", "shop", "slow", "torn", "vanish"];
        let first = status(apps.map(|text| app(text, AppState::Serving)).into());
        let (channels, ends) = ostler::control::channels(first);
        let (events, events_back, status, owners) =
            (ends.events.clone(), ends.events, ends.status, ends.owners);
        let (stop, stopped) = oneshot::channel();
        let (given, commands) = channel();
        let (hold, held) = channel();
        let mut taken = ends.commands;
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let answering = async move {
                    while let Some(GivenCommand { command, answer }) = taken.recv().await {
                        let _ = given.send(command.clone());
                        answer_command(&command, answer, &events_back, &hold);
                    }
                };
                tokio::select! {
                    _ = stopped => {}
                    served = ostler::control::serve(bound, channels) => panic!("{served:?}"),
                    () = answering => {}
                }
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Fake { folder, socket, events, status, owners, commands, held, stop, thread }
    }

    pub(crate) fn next_command(&self) -> Asked {
        self.commands.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn next_held(&self) -> oneshot::Sender<Outcome> {
        self.held.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn stop(&mut self) {
        // The thread may have ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
        command.args(arguments).env("OSTLER_SOCKET", &self.socket).env_remove("NO_COLOR");
        command
    }

    pub(crate) fn ostler(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer_command(
    command: &Asked,
    answer: oneshot::Sender<Outcome>,
    out: &broadcast::Sender<AppEvent>,
    hold: &std::sync::mpsc::Sender<oneshot::Sender<Outcome>>,
) {
    let done = |message: &str| Outcome::Done { message: message.into(), generation: Some(GenerationId(2)) };
    let app = match command {
        Asked::Drain { .. } => return drop(answer.send(done("drained"))),
        Asked::Undrain => return drop(answer.send(done("undrained"))),
        Asked::Reload | Asked::Reexec => return drop(answer.send(done("nothing to change"))),
        Asked::DryRun => {
            return drop(answer.send(Outcome::Planned { changes: vec![], needs_restart: vec![] }));
        }
        Asked::AbortMigration { .. } => return drop(answer.send(done("it has ended"))),
        Asked::ResolveMigration { .. } => return drop(answer.send(done("resolved"))),
        Asked::MigrationPlan { app } => {
            // What happens meanwhile is no part of the answer.
            let _ = out.send(ready(app.as_str(), 1));
            return drop(answer.send(planned()));
        }
        Asked::MigrationHistory { app } => {
            let _ = out.send(ready(app.as_str(), 1));
            return drop(answer.send(Outcome::MigrationHistory { runs: vec![] }));
        }
        Asked::Served => {
            return drop(answer.send(Outcome::Invalid { reason: "a fake serves nothing".into() }));
        }
        other => other.app().expect("the others are about an app").as_str(),
    };
    let tell = |event| drop(out.send(event));
    let (generation, from) = (GenerationId(2), Some(GenerationId(1)));
    tell(event(app, AppEventKind::RolloutStarted { generation, from, workers: 2 }));
    let outcome = match app {
        "broken" => Outcome::RolledBack {
            reason: "2 workers of g2 did not boot".into(),
            last_words: LastWords {
                message: "ModuleNotFoundError: No module named 'nope'".into(),
                traceback:
                    "Traceback (most recent call last):\nModuleNotFoundError: No module named 'nope'\n".into(),
            },
            serving: Some(GenerationId(1)),
        },
        "torn" => torn(),
        "busy" => Outcome::Refused { reason: "ostlerd is draining".into() },
        "slow" => return drop(hold.send(answer)),
        "vanish" => return,
        _ => {
            tell(ready(app, 1));
            tell(ready("other", 1));
            tell(ready(app, 2));
            done("generation g2 serves")
        }
    };
    // Whoever asked may be gone.
    let _ = answer.send(outcome);
}

fn planned() -> Outcome {
    let price = PendingMigration { name: "shop.0007_price".into(), atomic: true, operations: 3 };
    let pending = Some(Pending { migrations: vec![price], ..Pending::default() });
    let opened = Opened { vendor: Vendor::Postgresql, version: "15.14".into(), pending, ..Opened::default() };
    Outcome::MigrationsPending { databases: vec![("default".into(), opened)] }
}

fn torn() -> Outcome {
    let index = Leftover {
        migration: Some("shop.0008_index".into()),
        what: "index shop_x is INVALID".into(),
        remedy: "DROP INDEX CONCURRENTLY \"shop_x\";".into(),
        removed: false,
    };
    Outcome::NotMigrated {
        verdict: Verdict {
            applied: vec!["shop.0007_price".into()],
            detail: "Traceback (most recent call last):\nOperationalError: canceling statement\n".into(),
            leftovers: vec![index],
            ..Verdict::of(VerdictKind::Dirty, "an index was left behind")
        },
        serving: Some(GenerationId(1)),
    }
}

/// Waits for a state, not for a time.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
