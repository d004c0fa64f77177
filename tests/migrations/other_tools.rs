//! Migrations by other tools than Django: the same environment, ladder and budgets.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::harness::{AppFile, CLASSES, Site, WSGI, readable};
use crate::load::get;
use crate::server::Postgres;
use crate::shop::Drivers;

const ALEMBIC_INI: &str = "[alembic]\nscript_location = alembic\n";

const ALEMBIC_ENV: &str = r#"
import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"#;

const FLASK: &str = r#"
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

application = Flask(__name__)
application.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(application)
Migrate(application, db, directory="alembic")

@application.route("/")
def index():
    return "%d 1" % os.getpid()
"#;

const FLASK_ENV: &str = r#"
from alembic import context
from flask import current_app

with current_app.extensions["migrate"].db.engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"#;

/// A release with Alembic's folder; `env` is its `env.py`.
fn project(site: &Site, server: &Postgres, app: &str, env: &str, command: &str) -> AppFile {
    let url = format!("postgresql+psycopg://shop@/shop?host={}", server.host());
    let watched = format!("postgresql://shop@/shop?host={}", server.host());
    let app = site
        .app("shop")
        .python(Drivers::New.python())
        .with("app.py", app)
        .args(&["-k", "gthread", "--threads", "4"])
        .tcp()
        .env("DATABASE_URL", &url)
        .env("WATCHED_URL", &watched)
        .table(&format!("[migrate]\ncommand = {command}\ndatabase_url = \"env:WATCHED_URL\"\ntimeout = \"8s\"\ntimeout_total = \"8s\"\nharm = \"60s\""));
    for folder in ["alembic", "alembic/versions"] {
        let path = app.directory.join(folder);
        fs::create_dir_all(&path).expect("the release's folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    app.release("alembic.ini", ALEMBIC_INI);
    app.release("alembic/alembic.ini", ALEMBIC_INI);
    app.release("alembic/env.py", env);
    app.release("alembic/script.py.mako", "");
    app
}

fn version(app: &AppFile, name: &str, after: &str, sql: &str) {
    let text = format!(
        "from alembic import op\nrevision = {name:?}\ndown_revision = {after}\n\n\
         def upgrade():\n    op.execute({sql:?})\n\ndef downgrade():\n    pass\n"
    );
    app.release(&format!("alembic/versions/{name}.py"), &text);
}

fn the_ladder_holds(app: &str, env: &str, command: &str) {
    let server = Postgres::start();
    let site = Site::new();
    let app = project(&site, &server, app, env, command).write();
    version(&app, "one", "None", "create table goods (id int)");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(server.sql("select version_num from alembic_version"), "one");
    let workers = ostlerd.pids("shop");

    version(&app, "two", "'one'", "alter table goods add column weight int; select pg_sleep(600)");
    ostlerd.restart_fails("shop").says(&["8.0 s"]);
    server.is_clean();
    assert_eq!(server.sql("select version_num from alembic_version"), "one");
    assert_eq!(server.sql("select count(*) from information_schema.columns where table_name = 'goods'"), "1");
    assert_eq!(ostlerd.pids("shop"), workers);

    version(&app, "two", "'one'", "alter table goods add column weight int");
    ostlerd.restart("shop");
    assert_eq!(server.sql("select version_num from alembic_version"), "two");
    server.is_clean();
}

#[test]
fn alembic_is_ended_in_time_and_leaves_nothing() {
    the_ladder_holds(WSGI, ALEMBIC_ENV, r#"["alembic", "upgrade", "head"]"#);
}

#[test]
fn flask_migrate_is_ended_in_time_and_leaves_nothing() {
    the_ladder_holds(FLASK, FLASK_ENV, r#"["flask", "--app", "app:application", "db", "upgrade"]"#);
}

/// Reads and writes by names that it knows, as every ORM does.
const READING: &str = r#"
import os
from flask import Flask
from sqlalchemy import create_engine, text

application = Flask(__name__)
engine = create_engine(os.environ["DATABASE_URL"])

@application.route("/")
def index():
    with engine.connect() as connection:
        connection.execute(text("select NAME from goods")).all()
    return "%d 1" % os.getpid()
"#;

/// A release beside the others, to which `current` leads then; its migrations are those of `versions`.
fn release(site: &Site, id: &str, column: &str, versions: &[(&str, &str, &str)]) {
    let folder = site.path("srv").join(id);
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let parent = path.parent().expect("it is in a folder");
        fs::create_dir_all(parent).expect("the site's folder is writable");
        fs::write(&path, text).expect("the folder is ours");
    };
    write("app.py", &READING.replace("NAME", column));
    write("alembic.ini", ALEMBIC_INI);
    write("alembic/env.py", ALEMBIC_ENV);
    write("alembic/script.py.mako", "");
    for (name, after, sql) in versions {
        write(
            &format!("alembic/versions/{name}.py"),
            &format!(
                "from alembic import op\nrevision = {name:?}\ndown_revision = {after}\n\n\
                 def upgrade():\n    op.execute({sql:?})\n\ndef downgrade():\n    pass\n"
            ),
        );
    }
    for path in ["", "alembic", "alembic/versions"] {
        readable(&folder.join(path));
    }
    let current = site.path("srv/current");
    let _ = fs::remove_file(&current);
    symlink(id, current).expect("the folder is ours");
}

#[test]
fn the_code_that_serves_is_asked_how_it_gets_on_with_what_another_tool_has_done() {
    for class in [&["-k", "sync"][..], &["-k", "gthread", "--threads", "4"]] {
        let server = Postgres::start();
        let site = Site::new();
        let one = ("one", "None", "create table goods (name text)");
        release(&site, "1", "name", &[one]);
        readable(&site.path("srv"));
        let url = format!("postgresql+psycopg://shop@/shop?host={}", server.host());
        let mut app = site.app("shop").python(Drivers::New.python()).args(class).tcp();
        app.directory = site.path("srv/current");
        let app = app
            .env("DATABASE_URL", &url)
            .table("[migrate]\ncommand = [\"alembic\", \"upgrade\", \"head\"]")
            .write();
        let ostlerd = site.start();
        ostlerd.serving("shop");

        let two = ("two", "'one'", "alter table goods add column weight int");
        release(&site, "2", "name", &[one, two]);
        let said = ostlerd.restart("shop");
        said.says(&["the code that serves (g1) answers its probe on the migrated database", "g2 serves"]);

        let three = ("three", "'two'", "alter table goods rename column name to title");
        release(&site, "3", "title", &[one, two, three]);
        let said = ostlerd.restart("shop");
        said.says(&[
            "the code that serves (g2) does not go on with the migrated database",
            "500",
            "g3 serves",
        ]);
        get(&app.target(), "/").expect("the release that fits serves");

        // Nothing pending: nobody is asked, and a release in the same place is not asked for what it is not.
        let said = ostlerd.restart("shop");
        assert!(!said.all().contains("the code that serves"), "{said}");
    }
}

#[test]
fn the_code_that_serves_is_asked_in_every_class() {
    for (class, text) in CLASSES {
        let site = Site::new();
        let gone = site.path("logs/gone");
        let check =
            format!("    if os.path.exists({:?}):\n        raise RuntimeError('no such column')\n", gone);
        let reads = text.replace("    body = ", &format!("{check}    body = "));
        let put = |id: &str, app: &str, migrate: &str| {
            let folder = site.path("srv").join(id);
            fs::create_dir_all(&folder).expect("the site's folder is writable");
            fs::write(folder.join("app.py"), app).expect("the folder is ours");
            fs::write(folder.join("migrate.sh"), migrate).expect("the folder is ours");
            [site.path("srv"), folder].iter().for_each(|it| readable(it));
            let current = site.path("srv/current");
            let _ = fs::remove_file(&current);
            symlink(id, current).expect("the folder is ours");
        };
        put("1", &reads, "true");
        let mut app = site.app("shop").args(&["-k", class]).tcp();
        app.directory = site.path("srv/current");
        app.table("[migrate]\ncommand = [\"/bin/sh\", \"migrate.sh\"]").write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        put("2", &reads, "true");
        ostlerd.restart("shop").says(&["the code that serves (g1) answers its probe", "g2 serves"]);
        put("3", text, &format!("touch {}", gone.display()));
        let said = ostlerd.restart("shop");
        said.says(&["the code that serves (g2) does not go on with the migrated database", "g3 serves"]);
    }
}
