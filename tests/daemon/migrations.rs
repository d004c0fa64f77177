//! A real Django project on SQLite: its database is brought up to date before new workers start, or nothing changes.

use std::fs;

use ostler::supervise::VerdictKind;

use crate::harness::{AppFile, Said, Site, readable};

const MANAGE: &str = r#"
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"#;

const MODELS: &str = r#"
from django.db import models
class Order(models.Model):
    name = models.CharField(max_length=20)
"#;

const INITIAL: &str = r#"
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)),
                                                   ("name", models.CharField(max_length=20))])]
"#;

/// Imports only where the column is there: a worker that starts before the migration does not boot.
fn app(column: &str) -> String {
    format!(
        r#"
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application
get_wsgi_application()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT {column} FROM shop_order")
connection.close()
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"#
    )
}

fn migration(operation: &str) -> String {
    format!(
        "from django.db import migrations, models\n\
         class Migration(migrations.Migration):\n    dependencies = [('shop', '0001_initial')]\n    operations = [{operation}]\n"
    )
}

fn project(site: &Site) -> AppFile {
    let app_file = site.app("shop").tcp().workers(1);
    let folder = app_file.directory.join("shop/migrations");
    fs::create_dir_all(&folder).expect("the release's folder is writable");
    for folder in [app_file.directory.join("shop"), folder] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder, open).expect("the folder is ours");
    }
    let database = site.path("logs/shop.sqlite3");
    let settings = format!(
        "SECRET_KEY = 'test'\nALLOWED_HOSTS = ['*']\nINSTALLED_APPS = ['shop']\nUSE_TZ = True\n\
         DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {database:?}}}}}\n\
         DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n"
    );
    let files = [
        ("manage.py", MANAGE),
        ("settings.py", &settings),
        ("shop/__init__.py", ""),
        ("shop/models.py", MODELS),
        ("shop/migrations/__init__.py", ""),
        ("shop/migrations/0001_initial.py", INITIAL),
    ];
    let app_file = files.into_iter().fold(app_file, |app_file, (name, text)| app_file.with(name, text));
    app_file.with("app.py", &app("name")).env("DJANGO_SETTINGS_MODULE", "settings").write()
}

fn verdicts(site: &Site) -> Vec<(Vec<String>, VerdictKind)> {
    let said = site.ostler(&["migrate", "shop", "--history", "--json"]).exits(0);
    let outcome: ostler::supervise::Outcome = serde_json::from_str(&said.out).expect("an outcome as JSON");
    let ostler::supervise::Outcome::MigrationHistory { runs } = outcome else { panic!("{outcome:?}") };
    let ended = |run: ostler::supervise::HistoryEntry| {
        let verdict = run.record.verdict.expect("it has ended");
        (verdict.applied, verdict.kind)
    };
    runs.into_iter().map(ended).collect()
}

#[test]
fn a_restart_applies_a_migration_before_the_new_workers_start() {
    let site = Site::new();
    let project = project(&site);
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    project.release("app.py", &app("price"));
    let price = "migrations.AddField('order', 'price', models.IntegerField(null=True))";
    project.release("shop/migrations/0002_price.py", &migration(price));
    let pending = ostlerd.ostler(&["migrate", "shop", "--plan"]).exits(0);
    assert!(pending.all().contains("shop.0002_price"), "{pending}");
    ostlerd.restart("shop");
    let after = ostlerd.serving("shop");
    assert!(after.generation > before.generation);
    let applied = |name: &str| (vec![name.to_owned()], VerdictKind::Applied);
    assert_eq!(verdicts(&site), [applied("shop.0001_initial"), applied("shop.0002_price")]);
    ostlerd.logs("Applying shop.0002_price... OK");
}

#[test]
fn a_migration_that_fails_leaves_the_old_workers_and_is_told() {
    let site = Site::new();
    let project = project(&site);
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    let pids = ostlerd.pids("shop");
    let bad = "migrations.RunSQL('SELECT no_such_column FROM shop_order')";
    project.release("shop/migrations/0002_bad.py", &migration(bad));
    let said = ostlerd.restart_fails("shop");
    assert!(said.all().contains("no_such_column"), "{said}");
    assert_eq!(ostlerd.serving("shop").generation, before.generation);
    assert_eq!(ostlerd.pids("shop"), pids);
    assert_eq!(verdicts(&site).pop().expect("it is in the history").1, VerdictKind::Failed);
}

#[test]
fn a_rollback_leaves_the_databases_as_they_are_and_says_so() {
    let site = Site::new();
    let mut project = project(&site);
    let root = site.path("srv");
    let release = |id: &str| root.join("releases").join(id);
    fs::create_dir_all(release("")).expect("the site's folder is writable");
    for folder in [root.clone(), release("")] {
        readable(&folder);
    }
    fs::rename(&project.directory, release("1")).expect("the folder is ours");
    let copy = |from: &str, to: &str| {
        let mut cp = std::process::Command::new("cp");
        Said::of(cp.arg("-a").args([release(from), release(to)])).exits(0);
    };
    copy("1", "2");
    let price = "migrations.AddField('order', 'price', models.IntegerField(null=True))";
    fs::write(release("2").join("shop/migrations/0002_price.py"), migration(price)).expect("it is ours");
    fs::write(release("2").join("app.py"), app("price")).expect("it is ours");
    copy("2", "3");
    let bad = migration("migrations.RunSQL('SELECT no_such_column FROM shop_order')");
    let bad = bad.replace("0001_initial", "0002_price");
    fs::write(release("3").join("shop/migrations/0003_bad.py"), bad).expect("it is ours");
    std::os::unix::fs::symlink("releases/1", root.join("current")).expect("the folder is ours");
    project.directory = root.join("current");
    fs::write(&project.file, project.text()).expect("the site is ours");
    let current = || fs::read_link(root.join("current")).expect("it is a link").display().to_string();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let switch = |id: &str| {
        let dir = release(id).display().to_string();
        ostlerd.ostler(&["restart", "shop", "--release", &dir])
    };
    switch("2").exits(0).says(&["applied shop.0002_price"]);
    assert_eq!(current(), "releases/2");
    let pids = ostlerd.pids("shop");
    switch("3").exits(1).says(&["migration failed", "no_such_column"]);
    assert_eq!((current().as_str(), ostlerd.pids("shop")), ("releases/2", pids));
    ostlerd.ostler(&["rollback", "shop"]).exits(0).says(&["shop.0002_price", "g3 serves"]);
    assert_eq!(current(), "releases/1");
    let applied = |name: &str| (vec![name.to_owned()], VerdictKind::Applied);
    assert_eq!(verdicts(&site)[..2], [applied("shop.0001_initial"), applied("shop.0002_price")]);
}
