//! `kill -9` of ostlerd in the middle of a migration: the next one sweeps, verifies and tells.

use nix::sys::signal::Signal;

use crate::harness::{Said, Site, kill, until};
use crate::server::Postgres;
use crate::shop::{Drivers, migration, migration_not_atomic, postgres, second_release, shop, without};

fn swept_and_told(add: impl Fn(&crate::harness::AppFile), running: &str) {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let (schema, workers) = (server.schema(), ostlerd.pids("shop"));
    add(&app);
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains(running).then_some(()));
    let process = ostlerd.process();
    // The workers end with it here: who adopts them is another law's. The migration goes on, as it would.
    kill(process.0, Signal::SIGKILL);
    drop(restart.join());
    ostlerd.abandon();
    workers.into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
    assert!(server.tagged().contains(running), "nobody has ended it: {}", server.tagged());

    without(&app, "0002_long");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    server.is_clean();
    assert_eq!(server.schema(), schema);
    ostlerd.logs("ended what an earlier, dead migration had left running");
    ostlerd.logs("it has left nothing half done");
    second_release(&app);
    ostlerd.restart("shop");
}

#[test]
fn what_a_killed_ostlerd_left_running_is_swept_before_anything_else() {
    let sleep = |app: &crate::harness::AppFile| {
        migration(app, "0002_long", "0001_initial", "RunSQL('select pg_sleep(600)')");
    };
    swept_and_told(sleep, "pg_sleep");
}
