//! Two servers on one database: each migration is applied exactly once.

use nix::sys::signal::Signal;

use crate::harness::{Said, Site, kill, until};
use crate::server::{MariaDb, Postgres};
use crate::shop::{Drivers, mariadb, migration, migration_not_atomic, postgres, shop};

const TIMES: usize = 20;

#[test]
fn of_two_servers_at_once_one_migrates_and_both_go_on() {
    let server = Postgres::start();
    let (here, there) = (Site::new(), Site::new());
    let apps = [&here, &there].map(|site| shop(site, Drivers::New, &postgres(&server)).write());
    let daemons = [here.start(), there.start()];
    daemons.iter().for_each(|ostlerd| drop(ostlerd.serving("shop")));
    server.sql("insert into goods_good (name, price) values ('counter', 0)");

    let mut after = "0001_initial".to_owned();
    for turn in 1..=TIMES {
        let name = format!("{:04}_count", turn + 1);
        // Slow enough for both to be in it, and no harm if it were applied by itself twice.
        let count = "RunSQL('update goods_good set price = price + 1'), RunSQL('select pg_sleep(0.3)')";
        apps.iter().for_each(|app| migration(app, &name, &after, count));
        after = name;
        let both = [&here, &there].map(|site| {
            let mut command = site.ostler_command(&["migrate", "shop"]);
            std::thread::spawn(move || Said::of(&mut command))
        });
        for migrate in both {
            migrate.join().expect("the thread does not panic").exits(0);
        }
        assert_eq!(server.sql("select price from goods_good"), turn.to_string(), "after {after}");
    }
    let records = server.sql("select count(*) from django_migrations where name like '%_count'");
    assert_eq!(records, TIMES.to_string());
    server.is_clean();
}

/// Twice as dear, and then what cannot be: nothing undoes the first.
const HALF: &str = "RunSQL('update goods_good set price = price * 2'), RunSQL('this is no SQL')";

/// Two servers with the release; `sql` asks their database.
fn half_done_on_one_is_known_on_both(database: &str, sql: &dyn Fn(&str) -> String) {
    let (here, there) = (Site::new(), Site::new());
    let apps = [&here, &there].map(|site| shop(site, Drivers::New, database).write());
    let daemons = [here.start(), there.start()];
    daemons.iter().for_each(|ostlerd| drop(ostlerd.serving("shop")));
    sql("insert into goods_good (name, price) values ('counter', 100)");
    apps.iter().for_each(|app| migration_not_atomic(app, "0002_dear", "0001_initial", HALF));

    here.ostler(&["migrate", "shop"]).exits(1).says(&["dirty", "0002_dear", "2 of 2"]);
    let said = there.ostler(&["migrate", "shop"]).exits(1);
    let release = apps[0].directory.display().to_string();
    said.says(&["dirty", "goods.0002_dear", " on ", &release, "--fake", "migrate shop --resolve"]);
    here.ostler(&["migrate", "shop"]).exits(1).says(&["dirty", "--resolve"]);
    assert_eq!(sql("select price from goods_good"), "200");

    // A person puts it right, and says so on the other server.
    sql("update goods_good set price = 100");
    there.ostler(&["migrate", "shop", "--resolve"]).exits(0);
    there.ostler(&["migrate", "shop", "--resolve"]).exits(64).says(&["nothing to resolve"]);
    let whole = "RunSQL('update goods_good set price = price * 2')";
    apps.iter().for_each(|app| migration_not_atomic(app, "0002_dear", "0001_initial", whole));
    here.ostler(&["migrate", "shop"]).exits(0);
    there.ostler(&["migrate", "shop"]).exits(0);
    assert_eq!(sql("select price from goods_good"), "200");
    assert_eq!(sql("select count(*) from ostler_migrations where state <> 'done'"), "0");
}

#[test]
fn what_one_server_left_half_done_no_other_runs_again_on_postgresql() {
    let server = Postgres::start();
    half_done_on_one_is_known_on_both(&postgres(&server), &|sql| server.sql(sql));
    server.is_clean();
}

#[test]
fn what_one_server_left_half_done_no_other_runs_again_on_mariadb() {
    let server = MariaDb::start();
    half_done_on_one_is_known_on_both(&mariadb(&server), &|sql| server.sql(sql));
}

#[test]
fn what_a_dead_server_left_half_done_no_other_runs_again() {
    let server = Postgres::start();
    let (here, there) = (Site::new(), Site::new());
    let apps = [&here, &there].map(|site| shop(site, Drivers::New, &postgres(&server)).write());
    let (dies, lives) = (here.start(), there.start());
    [&dies, &lives].into_iter().for_each(|ostlerd| drop(ostlerd.serving("shop")));
    server.sql("insert into goods_good (name, price) values ('counter', 100)");
    let long = "RunSQL('update goods_good set price = price * 2'), RunSQL('select pg_sleep(600)')";
    apps.iter().for_each(|app| migration_not_atomic(app, "0002_dear", "0001_initial", long));
    let migrate = std::thread::spawn({
        let mut command = here.ostler_command(&["migrate", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains("pg_sleep").then_some(()));
    // All of that server at once.
    dies.signal(Signal::SIGKILL);
    here.processes().into_iter().for_each(|process| kill(process.0, Signal::SIGKILL));
    drop(migrate.join());
    dies.abandon();

    there.ostler(&["migrate", "shop"]).exits(1).says(&[
        "dirty",
        "goods.0002_dear",
        "operation 2 of 2",
        "--resolve",
    ]);
    assert_eq!(server.sql("select price from goods_good"), "200");
    server.is_clean();
}
