//! `kill -9` of ostlerd in the middle of a migration: the next one sweeps, verifies and tells.

use nix::sys::signal::Signal;

use crate::harness::{Proc, Said, Site, is_root, kill, until};
use crate::server::Postgres;
use crate::shop::{
    Drivers, migration, migration_not_atomic, postgres, second_release, shop, sqlite, without,
};

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
    ostlerd.logs("ended what an ostlerd before this one had left of a migration");
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

#[test]
fn a_migration_of_a_file_that_outlives_its_ostlerd_is_ended_before_another_runs() {
    let site = Site::new();
    let app = shop(&site, Drivers::New, &sqlite(&site)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let file = site.path("logs/begun").display().to_string();
    let begin = format!(
        "RunPython(lambda apps, editor: open({file:?}, 'a').write('%d\\n' % os.getpid())), RunPython(asleep)"
    );
    migration(&app, "0002_long", "0001_initial", &begin);
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    let begun = || std::fs::read_to_string(&file).unwrap_or_default();
    until("it is under way", || begun().ends_with('\n').then_some(()));
    let orphan: i32 = begun().trim().parse().expect("it is a pid");
    let workers = ostlerd.pids("shop");
    kill(ostlerd.process().0, Signal::SIGKILL);
    drop(restart.join());
    ostlerd.abandon();
    workers.into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
    assert!(Proc(orphan).lives(), "nobody has ended it");
    // Another's process that says that it is one of these.
    let stranger = stranger(&site, orphan);

    without(&app, "0002_long");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(!Proc(orphan).lives(), "the orphan goes on");
    ostlerd.logs("ended what an ostlerd before this one had left of a migration");
    if let Some(mut stranger) = stranger {
        assert!(matches!(stranger.try_wait(), Ok(None)), "a stranger was ended");
        stranger.kill().and_then(|()| stranger.wait()).expect("the child is ours");
    }
    assert_eq!(begun().lines().count(), 1);
}

/// A process of another user with the environment of `orphan`; only root can make one.
fn stranger(site: &Site, orphan: i32) -> Option<std::process::Child> {
    let mark = Proc(orphan).environment().remove("OSTLER_MIGRATION").expect("it is marked");
    assert!(mark.starts_with(&site.path("run").display().to_string()), "{mark}");
    let mut command = std::process::Command::new("sleep");
    command.arg("600").env_clear().env("OSTLER_MIGRATION", mark);
    is_root().then(|| command.spawn().expect("sleep starts"))
}
