//! MariaDB, which rolls no schema change back: what is half done is told, and nobody touches it until a person says so.

use ostler::supervise::VerdictKind;

use crate::harness::{Said, Site, until};
use crate::long::history;
use crate::server::MariaDb;
use crate::shop::{Drivers, clients, mariadb, migration, second_release, shop, without};

fn half_applied_is_dirty_until_resolved(drivers: Drivers) {
    let server = MariaDb::start();
    let site = Site::new();
    let app = shop(&site, drivers, &mariadb(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let workers = ostlerd.pids("shop");
    let operations =
        "migrations.AddField('good', 'weight', models.IntegerField(null=True)), RunSQL('this is no SQL')";
    migration(&app, "0002_weight", "0001_initial", operations);
    second_release(&app);

    let said = ostlerd.restart_fails("shop").says(&["dirty", "0002_weight", "2 of 2", "weight"]);
    assert_eq!(ostlerd.pids("shop"), workers, "{said}");
    assert_eq!(history(&ostlerd).verdict.map(|it| it.kind), Some(VerdictKind::Dirty));
    assert!(server.sql("show columns from goods_good").contains("weight"));
    let schema = server.sql("show columns from goods_good");

    // Nobody touches it by himself.
    migration(&app, "0002_weight", "0001_initial", "RunSQL('alter table goods_good drop column weight')");
    ostlerd.restart_fails("shop").says(&["dirty", "--resolve"]);
    ostlerd.ostler(&["migrate", "shop"]).exits(1).says(&["--resolve"]);
    assert_eq!(server.sql("show columns from goods_good"), schema);

    // A person mends it and says so.
    server.sql("alter table goods_good drop column weight");
    migration(
        &app,
        "0002_weight",
        "0001_initial",
        "migrations.AddField('good', 'weight', models.IntegerField(null=True))",
    );
    ostlerd.ostler(&["migrate", "shop", "--resolve"]).exits(0);
    ostlerd.restart("shop");
    assert!(server.sql("select name from django_migrations").contains("0002_weight"));
}

#[test]
fn what_is_half_applied_is_dirty_until_a_person_resolves_it_with_mysqlclient() {
    half_applied_is_dirty_until_resolved(Drivers::New);
}

#[test]
fn what_is_half_applied_is_dirty_until_a_person_resolves_it_with_pymysql() {
    half_applied_is_dirty_until_resolved(Drivers::Old);
}

#[test]
fn what_is_half_applied_is_dirty_until_a_person_resolves_it_with_the_newest_of_all() {
    half_applied_is_dirty_until_resolved(Drivers::Newest);
}

fn time_is_told_and_not_kept(drivers: Drivers) {
    let server = MariaDb::start();
    let site = Site::new();
    let app = shop(&site, drivers, &mariadb(&server)).table("[migrate]\ntimeout = \"1s\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    migration(&app, "0002_long", "0001_initial", "RunSQL('do sleep(4)')");
    let load = clients(&app);
    load.more(20);
    ostlerd.restart("shop").says(&["0002_long", "longer than"]);
    load.more(20);
    load.stop().lost_nothing();
}

#[test]
fn what_cannot_be_rolled_back_is_not_ended_for_its_time_with_mysqlclient() {
    time_is_told_and_not_kept(Drivers::New);
}

#[test]
fn what_cannot_be_rolled_back_is_not_ended_for_its_time_with_pymysql() {
    time_is_told_and_not_kept(Drivers::Old);
}

#[test]
fn who_asks_ends_a_long_migration() {
    let server = MariaDb::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &mariadb(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    // Rows are read one by one: SLEEP and BENCHMARK may take their cancelling for their end, and the migration is applied.
    let long = "RunSQL(\"select count(*) from seq_1_to_100000000000 where md5(seq) = 'x'\")";
    migration(&app, "0002_long", "0001_initial", long);
    let migrate = std::thread::spawn({
        let mut command = site.ostler_command(&["migrate", "shop"]);
        move || Said::of(&mut command)
    });
    let running =
        "select count(*) from information_schema.processlist where info like 'select count(*) from seq%'";
    until("the statement runs", || (server.sql(running) != "0").then_some(()));
    ostlerd.ostler(&["migrate", "shop", "--abort"]).exits(0);
    migrate.join().expect("the thread does not panic").exits(1);
    assert_eq!(server.sql(running), "0");
    without(&app, "0002_long");
    second_release(&app);
}
