//! A real project that nobody here wrote: Wagtail, with all its migrations, on all three databases.

use std::fs;

use std::time::Duration;

use ostler::supervise::AppState;

use crate::harness::{AppFile, Site, eventually};
use crate::server::{MariaDb, Postgres};
use crate::shop::{Drivers, mariadb, postgres, shop, sqlite};

const APPS: &str = r#"INSTALLED_APPS = [
    "goods", "wagtail.contrib.forms", "wagtail.contrib.redirects", "wagtail.embeds", "wagtail.sites", "wagtail.users",
    "wagtail.snippets", "wagtail.documents", "wagtail.images", "wagtail.search", "wagtail.admin", "wagtail",
    "modelcluster", "modelsearch", "taggit", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles",
]
WAGTAIL_SITE_NAME = "shop"
WAGTAILADMIN_BASE_URL = "http://localhost"
STATIC_URL = "/static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
    "context_processors": ["django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}]"#;

/// From an empty database to all of Wagtail at the first start, then again with nothing to do.
fn wagtail_is_migrated_from_empty(site: &Site, database: &str) {
    let app = shop(site, Drivers::New, database).write();
    let settings = app.directory.join("shop/settings.py");
    let text = fs::read_to_string(&settings).expect("the release has it");
    app.release("shop/settings.py", &text.replace("INSTALLED_APPS = [\"goods\"]", APPS));
    let ostlerd = site.start();
    // Nearly two hundred migrations take their time.
    let serves = || (ostlerd.app("shop").state == AppState::Serving).then_some(());
    eventually(Duration::from_secs(300), serves).expect("it serves within five minutes");
    let record = crate::long::history(&ostlerd);
    let applied = record.verdict.expect("the run has ended").applied.len();
    println!("{applied} migrations in {:.1} s on {:?}", record.seconds, record.opened.vendor);
    assert!(applied > 100, "{applied}");
    ostlerd.ostler(&["migrate", "shop"]).exits(0).says(&["nothing"]);
    ostlerd.restart("shop");
}

#[test]
fn wagtail_is_migrated_from_empty_on_postgresql() {
    let server = Postgres::start();
    wagtail_is_migrated_from_empty(&Site::new(), &postgres(&server));
    server.is_clean();
}

#[test]
fn wagtail_is_migrated_from_empty_on_mariadb() {
    let server = MariaDb::start();
    wagtail_is_migrated_from_empty(&Site::new(), &mariadb(&server));
}

#[test]
fn wagtail_is_migrated_from_empty_on_sqlite() {
    let site = Site::new();
    let database = sqlite(&site);
    wagtail_is_migrated_from_empty(&site, &database);
}
