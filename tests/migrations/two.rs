//! Two servers on one database: each migration is applied exactly once.

use crate::harness::{Said, Site};
use crate::server::Postgres;
use crate::shop::{Drivers, migration, postgres, shop};

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
