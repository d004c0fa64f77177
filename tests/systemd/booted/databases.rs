//! Where an app's code runs that looks into its databases: with the app's other processes, never beside ostlerd.

use std::collections::BTreeSet;

use super::scopes::units;
use crate::harness::until;
use crate::machine::Machine;
use crate::site::{nobodys, put_shop, start, visit};

/// Whoever loads the settings says where it runs, and leaves two processes that slip away from it.
const SETTINGS: &str = r#"
import os, pathlib, subprocess, time
with open("/srv/shop/where", "a") as where:
    who = pathlib.Path("/proc/self/cmdline").read_bytes().split(b"\0")[-2].decode()
    where.write(f"{pathlib.Path('/proc/self/cgroup').read_text().strip()} {who}\n")
subprocess.Popen(["setsid", "sh", "-c", "setsid sleep 7200 & sleep 7200"], stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.3)
SECRET_KEY = "for the tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["stock"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/shop/db.sqlite3"}}
"#;

const MANAGE: &str = r#"
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"#;

const APP: &str = r#"
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"#;

const URLS: &str = r#"
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse("ok"))]
"#;

/// It runs until somebody lets it go.
const MIGRATION: &str = r#"
import os, time
from django.db import migrations
def wait(apps, schema_editor):
    print("it begins", flush=True)
    while not os.path.exists("/srv/shop/go"):
        time.sleep(0.05)
class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.RunPython(wait, migrations.RunPython.noop)]
"#;

/// The app, of Django, with nothing to migrate.
fn put_django(machine: &Machine) {
    put_shop(machine, "workers = 2\nlog_file = \"/srv/shop/log\"");
    let files = [("settings", SETTINGS), ("manage", MANAGE), ("app", APP), ("urls", URLS)];
    for (name, text) in files.into_iter().chain([("stock/__init__", ""), ("stock/migrations/__init__", "")]) {
        machine.write(&format!("/srv/shop/{name}.py"), text);
    }
    machine.tell("chown -R nobody /srv/shop");
}

/// Who has loaded the settings: the group it ran in, and its title.
fn wheres(machine: &Machine) -> BTreeSet<(String, String)> {
    let text = machine.read("/srv/shop/where").unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix("0::")?.split_once(' '));
    lines.map(|(group, who)| (group.to_owned(), who.to_owned())).collect()
}

#[test]
fn no_code_of_an_app_runs_in_the_control_group_of_ostlerd() {
    let machine = Machine::boot();
    put_django(&machine);
    start(&machine);
    assert!(visit(&machine).contains("200 OK"));
    machine.write("/srv/shop/stock/migrations/0001_wait.py", MIGRATION);
    let mut restart = machine.command(&["ostler", "restart", "shop"]).spawn().expect("sh starts");
    until("the migration runs", || {
        machine.read("/srv/shop/log").unwrap_or_default().contains("it begins").then_some(())
    });
    // The migration, the database side and what writes the log are all there.
    let own = machine.processes("ostler.service");
    let main: i32 = machine.property("ostler", "MainPID").parse().expect("a number");
    assert_eq!(own, [main], "{}", units(&machine));
    machine.run(&["ostler", "migrate", "shop", "--plan"]);
    machine.write("/srv/shop/go", "");
    assert!(restart.wait().expect("the child is ours").success(), "{}", machine.journal("ostler"));
    machine.run(&["ostler", "migrate", "shop"]).exits(0);
    let wheres = wheres(&machine);
    for kind in ["[database]", "[migration]"] {
        assert!(wheres.iter().any(|(_, who)| who.ends_with(kind)), "{kind}: {wheres:?}");
    }
    let slice = "/ostler.slice/ostler-shop.slice/";
    let outside: Vec<_> = wheres.iter().filter(|(group, _)| !group.contains(slice)).collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn what_settings_leave_behind_in_looking_at_a_database_ends_with_the_look_and_nothing_is_left_by_a_stop() {
    let machine = Machine::boot();
    put_django(&machine);
    start(&machine);
    machine.run(&["ostler", "migrate", "shop", "--plan"]).exits(0);
    until("only the workers' scope is left", || {
        let units = units(&machine);
        (units.matches(".scope").count() == 1 && units.contains("ostler-shop-g1.scope")).then_some(())
    });
    let all: BTreeSet<i32> = machine.processes("ostler-shop-g1.scope").into_iter().collect();
    assert_eq!(nobodys(&machine), all, "{}", units(&machine));
    // A stop in the middle of a migration.
    machine.write("/srv/shop/stock/migrations/0001_wait.py", MIGRATION);
    let mut restart = machine.command(&["ostler", "restart", "shop"]).spawn().expect("sh starts");
    until("the migration runs", || {
        machine.read("/srv/shop/log").unwrap_or_default().contains("it begins").then_some(())
    });
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    restart.wait().expect("the child is ours");
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    until("no unit is left", || units(&machine).is_empty().then_some(()));
}
