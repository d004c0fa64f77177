//! Migrations that do not want to end, and those that somebody else ends.

use std::time::Duration;

use nix::sys::signal::Signal;
use ostler::supervise::VerdictKind;

use crate::harness::{Ostlerd, Proc, Said, Site, eventually, kill, until};
use crate::long::history;
use crate::server::Postgres;
use crate::shop::{Drivers, migration, migration_not_atomic, postgres, second_release, shop, without};

const STUBBORN: &str = "RunSQL('alter table goods_good add column weight integer'), RunPython(stubborn)";

const NEVER: &str = r#"
def stubborn(apps, schema_editor):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen(["setsid", "sleep", "600"])
    subprocess.Popen("sleep 600 & sleep 601", shell=True, start_new_session=True)
    subprocess.Popen([sys.executable, "-c", "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(600)"])
    while True:
        try:
            with schema_editor.connection.cursor() as cursor:
                cursor.execute("select pg_sleep(600)")
        except BaseException:
            time.sleep(0.05)
"#;

fn a_stubborn_one_is_ended(drivers: Drivers) {
    let server = Postgres::start();
    let site = Site::new();
    let app =
        shop(&site, drivers, &postgres(&server)).table("[migrate]\ntimeout = \"6s\"\nharm = \"60s\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let (schema, processes) = (server.schema(), site.processes().len());
    migration(&app, "0002_weight", "0001_initial", STUBBORN);
    let path = app.directory.join("goods/migrations/0002_weight.py");
    let text = std::fs::read_to_string(&path).expect("just written");
    app.release(
        "goods/migrations/0002_weight.py",
        &text.replace("class Migration", &format!("{NEVER}\nclass Migration")),
    );

    let said = ostlerd.restart_fails("shop").says(&["0002_weight"]);
    let record = history(&ostlerd);
    println!("{drivers:?}: {:?}, {:.2} s in all", record.rungs, record.seconds);
    let gone = eventually(Duration::from_secs(60), || (site.processes().len() <= processes).then_some(()));
    let left: Vec<String> = site.processes().iter().map(|it| it.command()).collect();
    assert!(gone.is_some(), "whoever it started is gone: {left:#?}");
    server.is_clean();
    assert_eq!(server.schema(), schema, "{said}");
    assert_eq!(record.verdict.map(|it| it.kind), Some(VerdictKind::Failed));
    let ladder: f64 = record.rungs.iter().map(|rung| rung.seconds).sum();
    assert!(ladder < 30.0, "three rungs of 2 s, and what the last ones take: {:?}", record.rungs);
}

#[test]
fn who_ignores_every_signal_is_killed_with_all_that_escaped_with_psycopg3() {
    a_stubborn_one_is_ended(Drivers::New);
}

#[test]
fn who_ignores_every_signal_is_killed_with_all_that_escaped_with_psycopg2() {
    a_stubborn_one_is_ended(Drivers::Old);
}

#[test]
fn a_migration_that_somebody_else_kills_leaves_nothing_behind() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let (schema, workers) = (server.schema(), ostlerd.pids("shop"));
    migration(&app, "0002_long", "0001_initial", "RunSQL('select pg_sleep(600)')");
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains("pg_sleep").then_some(()));
    kill(program(&ostlerd, "[migration]").0, Signal::SIGKILL);
    let said = restart.join().expect("the thread does not panic").exits(1);
    server.is_clean();
    assert_eq!(server.schema(), schema, "{said}");
    assert_eq!(ostlerd.pids("shop"), workers);
    // And it can be done again.
    without(&app, "0002_long");
    second_release(&app);
    ostlerd.restart("shop");
}

/// The process of the app that bears this in its title, once it has it.
fn program(ostlerd: &Ostlerd<'_>, title: &str) -> Proc {
    let parent = format!("PPid:\t{}", ostlerd.process().0);
    let is_it = |pid: &i32| {
        let of = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let [status, line] =
            ["status", "cmdline"].map(|name| String::from_utf8_lossy(&of(name)).into_owned());
        status.lines().any(|line| line == parent) && line.contains(title)
    };
    until("its process is found", || {
        let pids = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(is_it).map(Proc).next()
    })
}

/// What watches a migration is lost, by this signal, while it waits; another takes its place, and it goes on.
fn one_that_watches_is_replaced(signal: Signal) {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let holder = server.session("the report", "select pg_advisory_lock(42);");
    migration_not_atomic(&app, "0002_waits", "0001_initial", "RunSQL('select pg_advisory_lock(42)')");
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains("pg_advisory_lock").then_some(()));
    kill(program(&ostlerd, "[database]").0, signal);
    ostlerd.logs("unwatched: the database side is gone, and is started again");
    ostlerd.logs("it is watched again");
    assert!(server.tagged().contains("pg_advisory_lock"), "it goes on");
    drop(holder);
    restart.join().expect("the thread does not panic").exits(0);
    assert!(server.schema().contains("applied goods.0002_waits"));
    server.is_clean();
}

#[test]
fn a_killed_watching_side_is_replaced_and_the_migration_goes_on() {
    one_that_watches_is_replaced(Signal::SIGKILL);
}

#[test]
fn a_watching_side_that_stands_still_is_replaced_and_the_migration_goes_on() {
    one_that_watches_is_replaced(Signal::SIGSTOP);
}

#[test]
fn a_migration_is_ended_by_whoever_asks() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["migrate", "shop", "--abort"]).exits(75);
    migration(&app, "0002_long", "0001_initial", "RunSQL('select pg_sleep(600)')");
    let migrate = std::thread::spawn({
        let mut command = site.ostler_command(&["migrate", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains("pg_sleep").then_some(()));
    ostlerd.ostler(&["migrate", "shop", "--abort"]).exits(0);
    migrate.join().expect("the thread does not panic").exits(1).says(&["somebody asked"]);
    server.is_clean();
}

#[test]
fn ostlerd_that_stops_in_the_middle_leaves_a_clean_database() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let schema = server.schema();
    migration(&app, "0002_long", "0001_initial", "RunSQL('select pg_sleep(600)')");
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains("pg_sleep").then_some(()));
    ostlerd.signal(Signal::SIGTERM);
    assert!(ostlerd.ends().success());
    drop(restart.join());
    server.is_clean();
    assert_eq!(server.schema(), schema);
}
