//! What hangs on `migrate` (`post_migrate`) is done once for each code, on whichever server; what failed or was cut is owed.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::harness::{AppFile, Ostlerd, Said, Site, kill, until};
use crate::server::Postgres;
use crate::shop::{Drivers, migration, postgres, second_release, shop, sqlite};

const ADD_COLUMN: &str = "migrations.AddField('good', 'weight', models.IntegerField(null=True))";

/// As a package does: it leaves a line, and fails or stays where a file beside its lines says so.
const RECEIVER: &str = r#"
import os, time
from django.apps import AppConfig
PLACE = "@PLACE@"
def after(sender, using=None, **_):
    with open(PLACE, "a") as file:
        file.write(using + "\n")
    if os.path.exists(PLACE + ".fails"):
        raise ValueError("the triggers of a package")
    if os.path.exists(PLACE + ".stays"):
        time.sleep(600)
class Goods(AppConfig):
    name = "goods"
    def ready(self):
        from django.db.models.signals import post_migrate
        post_migrate.connect(after, sender=self, weak=False)
"#;

/// What was left, and what it is to do.
struct Lines(PathBuf);

impl Lines {
    fn of(site: &Site) -> Lines {
        Lines(site.path("logs/after"))
    }

    fn count(&self) -> usize {
        fs::read_to_string(&self.0).unwrap_or_default().lines().count()
    }

    fn to(&self, what: &str) -> PathBuf {
        self.0.with_extension(what)
    }
}

/// An app with the receiver; what it leaves is where `lines` says.
fn hung(site: &Site, database: &str, lines: &Lines) -> AppFile {
    let app = shop(site, Drivers::New, database).workers(1).write();
    app.release("goods/apps.py", &RECEIVER.replace("@PLACE@", &lines.0.display().to_string()));
    app
}

/// Ends an ostlerd and the workers that it would leave.
fn kill_all(site: &Site, ostlerd: Ostlerd) {
    ostlerd.signal(Signal::SIGKILL);
    site.processes().into_iter().for_each(|process| kill(process.0, Signal::SIGKILL));
    ostlerd.abandon();
}

#[test]
fn migrate_runs_once_for_each_code_and_again_where_it_failed_or_was_cut() {
    let server = Postgres::start();
    let site = Site::new();
    let lines = Lines::of(&site);
    let app = hung(&site, &postgres(&server), &lines);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(lines.count(), 1);

    // The same code: not by a restart, not by the command, not by another ostlerd.
    ostlerd.restart("shop");
    ostlerd.ostler(&["migrate", "shop"]).exits(0).says(&["nothing to do"]);
    kill_all(&site, ostlerd);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(lines.count(), 1);

    // New code, with nothing pending: once.
    second_release(&app);
    ostlerd.ostler(&["migrate", "shop", "--plan"]).exits(0).says(&["nothing is pending", "post_migrate"]);
    ostlerd.restart("shop").says(&["nothing is pending", "post_migrate"]);
    assert_eq!(lines.count(), 2);
    ostlerd.restart("shop");
    ostlerd.ostler(&["migrate", "shop", "--history"]).exits(0).says(&["nothing was pending"]);
    assert_eq!(lines.count(), 2);

    // It fails after a migration: told, and owed until it has ended well.
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
    fs::write(lines.to("fails"), "").expect("the folder is ours");
    let workers = ostlerd.pids("shop");
    ostlerd.restart_fails("shop").says(&["1 migration applied", "post_migrate", "the triggers of a package"]);
    ostlerd.restart_fails("shop").says(&["post_migrate", "the triggers of a package", "owed"]);
    assert_eq!((lines.count(), ostlerd.pids("shop")), (4, workers));
    fs::remove_file(lines.to("fails")).expect("it is there");
    ostlerd.restart("shop");
    assert_eq!(lines.count(), 5);

    // Everything dies in the middle of it.
    app.release("shop/urls.py", "from shop.urls2 import *\n");
    app.release(
        "shop/urls2.py",
        "from django.http import HttpResponse\nfrom django.urls import path\n\
                 urlpatterns = [path('', lambda request: HttpResponse('3'))]\n",
    );
    fs::write(lines.to("stays"), "").expect("the folder is ours");
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    until("it is in post_migrate", || (lines.count() == 6).then_some(()));
    kill_all(&site, ostlerd);
    drop(restart.join());
    fs::remove_file(lines.to("stays")).expect("it is there");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(lines.count(), 7);
    ostlerd.restart("shop");
    assert_eq!(lines.count(), 7);
    server.is_clean();
}

#[test]
fn of_two_servers_one_runs_it_for_a_new_code() {
    let server = Postgres::start();
    let (here, there) = (Site::new(), Site::new());
    let lines = Lines::of(&here);
    let apps = [&here, &there].map(|site| hung(site, &postgres(&server), &lines));
    let daemons = [here.start(), there.start()];
    daemons.iter().for_each(|ostlerd| drop(ostlerd.serving("shop")));
    let before = lines.count();
    assert_eq!(before, 1);
    apps.iter().for_each(second_release);
    let both = [&here, &there].map(|site| {
        let mut command = site.ostler_command(&["restart", "shop"]);
        std::thread::spawn(move || Said::of(&mut command))
    });
    for restart in both {
        restart.join().expect("the thread does not panic").exits(0);
    }
    daemons.iter().for_each(|ostlerd| drop(ostlerd.restart("shop")));
    assert_eq!(lines.count(), 2);
    server.is_clean();
}

/// Nobody would be served: what is pending is nothing, and what hangs on the command is told and owed.
#[test]
fn a_start_does_not_wait_for_what_hangs_on_migrate_and_failed() {
    let site = Site::new();
    let lines = Lines::of(&site);
    let database = sqlite(&site);
    fs::write(lines.to("fails"), "").expect("the folder is ours");
    hung(&site, &database, &lines);
    let ostlerd = site.start();
    ostlerd.logs("the triggers of a package");
    ostlerd.serving("shop");
    ostlerd.logs("started although `migrate` failed");
    assert_eq!(lines.count(), 1);
    fs::remove_file(lines.to("fails")).expect("it is there");
    ostlerd.ostler(&["migrate", "shop"]).exits(0).says(&["post_migrate"]);
    assert_eq!(lines.count(), 2);
}

/// A role that may make no table has what it had: `migrate` where something is pending.
#[test]
fn where_nothing_can_be_kept_it_is_said_and_nothing_fails() {
    let server = Postgres::start();
    let site = Site::new();
    let lines = Lines::of(&site);
    let app = hung(&site, &postgres(&server), &lines);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    server.sql("alter table ostler_migrations owner to postgres");
    server.admin("alter role shop nosuperuser");
    second_release(&app);
    ostlerd.restart("shop").says(&["ostler_migrations", "marker = false"]);
    assert_eq!(lines.count(), 1);
}
