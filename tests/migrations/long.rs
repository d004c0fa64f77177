//! Statements that take too long are ended within their budget, and the database is as before.

use std::time::{Duration, Instant};

use ostler::supervise::VerdictKind;

use crate::harness::{AppFile, Ostlerd, Site};
use crate::server::Postgres;
use crate::shop::{Drivers, clients, migration, migration_not_atomic, postgres, second_release, shop};

const BUDGET: Duration = Duration::from_secs(6);

/// Two hundred goods, and a function that makes anything that touches them take four hundred seconds.
const SLOW: &str = "insert into goods_good (name, price) select 'thing ' || i, i from generate_series(1, 200) i; \
    create function slow(bigint) returns bigint immutable language plpgsql as \
    'begin perform pg_sleep(2); return $1; end'";

const QUICK: &str =
    "create or replace function slow(bigint) returns bigint immutable language sql as 'select $1'";

/// Deploys a release whose migration is slow, under load: it is ended in time and changes nothing; made quick, the same
/// migration is applied.
fn a_slow_migration_is_ended(drivers: Drivers, add: impl Fn(&AppFile), limits: &str) {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, drivers, &postgres(&server)).table(limits).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    server.sql(SLOW);
    let (workers, schema) = (ostlerd.pids("shop"), server.schema());
    add(&app);
    second_release(&app);

    let load = clients(&app);
    load.more(20);
    let began = Instant::now();
    let said = ostlerd.restart_fails("shop").says(&["0002_slow", "6.0 s"]);
    let took = began.elapsed();
    server.is_clean();
    load.more(20);
    let tally = load.stop();
    println!("{drivers:?}: budget {BUDGET:?}, clean and told after {took:?}; {tally}");

    tally.lost_nothing();
    assert_eq!(server.schema(), schema, "the database is as before: {said}");
    assert_eq!(ostlerd.pids("shop"), workers, "the old workers were not touched");
    let app = ostlerd.app("shop");
    assert_eq!(app.generation, before.generation);
    let record = history(&ostlerd);
    let verdict = record.verdict.expect("the run has ended");
    assert_eq!(verdict.kind, VerdictKind::Failed, "{verdict:?}");
    // What the preparation of a rollout and its lock take is not the watchdog's: from the abort on it is measured.
    let ladder: f64 = record.rungs.iter().map(|rung| rung.seconds).sum();
    println!("rungs {:?}, {:.2} s in all", record.rungs, record.seconds);
    assert!(ladder < 30.0, "the ladder took {ladder} s: {:?}", record.rungs);

    server.sql(QUICK);
    ostlerd.restart("shop").says(&["0002_slow"]);
    assert!(server.schema().contains("applied goods.0002_slow"));
    server.is_clean();
}

/// The newest run of the history.
pub fn history(ostlerd: &Ostlerd<'_>) -> ostler::supervise::Record {
    let said = ostlerd.ostler(&["migrate", "shop", "--history", "--json"]).exits(0);
    let outcome: ostler::supervise::Outcome =
        serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said}"));
    let ostler::supervise::Outcome::MigrationHistory { runs } = outcome else { panic!("{outcome:?}") };
    runs.into_iter().rfind(|run| run.record.verdict.is_some()).expect("there was a run").record
}

fn sleeping(app: &AppFile) {
    migration(app, "0002_slow", "0001_initial", "RunSQL('select count(slow(id)) from goods_good')");
}

fn indexing(app: &AppFile) {
    migration(app, "0002_slow", "0001_initial", "RunSQL('create index slowly on goods_good (slow(id))')");
}

fn rewriting(app: &AppFile) {
    let alter = "RunSQL('alter table goods_good alter column price type text using slow(id)::text')";
    migration(app, "0002_slow", "0001_initial", alter);
}

fn indexing_concurrently(app: &AppFile) {
    let index =
        "AddIndexConcurrently('good', models.Index(models.Func('id', function='slow'), name='slowly'))";
    migration_not_atomic(app, "0002_slow", "0001_initial", index);
}

// Harm is another law's: these must end by their time.
const TIME: &str = "[migrate]\ntimeout = \"6s\"\nharm = \"60s\"";
const OWN_TIME: &str = "[migrate]\nharm = \"60s\"\n[migrate.override.\"goods.0002_slow\"]\ntimeout = \"6s\"";

macro_rules! laws {
    ($($name:ident: $drivers:expr, $add:expr, $limits:expr;)*) => {
        $(#[test]
        fn $name() {
            a_slow_migration_is_ended($drivers, $add, $limits);
        })*
    };
}

laws! {
    a_long_select_is_ended_in_time_with_psycopg3: Drivers::New, sleeping, TIME;
    a_long_select_is_ended_in_time_with_psycopg2: Drivers::Old, sleeping, TIME;
    a_long_index_is_ended_in_time_with_psycopg3: Drivers::New, indexing, TIME;
    a_long_index_is_ended_in_time_with_psycopg2: Drivers::Old, indexing, TIME;
    a_long_rewrite_is_ended_in_time_with_psycopg3: Drivers::New, rewriting, "[migrate]\ntimeout = \"6s\"\nharm = \"20s\"";
    a_long_rewrite_is_ended_in_time_with_psycopg2: Drivers::Old, rewriting, "[migrate]\ntimeout = \"6s\"\nharm = \"20s\"";
    a_long_concurrent_index_is_ended_in_its_own_time_with_psycopg3: Drivers::New, indexing_concurrently, OWN_TIME;
    a_long_concurrent_index_is_ended_in_its_own_time_with_psycopg2: Drivers::Old, indexing_concurrently, OWN_TIME;
}
