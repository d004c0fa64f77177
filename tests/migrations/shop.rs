//! A Django shop with a database: one table of goods, and a front page that reads it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{AppFile, Site, venvs};
use crate::load::{Load, Running, Target};

use super::server::{MariaDb, Postgres};

/// Which drivers the app has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drivers {
    /// Django 5.2 with psycopg 3 and mysqlclient.
    New,
    /// Django 4.2 with psycopg2 and pymysql, on Python 3.9.
    Old,
    /// Django 6.0 with psycopg2 and pymysql, on Python 3.13.
    Between,
    /// The newest of all, on Python 3.13.
    Newest,
}

impl Drivers {
    /// The interpreter that has them.
    pub fn python(self) -> PathBuf {
        let folder = match self {
            Drivers::New => "migrate-a",
            Drivers::Old => "migrate-b",
            Drivers::Between => "migrate-c",
            Drivers::Newest => "newest",
        };
        let python = venvs().join(folder).join("bin/python");
        assert!(python.exists(), "{} is missing: run `bash tests/venvs.sh` first", python.display());
        python
    }
}

/// `DATABASES["default"]` of a server, as JSON.
pub fn postgres(server: &Postgres) -> String {
    format!(
        r#"{{"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "shop", "HOST": {:?}}}"#,
        server.host()
    )
}

/// The same of MariaDB.
pub fn mariadb(server: &MariaDb) -> String {
    format!(
        r#"{{"ENGINE": "django.db.backends.mysql", "NAME": "shop", "USER": "shop", "HOST": "localhost", "OPTIONS": {{"unix_socket": {:?}}}}}"#,
        server.socket()
    )
}

/// The same of a file in the site's folder that everybody may write.
pub fn sqlite(site: &Site) -> String {
    format!(r#"{{"ENGINE": "django.db.backends.sqlite3", "NAME": {:?}}}"#, site.path("logs/shop.sqlite3"))
}

/// An app `shop` with the first migration of its goods, on this database; not written yet.
pub fn shop(site: &Site, drivers: Drivers, database: &str) -> AppFile {
    let app = site
        .app("shop")
        .python(drivers.python())
        .entry("shop.wsgi:application")
        .args(&["-k", "gthread", "--threads", "4"])
        .tcp()
        .workers(2)
        .env("DATABASE", database);
    for folder in ["shop", "goods", "goods/migrations"] {
        let path = app.directory.join(folder);
        fs::create_dir_all(&path).expect("the release's folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        app.release(&format!("{folder}/__init__.py"), "");
    }
    app.release("manage.py", MANAGE);
    app.release("shop/settings.py", SETTINGS);
    app.release("shop/urls.py", URLS);
    app.release("shop/wsgi.py", WSGI);
    app.release("goods/models.py", MODELS);
    app.release("goods/migrations/0001_initial.py", INITIAL);
    app
}

/// Clients of the shop, each on a connection that it keeps. Each of their requests opens a connection of the database: at the
/// pace of other tests they alone would keep the machine busy.
pub fn clients(app: &AppFile) -> Running {
    Load::on(&app.target()).keep_alive(true).pause(Duration::from_millis(100)).start()
}

/// Adds the migration `goods.NAME` after `after`; `operations` is Python, a list's content.
pub fn migration(app: &AppFile, name: &str, after: &str, operations: &str) {
    migration_of(app, name, after, true, operations);
}

/// The same, not in one transaction.
pub fn migration_not_atomic(app: &AppFile, name: &str, after: &str, operations: &str) {
    migration_of(app, name, after, false, operations);
}

fn migration_of(app: &AppFile, name: &str, after: &str, atomic: bool, operations: &str) {
    let atomic = if atomic { "True" } else { "False" };
    let text = format!(
        "import os, signal, subprocess, sys, time\n\
         from django.db import migrations, models\n\
         from django.db.migrations import RunPython, RunSQL\n\
         try:\n    from django.contrib.postgres.operations import AddIndexConcurrently\nexcept ImportError:\n    pass\n\n\
         def asleep(apps, schema_editor):\n    time.sleep(600)\n\n\
         class Migration(migrations.Migration):\n    atomic = {atomic}\n    \
         dependencies = [('goods', {after:?})]\n    operations = [\n{operations}\n    ]\n"
    );
    app.release(&format!("goods/migrations/{name}.py"), &text);
}

/// Takes a migration away again.
pub fn without(app: &AppFile, name: &str) {
    fs::remove_file(app.directory.join(format!("goods/migrations/{name}.py"))).expect("it was there");
}

/// The second release: its front page says so.
pub fn second_release(app: &AppFile) {
    app.release("shop/urls.py", &URLS.replace("RELEASE = \"1\"", "RELEASE = \"2\""));
}

const MANAGE: &str = r#"#!/usr/bin/env python
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"#;

const SETTINGS: &str = r#"
import json, os, sys
try:
    import pymysql
    pymysql.version_info = (2, 2, 4, "final", 0)
    pymysql.install_as_MySQLdb()
except ImportError:
    pass
SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["goods"]
DATABASES = {"default": json.loads(os.environ["DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
MIDDLEWARE = []
"#;

const URLS: &str = r#"
import os
from django.db import connection
from django.http import HttpResponse
from django.urls import path

RELEASE = "1"

def index(request):
    with connection.cursor() as cursor:
        cursor.execute("select name from goods_good limit 1")
        cursor.fetchall()
    return HttpResponse("%d %s" % (os.getpid(), RELEASE), content_type="text/plain")

urlpatterns = [path("", index)]
"#;

const WSGI: &str = r#"
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"#;

const MODELS: &str = r#"
from django.db import models

class Good(models.Model):
    name = models.CharField(max_length=40)
    price = models.IntegerField(default=0)
"#;

const INITIAL: &str = r#"
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Good", fields=[
            ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True)),
            ("name", models.CharField(max_length=40)),
            ("price", models.IntegerField(default=0)),
        ]),
    ]
"#;
