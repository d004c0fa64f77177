//! Migrations leave no descriptor and no zombie, whatever their commands leave behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use ostler::plan::{Blueprint, Budgets, Database, Fingerprint, Migrate, MigrateCommand, WorkerClass};
use ostler::run::migration::Migrations;
use ostler::supervise::{Event, MigrationFact, MigrationOrder, Opening, RunId, StopSignal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{alone, child_pids, children, descriptors, runtime, soon};

fn opening(folder: &std::path::Path, code: &str) -> Opening {
    let blueprint = Blueprint {
        app: "shop".parse().unwrap(),
        directory: folder.to_owned(),
        // As a database side it ends at once, and says nothing.
        python: "/bin/true".into(),
        entry: String::new(),
        args: Vec::new(),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        account: None,
        umask: 0o022,
        limits: ostler::plan::ProcessLimits::default(),
        listen: Vec::new(),
        class: WorkerClass::Sync,
        gunicorn: "27.0.1".to_owned(),
        probe: None,
        log_file: Some(folder.join("log")),
        capacity: None,
        hooks: Vec::new(),
        preload: ostler::plan::Preload::Nothing,
        processes: Default::default(),
        no_new_privileges: true,
        image: None,
        release: Fingerprint::default(),
    };
    let migrate = Migrate {
        command: MigrateCommand::Other(["sh", "-c", code].map(str::to_owned).into()),
        databases: vec![Database::Alias("default".to_owned())],
        post_deploy: Vec::new(),
        budgets: Budgets::default(),
        breaking: Default::default(),
        overrides: BTreeMap::new(),
        marker: true,
    };
    Opening { blueprint: Arc::new(blueprint), migrate: Arc::new(migrate), serving: None }
}

async fn until(facts: &mut UnboundedReceiver<Event>, is: fn(&MigrationFact) -> bool) {
    loop {
        match soon(facts.recv()).await {
            Some(Event::MigrationHeard { fact, .. }) if is(&fact) => return,
            Some(_) => {}
            None => panic!("nobody tells any more"),
        }
    }
}

#[test]
fn migrations_leave_no_descriptor_and_no_zombie() {
    let _alone = alone();
    let before = descriptors();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    runtime().block_on(async {
        let children = children();
        children.take_orphans().unwrap();
        let (sender, mut facts) = unbounded_channel();
        let state = folder.path().join("state");
        let mut migrations = Migrations::new(children.clone(), &state, folder.path(), sender);
        let slips = "(setsid sleep 600 &) ; setsid sleep 600 & echo on";
        for (number, code) in [(1, "echo done"), (2, slips), (3, "exec sleep 600"), (4, "exit 3")] {
            let run = RunId(number);
            let mut order = |order| migrations.perform("shop".parse().unwrap(), run, order);
            order(MigrationOrder::Open(opening(folder.path(), code)));
            until(&mut facts, |fact| matches!(fact, MigrationFact::PastRead(_))).await;
            order(MigrationOrder::OpenDatabase { index: 0 });
            until(&mut facts, |fact| matches!(fact, MigrationFact::DatabaseFailed(_))).await;
            order(MigrationOrder::RunMigration { attempt: 1, checks: true });
            if number == 3 {
                order(MigrationOrder::Abort(StopSignal::Kill));
            }
            until(&mut facts, |fact| matches!(fact, MigrationFact::CommandEnded { .. })).await;
            order(MigrationOrder::Close);
        }
        soon(migrations.close()).await;
        drop(migrations);
        soon(async {
            while !child_pids().is_empty() {
                children.sweep();
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(children.count(), 0);
        nix::sys::prctl::set_child_subreaper(false).unwrap();
    });
    assert_eq!(descriptors(), before);
}
