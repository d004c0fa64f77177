//! Locks: a migration that waits in a queue gives way before clients notice, and one that holds a lock too long is
//! ended.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Site, until};
use crate::long::history;
use crate::server::Postgres;
use crate::shop::{Drivers, clients, migration, postgres, shop, sqlite};

const ADD_COLUMN: &str = "migrations.AddField('good', 'weight', models.IntegerField(null=True))";

fn a_lock_queue_is_left_and_entered_again(drivers: Drivers) {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, drivers, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);

    let holder = server.session("the report", "begin; select * from goods_good limit 1;");
    let load = clients(&app);
    load.more(50);
    let steady = load.clock();
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || crate::harness::Said::of(&mut command)
    });
    // Two tries in vain.
    ostlerd.logs("met a lock");
    let status = until("the status names the blocker", || {
        let text = ostlerd.ostler(&["status", "--json"]).out;
        text.contains("the report").then_some(text)
    });
    assert!(status.contains("select * from goods_good"), "its statement is named: {status}");
    drop(holder);
    let said = restart.join().expect("the thread does not panic").exits(0);
    let change = load.clock();
    load.more(20);
    let tally = load.stop();
    println!(
        "{drivers:?}: worst stall {:?} (before: {:?})",
        tally.worst(steady..change),
        tally.worst(Duration::ZERO..steady)
    );

    tally.lost_nothing();
    assert!(tally.worst(steady..change) <= Duration::from_secs(5), "{tally}");
    let record = history(&ostlerd);
    assert!(record.attempts >= 2, "{record:?}");
    let blocker = record.blockers.first().unwrap_or_else(|| panic!("no blocker: {record:?}"));
    assert!(blocker.pid > 0 && blocker.application.contains("the report"), "{blocker:?}");
    assert!(blocker.query.contains("select * from goods_good"), "{blocker:?}");
    assert!(server.schema().contains("goods_good.weight"), "{said}");
    server.is_clean();
}

#[test]
fn a_lock_queue_stalls_nobody_for_long_with_psycopg3() {
    a_lock_queue_is_left_and_entered_again(Drivers::New);
}

#[test]
fn a_lock_queue_stalls_nobody_for_long_with_psycopg2() {
    a_lock_queue_is_left_and_entered_again(Drivers::Old);
}

#[test]
fn a_lock_queue_stalls_nobody_for_long_with_the_newest_of_all() {
    a_lock_queue_is_left_and_entered_again(Drivers::Newest);
}

fn who_keeps_others_waiting_is_ended(drivers: Drivers) {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, drivers, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let schema = server.schema();
    // The lock is held, the backend idle in its transaction, while Python computes.
    migration(&app, "0002_weight", "0001_initial", &format!("{ADD_COLUMN}, RunPython(asleep)"));

    let load = clients(&app);
    load.more(50);
    let began = load.clock();
    // It is not tried again: it would hold the lock again.
    let said = ostlerd.restart_fails("shop").says(&["others waited behind it", "in batches"]);
    let ended = load.clock();
    load.more(20);
    let tally = load.stop();
    let worst = tally.worst(began..ended);
    println!("{drivers:?}: the longest wait {worst:?}");

    tally.lost_nothing();
    assert!(worst <= Duration::from_secs(20), "3 s, and 2 s more on a quiet machine: {tally}");
    assert_eq!(server.schema(), schema, "{said}");
    server.is_clean();
    let record = history(&ostlerd);
    assert!(record.longest_stall >= 2.5, "{record:?}");
    assert_eq!(record.attempts, 1, "{record:?}");
}

#[test]
fn a_migration_that_computes_under_a_lock_is_ended_with_psycopg3() {
    who_keeps_others_waiting_is_ended(Drivers::New);
}

#[test]
fn a_migration_that_computes_under_a_lock_is_ended_with_psycopg2() {
    who_keeps_others_waiting_is_ended(Drivers::Old);
}

/// A program that is about to write into a file of SQLite for as long as its input is open.
fn report(file: &std::path::Path) -> Child {
    const CODE: &str = "import sqlite3, sys; it = sqlite3.connect(sys.argv[1], isolation_level=None); \
                        it.execute('BEGIN IMMEDIATE'); print('holds', flush=True); sys.stdin.read()";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", CODE]).arg(file).arg("the_report").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 is there");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it writes");
    assert_eq!(line, "holds\n");
    child
}

#[test]
fn who_holds_the_file_of_sqlite_is_named_while_a_migration_waits_and_when_it_is_tried_again() {
    let site = Site::new();
    let app = shop(&site, Drivers::New, &sqlite(&site)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);

    let mut holder = report(&site.path("logs/shop.sqlite3"));
    let pid = holder.id();
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || crate::harness::Said::of(&mut command)
    });
    ostlerd.logs("the migration waits for a lock that is held by /usr/bin/python3 -c");
    ostlerd.logs("met a lock");
    drop(holder.stdin.take());
    holder.wait().expect("it is ours");
    let said = restart.join().expect("the thread does not panic").exits(0);
    let record = history(&ostlerd);
    let blocker = record.blockers.first().unwrap_or_else(|| panic!("no blocker: {record:?}"));
    assert_eq!((blocker.pid, blocker.state.as_str()), (u64::from(pid), "writing"), "{blocker:?} {said}");
    assert!(record.attempts >= 2, "{record:?}");
}
