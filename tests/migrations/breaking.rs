//! The code that serves and the schema to come: what would break it is not run, and what was foreseen is what happens.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use ostler::supervise::VerdictKind;

use crate::harness::{AppFile, Ostlerd, Site, readable, until, usual_user};
use crate::server::{MariaDb, Postgres};
use crate::shop::{Drivers, clients, mariadb, migration, postgres, second_release, shop, sqlite};

/// Every page reads goods as Django does: by all columns that the code knows.
const URLS: &str = r#"
import os
from django.http import HttpResponse
from django.urls import path
from goods.models import Good

RELEASE = "1"

def index(request):
    list(Good.objects.all()[:1])
    return HttpResponse("%d %s" % (os.getpid(), RELEASE), content_type="text/plain")

def sell(request):
    Good.objects.create(name="x")
    return index(request)

urlpatterns = [path("", index), path("sell", sell)]
"#;

const WITHOUT_PRICE: &str =
    "from django.db import models\n\nclass Good(models.Model):\n    name = models.CharField(max_length=40)\n";
const REMOVE_PRICE: &str = "migrations.RemoveField('good', 'price')";

fn reading_shop(site: &Site, drivers: Drivers, database: &str) -> AppFile {
    let app = shop(site, drivers, database);
    app.release("shop/urls.py", URLS);
    app
}

/// The next release, whose page says so.
fn next(app: &AppFile, number: u32, models: &str) {
    app.release("shop/urls.py", &URLS.replace("RELEASE = \"1\"", &format!("RELEASE = \"{number}\"")));
    app.release("goods/models.py", models);
}

/// Waits until it is known what the generation that serves uses of the database.
fn described(site: &Site, ostlerd: &Ostlerd<'_>) {
    let generation = ostlerd.serving("shop").generation.expect("one serves");
    let file = site.path(&format!("run/tables/shop/{}", generation.0));
    until("the workers have told what they use", || file.exists().then_some(()));
}

fn verdict(ostlerd: &Ostlerd<'_>) -> VerdictKind {
    ostlerd.app("shop").last_migration.expect("there was one").verdict.kind
}

const REFUSED: &[&str] = &[
    "refused",
    "goods.0002_remove",
    "Remove field price from good",
    "column price of goods_good is removed",
    "goods.Good of the release that serves",
    "in two releases",
    "--accept-breakage",
];

/// A release that removes a column is not deployed over one that reads it; where that is accepted, what was foreseen
/// happens.
fn what_breaks_the_code_that_serves_is_refused(site: &Site, drivers: Drivers, database: &str) {
    let app = reading_shop(site, drivers, database).write();
    let ostlerd = site.start();
    described(site, &ostlerd);
    let (before, workers) = (ostlerd.app("shop").generation, ostlerd.pids("shop"));
    migration(&app, "0002_remove", "0001_initial", REMOVE_PRICE);
    next(&app, 2, WITHOUT_PRICE);

    let load = clients(&app);
    load.more(20);
    ostlerd.restart_fails("shop").exits(1).says(REFUSED);
    ostlerd.ostler(&["migrate", "shop"]).exits(1).says(REFUSED);
    load.more(20);
    let tally = load.stop();
    println!("{drivers:?}: refused, {tally}");
    tally.lost_nothing();
    assert_eq!(tally.releases().into_iter().collect::<Vec<_>>(), ["1"]);
    assert_eq!((ostlerd.app("shop").generation, ostlerd.pids("shop")), (before, workers));
    assert_eq!(verdict(&ostlerd), VerdictKind::Refused);
    ostlerd.ostler(&["status", "shop"]).exits(1).says(&["refused", "goods.0002_remove"]);

    let load = clients(&app);
    load.more(20);
    ostlerd
        .ostler(&["restart", "shop", "--accept-breakage"])
        .exits(0)
        .says(&["goes on all the same (--accept-breakage)", "column price of goods_good is removed"]);
    load.more(20);
    let tally = load.stop();
    println!("{drivers:?}: accepted, {tally}");
    assert!(tally.lost() > 0, "the old code has failed in truth, as was foreseen: {tally}");
    assert!(tally.releases().contains("2"), "{tally}");
    assert_eq!(verdict(&ostlerd), VerdictKind::Applied);
}

#[test]
fn what_breaks_the_code_that_serves_is_refused_on_sqlite() {
    let site = Site::new();
    let database = sqlite(&site);
    what_breaks_the_code_that_serves_is_refused(&site, Drivers::New, &database);
}

#[test]
fn what_breaks_the_code_that_serves_is_refused_on_postgresql() {
    let server = Postgres::start();
    what_breaks_the_code_that_serves_is_refused(&Site::new(), Drivers::New, &postgres(&server));
    server.is_clean();
}

#[test]
fn what_breaks_the_code_that_serves_is_refused_by_an_old_django() {
    let server = Postgres::start();
    what_breaks_the_code_that_serves_is_refused(&Site::new(), Drivers::Old, &postgres(&server));
}

#[test]
fn what_breaks_the_code_that_serves_is_refused_by_the_newest_of_all() {
    let server = Postgres::start();
    what_breaks_the_code_that_serves_is_refused(&Site::new(), Drivers::Newest, &postgres(&server));
}

#[test]
fn what_breaks_the_code_that_serves_is_refused_on_mariadb() {
    let server = MariaDb::start();
    what_breaks_the_code_that_serves_is_refused(&Site::new(), Drivers::New, &mariadb(&server));
}

/// In two releases, each of which the code that serves goes on with, the same column goes and nobody notices.
#[test]
fn a_column_goes_in_two_releases_and_no_request_is_lost() {
    let server = Postgres::start();
    let site = Site::new();
    let app = reading_shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    let load = clients(&app);
    load.more(10);
    migration(
        &app,
        "0002_forget",
        "0001_initial",
        "migrations.AlterField('good', 'price', models.IntegerField(null=True, default=0)),\n\
         migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField('good', 'price')])",
    );
    next(&app, 2, WITHOUT_PRICE);
    ostlerd.restart("shop");
    described(&site, &ostlerd);
    migration(
        &app,
        "0003_remove",
        "0002_forget",
        "RunSQL('alter table goods_good drop column price', RunSQL.noop)",
    );
    next(&app, 3, WITHOUT_PRICE);
    ostlerd.restart("shop").says(&["goods.0003_remove", "runs SQL of its own", "cannot be told"]);
    load.more(10);
    let tally = load.stop();
    tally.lost_nothing();
    assert_eq!(tally.releases().into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(!server.schema().contains("goods_good.price"));
}

#[test]
fn a_column_that_the_code_that_serves_does_not_know_must_not_need_a_value() {
    let site = Site::new();
    let database = sqlite(&site);
    let app = reading_shop(&site, Drivers::Old, &database).write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    let add = |more: &str| {
        migration(
            &app,
            "0002_weight",
            "0001_initial",
            &format!("migrations.AddField('good', 'weight', {more})"),
        );
    };
    add("models.IntegerField(default=1)");
    ostlerd.restart_fails("shop").says(&[
        "column weight of goods_good takes no NULL",
        "each of its inserts fails",
        "db_default",
    ]);
    add("models.IntegerField(null=True)");
    ostlerd.restart("shop");
}

#[test]
fn what_the_code_uses_is_known_to_the_next_ostlerd_after_a_kill() {
    let site = Site::new();
    let database = sqlite(&site);
    let app = reading_shop(&site, Drivers::New, &database).write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    ostlerd.crash();
    let ostlerd = site.start();
    migration(&app, "0002_remove", "0001_initial", REMOVE_PRICE);
    next(&app, 2, WITHOUT_PRICE);
    ostlerd.restart_fails("shop").says(REFUSED);
}

#[test]
fn where_it_is_not_known_what_the_code_uses_that_is_said_and_nothing_is_refused() {
    let site = Site::new();
    let database = sqlite(&site);
    let app = reading_shop(&site, Drivers::New, &database).write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    fs::remove_dir_all(site.path("run/tables")).expect("it is there");
    migration(&app, "0002_remove", "0001_initial", REMOVE_PRICE);
    next(&app, 2, WITHOUT_PRICE);
    ostlerd
        .restart("shop")
        .says(&["whether the code that serves can go on with the new schema is not known"]);
}

#[test]
fn a_configuration_that_only_wants_a_warning_gets_one() {
    let site = Site::new();
    let database = sqlite(&site);
    let app = reading_shop(&site, Drivers::New, &database).table("[migrate]\nbreaking = \"warn\"").write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    migration(&app, "0002_remove", "0001_initial", REMOVE_PRICE);
    next(&app, 2, WITHOUT_PRICE);
    ostlerd.restart("shop").says(&[
        "goes on all the same ([migrate] breaking = \"warn\")",
        "column price of goods_good is removed",
    ]);
}

#[test]
fn what_may_break_the_code_that_serves_is_said_and_run() {
    let site = Site::new();
    let server = Postgres::start();
    let app = reading_shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    let narrow = "migrations.AlterField('good', 'name', models.CharField(max_length=20, unique=True))";
    migration(&app, "0002_narrow", "0001_initial", narrow);
    second_release(&app);
    ostlerd.restart("shop").says(&[
        "may break the code that serves",
        "column name of goods_good changes from CharField(40) to CharField(20)",
        "table goods_good gets the constraint unique (name)",
    ]);
}

/// Back to code that needs what the database has no more: refused by the same rule, and the link stays.
#[test]
fn a_rollback_to_code_that_the_database_breaks_is_refused() {
    let site = Site::new();
    let server = Postgres::start();
    let mut app = reading_shop(&site, Drivers::New, &postgres(&server));
    let folder = site.path("srv");
    let (first, second) = (folder.join("1"), folder.join("2"));
    fs::create_dir(&folder).expect("the site is ours");
    readable(&folder);
    for release in [&first, &second] {
        let copied = Command::new("cp").arg("-a").arg(&app.directory).arg(release).status();
        assert!(copied.expect("cp runs").success());
    }
    app.directory = second.clone();
    migration(&app, "0002_remove", "0001_initial", REMOVE_PRICE);
    next(&app, 2, WITHOUT_PRICE);
    app.directory = folder.join("current");
    symlink("1", &app.directory).expect("the folder is ours");
    if let Some(user) = usual_user() {
        let given = Command::new("chown").arg("-hR").arg(user).arg(&folder).status();
        assert!(given.expect("chown runs").success());
    }
    let app = app.write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    let second = second.display().to_string();
    ostlerd.ostler(&["restart", "shop", "--release", &second]).exits(1).says(REFUSED);
    assert_eq!(fs::read_link(&app.directory).expect("it is a link").to_str(), Some("1"));
    ostlerd.ostler(&["restart", "shop", "--release", &second, "--accept-breakage"]).exits(0);
    described(&site, &ostlerd);

    let load = clients(&app);
    load.more(10);
    ostlerd.ostler(&["rollback", "shop"]).exits(1).says(&[
        "refused",
        "goods.Good of the release to come does not fit the database",
        "column price of goods_good is removed",
        "types and constraints",
    ]);
    load.more(10);
    let tally = load.stop();
    tally.lost_nothing();
    assert_eq!(tally.releases().into_iter().collect::<Vec<_>>(), ["2"]);
    assert!(fs::read_link(&app.directory).expect("it is a link").ends_with("2"));
}

#[test]
fn the_plan_says_of_each_migration_what_the_code_that_serves_makes_of_it_and_what_it_locks() {
    let site = Site::new();
    let server = Postgres::start();
    let app = reading_shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    described(&site, &ostlerd);
    let add = |name: &str, after: &str, operation: &str| migration(&app, name, after, operation);
    add(
        "0002_bigger",
        "0001_initial",
        "migrations.AlterField('good', 'price', models.BigIntegerField(default=0))",
    );
    add(
        "0003_index",
        "0002_bigger",
        "migrations.AddIndex('good', models.Index(fields=['name'], name='by_name'))",
    );
    add("0004_sql", "0003_index", "RunSQL('alter table goods_good set (fillfactor = 90)')");
    add("0005_shorter", "0004_sql", "migrations.AlterField('good', 'name', models.CharField(max_length=9))");
    add("0006_remove", "0005_shorter", REMOVE_PRICE);
    let schema = server.schema();
    let said = ostlerd.ostler(&["migrate", "shop", "--plan"]).exits(0);
    let row = |name: &str, word: &str| {
        let line = said.out.lines().find(|line| line.trim_start().starts_with(&format!("goods.{name} ")));
        assert!(line.is_some_and(|line| line.ends_with(word)), "{name} {word}: {said}");
    };
    row("0002_bigger", "goes on");
    row("0003_index", "goes on");
    row("0004_sql", "cannot be told");
    row("0005_shorter", "may break");
    row("0006_remove", "breaks");
    let said = said.says(&[
        "locks: goods.0002_bigger (Alter field price on good): nobody can read or write goods_good while all of it is written",
        "from integer to bigint",
        "nobody can write to goods_good while the index is built: AddIndexConcurrently",
        "in two releases",
    ]);
    assert_eq!(server.schema(), schema, "nothing was changed: {said}");
}
