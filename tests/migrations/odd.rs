//! What goes wrong before, beside and inside a migration: each with its outcome and its words, and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use ostler::observe::AppStatus;
use ostler::supervise::AppState;

use crate::harness::{AppFile, Ostlerd, Said, Site, until};
use crate::server::{Pooler, Postgres};
use crate::shop::{Drivers, migration, migration_not_atomic, postgres, second_release, shop, without};

const ADD_COLUMN: &str = "migrations.AddField('good', 'weight', models.IntegerField(null=True))";

/// An app that serves, then something is changed, then a deployment that has to fail in these words.
fn a_deployment_fails(change: impl FnOnce(&AppFile, &mut Postgres), words: &[&str]) {
    let mut server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let workers = ostlerd.pids("shop");
    change(&app, &mut server);
    second_release(&app);
    let said = ostlerd.ostler(&["restart", "shop"]);
    assert!(matches!(said.code, Some(1 | 78)), "{said}");
    let said = said.says(words);
    assert_eq!(ostlerd.pids("shop"), workers, "the old workers were not touched: {said}");
}

fn edit(app: &AppFile, name: &str, from: &str, to: &str) {
    let path = app.directory.join(name);
    let text = fs::read_to_string(&path).expect("the release has it");
    assert!(text.contains(from), "{from} is in {text}");
    app.release(name, &text.replace(from, to));
}

/// As a Django to come may have it.
const RENAMED: &str = r#"
from django.db.migrations import executor
kind = executor.MigrationExecutor
kind.carry_out = kind.apply_migration
del kind.apply_migration
def all_forwards(self, state, plan, full_plan, fake, fake_initial):
    for migration, _ in plan:
        state.apps
        state = self.carry_out(state, migration, fake=fake)
    return state
kind._migrate_all_forwards = all_forwards
"#;

#[test]
fn a_django_that_does_not_tell_its_progress_is_migrated_all_the_same_and_never_called_clean() {
    let server = Postgres::start();
    let site = Site::new();
    let database = postgres(&server);
    let app = shop(&site, Drivers::Newest, &database);
    let library = app.directory.join("changed").display().to_string();
    let app = app.env("PYTHONPATH", &library).write();
    fs::create_dir(&library).expect("the release's folder is writable");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).expect("it is ours");
    app.release("changed/sitecustomize.py", RENAMED);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
    ostlerd.restart("shop").says(&["progress is not seen", "apply_migration"]);
    assert!(server.schema().contains("goods_good.weight"));
    // Half of it is done, and nobody can know: it is in no transaction.
    migration_not_atomic(
        &app,
        "0003_half",
        "0002_weight",
        "RunSQL('create table half ()'), RunSQL('nonsense')",
    );
    ostlerd.restart_fails("shop").says(&["goods.0003_half", "cannot be told"]);
}

#[test]
fn two_leaves_are_named() {
    let words = ["0002_a", "0002_b", "makemigrations --merge"];
    a_deployment_fails(
        |app, _| {
            migration(app, "0002_a", "0001_initial", ADD_COLUMN);
            migration(app, "0002_b", "0001_initial", ADD_COLUMN);
        },
        &words,
    );
}

#[test]
fn a_database_that_is_down_is_told_with_the_servers_words() {
    a_deployment_fails(|_, server| server.down(), &["database shop", "no such file or directory"]);
}

#[test]
fn a_wrong_password_is_told_with_the_servers_words() {
    let password = "DATABASES[\"default\"].update(USER=\"guarded\", PASSWORD=\"wrong\")\nDEFAULT_AUTO_FIELD";
    a_deployment_fails(
        |app, _| edit(app, "shop/settings.py", "DEFAULT_AUTO_FIELD", password),
        &["guarded", "password authentication failed"],
    );
}

#[test]
fn an_app_that_does_not_import_is_told_with_its_traceback() {
    a_deployment_fails(|app, _| app.release("goods/models.py", "import no_such_module"), &["no_such_module"]);
}

/// What is in the way of a first start goes away by itself, or somebody takes it away: nobody has to say so.
#[test]
fn a_first_start_that_cannot_migrate_is_tried_again_by_itself() {
    for (name, words) in
        [("goods/models.py", "no_such_module"), ("goods/migrations/0002_fails.py", "no_such_table")]
    {
        let server = Postgres::start();
        let site = Site::new();
        let app = shop(&site, Drivers::New, &postgres(&server)).write();
        let before = fs::read_to_string(app.directory.join(name)).ok();
        match before {
            Some(_) => app.release(name, "import no_such_module"),
            None => migration(&app, "0002_fails", "0001_initial", "RunSQL('SELECT * FROM no_such_table')"),
        }
        let mut ostlerd = site.start();
        let state = ostlerd.wait("shop", "has failed", |app| app.state == AppState::Failed);
        assert!(state.problem.as_deref().unwrap_or_default().contains(words), "{state:?}");
        ostlerd.ostler(&["wait", "shop"]).exits(1).says(&[words]);
        // Who begins it again may be another by then.
        if before.is_some() {
            ostlerd.crash();
            ostlerd = site.start();
        } else {
            ostlerd.ostler(&["reexec"]).exits(0);
        }
        match before {
            Some(text) => app.release(name, &text),
            None => fs::remove_file(app.directory.join(name)).expect("the release is ours"),
        }
        ostlerd.serving("shop");
    }
}

/// A machine that comes up before its database serves what it served before; other code waits for the database.
#[test]
fn code_that_had_nothing_pending_starts_without_its_database_and_asks_it_later() {
    let mut server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    server.down();
    ostlerd.ostler(&["start", "shop"]).exits(0);
    ostlerd.logs("started although its databases could not be asked");
    let state = ostlerd.serving("shop");
    assert!(state.problem.as_deref().unwrap_or_default().contains("No such file or directory"), "{state:?}");
    let answers_well = |app: &AppStatus| app.proof.as_ref().and_then(|it| Some(it.probe.as_ref()?.good));
    assert_eq!(answers_well(&state), Some(false), "the page needs the database: {state:?}");
    ostlerd.ostler(&["status", "shop"]).exits(1);
    // Whoever comes after an ostlerd asks on, also if that one was killed.
    ostlerd.crash();
    let ostlerd = site.start();
    server.up();
    let state = ostlerd.wait("shop", "has asked its database", |app| {
        app.problem.is_none() && app.last_migration.as_ref().is_some_and(|it| it.verdict.kind.is_good())
    });
    assert_eq!(answers_well(&state), Some(true), "a release to come is judged by that: {state:?}");
    ostlerd.ostler(&["status", "shop"]).exits(0);

    ostlerd.ostler(&["stop", "shop"]).exits(0);
    server.down();
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
    ostlerd.ostler(&["start", "shop"]).exits(1).says(&["no such file or directory"]);
    server.up();
    ostlerd.serving("shop");
    assert!(server.schema().contains("weight"), "{}", server.schema());
}

#[test]
fn a_full_disk_in_the_database_is_told_and_the_database_is_as_before() {
    if !crate::harness::is_root() {
        eprintln!("not root: no small disk can be mounted, nothing was tried");
        return;
    }
    let disk = SmallDisk::mount();
    a_deployment_fails(
        |app, server| {
            server
                .admin(&format!("create tablespace small location '{}'", disk.0.path().join("t").display()));
            let fill = "RunSQL('create table filler tablespace small as select repeat(md5(i::text), 50) t from generate_series(1, 100000) i')";
            migration(app, "0002_fill", "0001_initial", fill);
        },
        &["0002_fill", "no space left"],
    );
}

/// A file system of a few megabytes, for everybody.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> SmallDisk {
        let folder = tempfile::Builder::new().prefix("ostler-disk-").tempdir().expect("/tmp is writable");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0777", "none"]).arg(folder.path());
        Said::of(&mut mount).exits(0);
        let inner = folder.path().join("t");
        fs::create_dir(&inner).expect("it is mounted");
        let nobody = nix::unistd::Uid::from_raw(65534);
        nix::unistd::chown(&inner, Some(nobody), None).expect("we are root");
        SmallDisk(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Said::of(std::process::Command::new("umount").arg("-l").arg(self.0.path()));
    }
}

#[test]
fn options_of_the_settings_do_not_take_the_guards_away() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let options =
        "DATABASES[\"default\"][\"OPTIONS\"] = {\"options\": \"-c statement_timeout=0\"}\nDEFAULT_AUTO_FIELD";
    edit(&app, "shop/settings.py", "DEFAULT_AUTO_FIELD", options);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let show = "RunSQL(\"create table seen as select current_setting('lock_timeout') l, current_setting('application_name') a\")";
    migration(&app, "0002_show", "0001_initial", show);
    ostlerd.restart("shop");
    assert_eq!(server.sql("select l from seen"), "1500ms");
    assert!(server.sql("select a from seen").starts_with("ostler:shop:"));
}

#[test]
fn code_that_is_older_than_the_database_is_told_and_served() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
    ostlerd.restart("shop");
    without(&app, "0002_weight");
    second_release(&app);
    ostlerd.restart("shop").says(&["0002_weight", "older"]);
}

#[test]
fn a_server_that_restarts_in_the_middle_costs_a_try_and_nothing_else() {
    let mut server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let schema = server.schema();
    migration(&app, "0002_long", "0001_initial", &format!("{ADD_COLUMN}, RunSQL('select pg_sleep(600)')"));
    let restart = std::thread::spawn({
        let mut command = site.ostler_command(&["restart", "shop"]);
        move || Said::of(&mut command)
    });
    until("the statement runs", || server.tagged().contains("pg_sleep").then_some(()));
    server.down();
    server.up();
    let said = restart.join().expect("the thread does not panic").exits(1);
    assert_eq!(server.schema(), schema, "{said}");
    server.is_clean();
    without(&app, "0002_long");
    second_release(&app);
    ostlerd.restart("shop");
}

#[test]
fn an_invalid_index_that_cannot_be_removed_safely_is_dirty() {
    use crate::shop::migration_not_atomic;
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    server.sql("insert into goods_good (name, price) values ('twice', 1), ('twice', 2)");
    let unique = "RunSQL('alter table goods_good add column weight integer'), \
                  RunSQL('create unique index concurrently once on goods_good (name)')";
    migration_not_atomic(&app, "0002_once", "0001_initial", unique);
    ostlerd.restart_fails("shop").says(&["dirty", "0002_once", "once", "drop index"]);
    ostlerd.restart_fails("shop").says(&["--resolve"]);
    server.sql("drop index once; alter table goods_good drop column weight; delete from goods_good");
    ostlerd.ostler(&["migrate", "shop", "--resolve"]).exits(0);
    ostlerd.restart("shop");
}

#[test]
fn behind_a_transaction_pooler_nothing_is_migrated_but_by_a_direct_connection() {
    let server = Postgres::start();
    let pooler = Pooler::before(&server);
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server)).env("DIRECT", &postgres(&server)).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let workers = ostlerd.pids("shop");
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
    let pooled = format!(
        "DATABASES = {{\"default\": json.loads(r'''{}'''), \"direct\": json.loads(os.environ[\"DIRECT\"])}}\nDEFAULT_AUTO_FIELD",
        pooler.database()
    );
    edit(&app, "shop/settings.py", "DEFAULT_AUTO_FIELD", &pooled);
    ostlerd.restart_fails("shop").says(&["pool", "6432", "database = "]);
    assert_eq!(ostlerd.pids("shop"), workers, "the old workers were not touched");
    assert!(!server.schema().contains("weight"));

    app.table("[migrate]\ndatabase = \"direct\"").write();
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.restart("shop");
    assert!(server.schema().contains("goods_good.weight"));
    server.is_clean();
}
