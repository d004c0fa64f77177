//! Migrations with stand-ins for Python: what is told of them, and that nothing of them is left.

mod commands;
mod databases;
mod escapes;
mod histories;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::{Blueprint, Budgets, Database, Migrate, MigrateCommand};
use ostler::run::migration::{DatabasePatience, History, MARK, Migrations};
use ostler::supervise::{
    CommandFailure, Event, Exit, MigrationFact, MigrationOrder, Opening, Record, RunId, StopSignal,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{children, script, soon};
use crate::worker::blueprint;

/// A stand-in for the interpreter that speaks the contract of migrations; `watch` and `run` may be defined anew.
const PRELUDE: &str = r#"#!/usr/bin/python3 -IS
import json, os, signal, socket, subprocess, sys, time
orders = json.loads(os.pread(4, 65536, 0))
control = socket.socket(fileno=5)
def say(**message): control.sendall(json.dumps(message).encode() + b"\n")
PENDING = {"migrations": [{"name": "shop.0001_initial", "atomic": True, "operations": 2}], "ahead": []}
def watch():
    say(event="opened", vendor="sqlite", version="3.40", pending=PENDING)
    for line in control.makefile():
        order = json.loads(line)
        open("told", "a").write(line)
        answer(order, order["do"])
def answer(order, do):
    if do == "lock":
        say(event="busy", holder="web2")
        say(event="locked", pending=PENDING, swept=[{"pid": 4711}])
    elif do == "look" and order["every_seconds"]: say(event="look", backends=1, working=True, harm=0.5)
    elif do == "cancel": say(event="cancelled", backends=1)
    elif do == "end_backends": say(event="backends_gone")
    elif do == "verify": say(event="verified", backends=0, recorded=["shop.0001_initial"])
def run():
    print("  Applying shop.0001_initial...", end="", flush=True)
    say(event="step", at="migration", name="shop.0001_initial", number=1, of=1, atomic=True)
    print(" OK")
"#;

/// One app with a migration, in a folder of its own.
pub(super) struct Rig {
    pub(super) migrations: Migrations,
    facts: UnboundedReceiver<Event>,
    pub(super) opening: Opening,
    pub(super) app: AppName,
    /// Last: who still runs writes into it, and is ended before it is removed.
    pub(super) folder: tempfile::TempDir,
}

pub(super) const RUN: RunId = RunId(1);

impl Rig {
    /// Django's migration by a stand-in whose parts `code` may define anew.
    pub(super) fn django(code: &str) -> Rig {
        let databases = vec![Database::Alias("default".to_owned())];
        Rig::new(code, MigrateCommand::Django, databases)
    }

    /// A shell command, without a database.
    pub(super) fn shell(code: &str) -> Rig {
        let argv = ["/bin/sh", "-c", code].map(str::to_owned).into();
        Rig::new("", MigrateCommand::Other(argv), Vec::new())
    }

    fn new(code: &str, command: MigrateCommand, databases: Vec<Database>) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let begin = "(watch if orders['mode'] == 'watch' else run)()";
        let python = script(folder.path(), "python", &format!("{PRELUDE}{code}\n{begin}\n"));
        let mut blueprint = blueprint(folder.path(), python, Vec::new());
        blueprint.env.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Rig::of(folder, blueprint, command, databases)
    }

    fn of(
        folder: tempfile::TempDir,
        blueprint: Blueprint,
        command: MigrateCommand,
        databases: Vec<Database>,
    ) -> Rig {
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let (sender, facts) = unbounded_channel();
        let migrations = Migrations::new(children(), &state, folder.path(), sender);
        let migrate = Migrate {
            command,
            databases,
            post_deploy: Vec::new(),
            budgets: Budgets::default(),
            breaking: Default::default(),
            overrides: std::collections::BTreeMap::new(),
            marker: true,
        };
        let app = blueprint.app.clone();
        let opening = Opening { blueprint: Arc::new(blueprint), migrate: Arc::new(migrate), serving: None };
        Rig { folder, migrations, facts, opening, app }
    }

    /// With so much time to open its database.
    pub(super) fn opens(mut self, limit: Duration) -> Rig {
        let migrate = Arc::make_mut(&mut self.opening.migrate);
        migrate.budgets.open_timeout = limit;
        self
    }

    pub(super) fn patient(self, patience: DatabasePatience) -> Rig {
        Rig { migrations: self.migrations.with_patience(patience), ..self }
    }

    pub(super) fn order(&mut self, order: MigrationOrder) {
        self.migrations.perform(self.app.clone(), RUN, order);
    }

    /// Opens the run and its database.
    pub(super) async fn open(&mut self) -> MigrationFact {
        self.order(MigrationOrder::Open(self.opening.clone()));
        let past = self.next().await;
        assert!(matches!(past, MigrationFact::PastRead(_)), "{past:?}");
        self.order(MigrationOrder::OpenDatabase { index: 0 });
        self.next().await
    }

    /// Opens, and starts the command.
    pub(super) async fn start(&mut self) {
        let opened = self.open().await;
        assert!(matches!(opened, MigrationFact::Opened(_)), "{opened:?}");
        self.order(MigrationOrder::RunMigration { attempt: 1, checks: true });
    }

    pub(super) fn abort(&mut self, rung: StopSignal) {
        self.order(MigrationOrder::Abort(rung));
    }

    /// What is told next, but for signs of life.
    pub(super) async fn next(&mut self) -> MigrationFact {
        loop {
            match self.any().await {
                MigrationFact::Worked | MigrationFact::Opening => {}
                told => return told,
            }
        }
    }

    /// What is told next.
    pub(super) async fn any(&mut self) -> MigrationFact {
        match soon(self.facts.recv()).await {
            Some(Event::MigrationHeard { run: RUN, fact }) => *fact,
            other => panic!("{other:?}"),
        }
    }

    /// What is told next besides looks and signs of life.
    pub(super) async fn told(&mut self) -> MigrationFact {
        loop {
            match self.next().await {
                MigrationFact::Looked(_) | MigrationFact::Wrote | MigrationFact::Progressed(_) => {}
                told => return told,
            }
        }
    }

    /// How the command ends.
    pub(super) async fn ended(&mut self) -> (Exit, Option<CommandFailure>) {
        match self.told().await {
            MigrationFact::CommandEnded { exit, failure } => (exit, failure),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn record(&mut self, record: Record) -> MigrationFact {
        self.order(MigrationOrder::RecordMigration(Box::new(record)));
        self.told().await
    }

    pub(super) fn history(&self) -> History {
        History::of(&self.folder.path().join("state"), &self.app)
    }

    /// What the run has written, once it is recorded.
    pub(super) async fn output(&mut self) -> Vec<String> {
        let recorded = self.record(Record::default()).await;
        assert_eq!(recorded, MigrationFact::Recorded);
        self.history().runs().unwrap().pop().unwrap().output
    }

    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Processes that still carry the marks of a run of this folder.
    pub(super) fn left(&self) -> Vec<i32> {
        marked(self.folder.path())
    }
}

/// Every process with the mark of a run, and its folder in its environment as PWD or as its working directory.
fn marked(folder: &Path) -> Vec<i32> {
    let folder = folder.canonicalize().unwrap();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder))
        .filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(MARK)
        })
        .collect()
}
