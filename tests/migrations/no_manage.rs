//! Django without a `manage.py` in `directory`: it is migrated before it serves, and what is said of that beforehand holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{AppFile, Ostlerd, Site, until};
use crate::load::Target;
use crate::server::Postgres;
use crate::shop::{Drivers, migration, postgres, second_release, shop, sqlite};

/// All Djangos.
const ALL: [Drivers; 4] = [Drivers::Old, Drivers::New, Drivers::Between, Drivers::Newest];
const ADD_COLUMN: &str = "migrations.AddField('good', 'weight', models.IntegerField(null=True))";

/// The project's code in `folder`, below the release, and its manage.py gone.
fn moved(app: &AppFile, folder: &str) {
    let to = app.directory.join(folder);
    fs::create_dir_all(&to).expect("the release's folder is writable");
    let open = || fs::Permissions::from_mode(0o755);
    let parts: Vec<&str> = folder.split('/').collect();
    for depth in 1..=parts.len() {
        fs::set_permissions(app.directory.join(parts[..depth].join("/")), open()).expect("it is ours");
    }
    for name in ["shop", "goods"] {
        fs::rename(app.directory.join(name), to.join(name)).expect("it was there");
    }
    fs::remove_file(app.directory.join("manage.py")).expect("it was there");
}

/// The front page reads the table of goods.
fn serves_goods(ostlerd: &Ostlerd<'_>, app: &AppFile) {
    ostlerd.serving("shop");
    let Target::Tcp(address) = app.target() else { panic!("it listens on TCP") };
    let answer = until("an answer", || crate::no_manage::get(address));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn get(address: std::net::SocketAddr) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[test]
fn code_in_a_subfolder_is_migrated_before_it_serves() {
    for drivers in ALL {
        let site = Site::new();
        let database = sqlite(&site);
        let app = shop(&site, drivers, &database).workers(1).args(&["--pythonpath", "netbox"]).write();
        moved(&app, "netbox");
        fs::write(app.directory.join("netbox/manage.py"), "raise SystemExit(3)\n").expect("it is ours");
        site.check()
            .says(&["shop: migrations: Django's migrate, database default, if the app sets Django up"]);
        let ostlerd = site.start();
        serves_goods(&ostlerd, &app);
        ostlerd
            .ostler(&["status"])
            .says(&["migrations: Django's migrate with settings shop.settings, database default"]);
        ostlerd
            .ostler(&["migrate", "shop", "--plan"])
            .says(&["settings: shop.settings", "nothing is pending"]);
        fs::create_dir_all(app.directory.join("goods/migrations")).expect("it is ours");
        migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
        let name = "goods/migrations/0002_weight.py";
        fs::rename(app.directory.join(name), app.directory.join("netbox").join(name))
            .expect("it was written");
        ostlerd.restart("shop").says(&["goods.0002_weight"]);
    }
}

#[test]
fn a_package_without_a_project_is_migrated_with_the_settings_of_its_environment() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server));
    let packages = app.directory.join("lib/site-packages").display().to_string();
    let app = app.env("PYTHONPATH", &packages).env("DJANGO_SETTINGS_MODULE", "shop.settings").write();
    moved(&app, "lib/site-packages");
    site.check().says(&["migrations: Django's migrate with settings shop.settings, database default, if"]);
    let ostlerd = site.start();
    serves_goods(&ostlerd, &app);
    assert!(server.schema().contains("goods_good.price"));
    server.is_clean();
    // Turned off, it is off.
    let text = fs::read_to_string(&app.file).expect("it was written");
    fs::write(&app.file, text + "\n[migrate]\nenabled = false\n").expect("it is ours");
    site.check().says(&["shop: migrations: off ([migrate] enabled = false)"]);
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.ostler(&["status"]).says(&["migrations: off ([migrate] enabled = false)"]);
    ostlerd.ostler(&["migrate", "shop"]).says(&["has no migrations: off"]);
}

const PLAIN: &str = "def application(environ, start_response):\n    start_response('200 OK', [('Content-Length', '2')])\n    \
                     return [b'ok']\n";

#[test]
fn an_app_beside_which_django_is_installed_has_no_migrations_and_is_not_loaded_for_them() {
    let site = Site::new();
    let loads = site.path("logs/loads");
    let count = format!("open({loads:?}, 'a').write('x')\n");
    let app = site.app("shop").python(Drivers::New.python()).entry("plain:application").tcp().workers(1);
    let app = app.with("plain.py", &(count.clone() + PLAIN)).write();
    site.check().says(&["shop: migrations: none: django is installed, but nothing in the app's files says"]);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(fs::read_to_string(&loads).expect("it was loaded"), "x", "once, by its worker");
    ostlerd.ostler(&["status"]).says(&["migrations: none: django is installed"]);
    ostlerd.ostler(&["migrate", "shop"]).says(&["none: django is installed"]);
    // It imports Django and serves without it: that is found out, once, and is no reason to fail.
    app.release("plain.py", &format!("{count}import django.utils.html\n{PLAIN}"));
    ostlerd
        .restart("shop")
        .says(&["nothing to do: django is installed, but plain:application does not set it up"]);
    assert_eq!(fs::read_to_string(&loads).expect("it was loaded"), "xxx");
    ostlerd
        .ostler(&["status"])
        .says(&["migrations: none: django is installed, but plain:application does not set it up"]);
    ostlerd.ostler(&["migrate", "shop", "--plan"]).says(&["default: nothing to migrate"]);
}

#[test]
fn what_only_the_workers_show_to_be_djangos_is_said() {
    let site = Site::new();
    let database = sqlite(&site);
    let app = shop(&site, Drivers::New, &database).entry("hidden:application").write();
    fs::remove_file(app.directory.join("manage.py")).expect("it was there");
    app.release(
        "hidden.py",
        "import importlib\napplication = importlib.import_module('shop' + '.wsgi').application\n",
    );
    site.check().says(&["none: django is installed"]);
    // Its front page needs the table.
    app.release("shop/urls.py", "urlpatterns = []\n");
    let ostlerd = site.start();
    ostlerd.wait("shop", "workers that show themselves", |app| !app.unmigrated.is_empty());
    ostlerd.ostler(&["status"]).says(&["shop is an app of Django's", "enabled = true"]);
    let text = fs::read_to_string(&app.file).expect("it was written");
    fs::write(&app.file, text + "\n[migrate]\nenabled = true\n").expect("it is ours");
    ostlerd.restart("shop").says(&["goods.0001_initial"]);
    assert!(ostlerd.app("shop").unmigrated.is_empty());
}

#[test]
fn an_entry_of_databases_that_nobody_migrates_is_named() {
    let server = Postgres::start();
    let site = Site::new();
    let app = shop(&site, Drivers::New, &postgres(&server));
    let reports = site.path("logs/reports.sqlite3");
    let settings = fs::read_to_string(app.directory.join("shop/settings.py")).expect("it was written");
    let more = format!(
        "\nDATABASES['reports'] = {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {reports:?}}}\n\
         DATABASES['direct'] = dict(DATABASES['default'], HOST='{host}/.', CONN_MAX_AGE=1)\n\
         DATABASES['gone'] = dict(DATABASES['default'], HOST='127.0.0.1', PORT='1')\n",
        host = server.host()
    );
    app.release("shop/settings.py", &(settings + &more));
    let app = app.write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let words = "the database reports has 1 pending migration and is not in `database` of [migrate]";
    let status = ostlerd.ostler(&["status"]).says(&[words]);
    assert!(
        !status.all().contains("the database direct") && !status.all().contains("the database gone"),
        "{status}"
    );
    ostlerd.ostler(&["migrate", "shop"]).says(&["nothing to do", words]);
    migration(&app, "0002_weight", "0001_initial", ADD_COLUMN);
    let plan = ostlerd.ostler(&["migrate", "shop", "--plan"]).says(&["reports has 2 pending migrations"]);
    assert!(!plan.all().contains("the database direct"), "the same by another way: {plan}");
    second_release(&app);
    ostlerd.restart("shop").says(&["goods.0002_weight", "reports has 2 pending migrations"]);
    let text = fs::read_to_string(&app.file).expect("it was written");
    fs::write(&app.file, text + "\n[migrate]\ndatabase = [\"default\", \"reports\"]\n").expect("it is ours");
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.ostler(&["migrate", "shop"]).exits(0);
    assert!(ostlerd.app("shop").unmigrated.is_empty());
}
