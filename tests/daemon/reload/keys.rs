//! Every key of the configuration, and what a change of it causes: seen by the workers' process numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ostler::config::{Change, SHAPES};
use toml::{Table, Value};

use super::{pids, save, shop};
use crate::harness::{AppFile, Gunicorn, Ostlerd, Site, WSGI, free_address};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Causes {
    /// The same workers go on.
    Nothing,
    /// The same workers go on, and the key is named as one that takes a restart of ostlerd.
    Restart,
    /// Workers come or go; none is replaced.
    Resize,
    /// Another generation.
    Rollout,
}

/// A key with its section, and the value that it is set to. Each row changes what the rows before it have left.
struct Row {
    key: &'static str,
    value: Value,
}

fn row(key: &'static str, value: impl Into<Value>) -> Row {
    Row { key, value: value.into() }
}

/// Every key with its section, but those within keys and sections, and what the configuration says that a change causes.
fn keys() -> BTreeMap<String, Causes> {
    let causes = |change| match change {
        Change::Nothing | Change::InPlace | Change::Within => Causes::Nothing,
        Change::Restart => Causes::Restart,
        Change::Resize => Causes::Resize,
        Change::Rollout => Causes::Rollout,
    };
    let of = |title: &str| match title {
        "" | "the main file" => Some(String::new()),
        "workers" | "migrate.override" | "processes.name" => None,
        title => Some(format!("{title}.")),
    };
    let shapes = SHAPES.iter().filter_map(|shape| Some((of(shape.title)?, shape.keys())));
    let keys = shapes.flat_map(|(of, keys)| keys.map(move |key| (of.clone(), key)));
    let keys = keys.filter(|(_, key)| key.change != Change::Within || key.name == "apps");
    // These are of an app whose release is an image: see `images`.
    let keys = keys.filter(|(_, key)| !["volumes", "image_writable"].contains(&key.name));
    keys.map(|(of, key)| (format!("{of}{}", key.name), causes(key.change))).collect()
}

fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// The keys of an app that make another process of it, or another number of processes.
fn of_the_app(site: &Site, app: &AppFile) -> Vec<Row> {
    for folder in ["releases/shop", "releases/next"] {
        fs::create_dir_all(site.path(folder)).expect("the site is ours");
        for name in ["app.py", "other.py"] {
            fs::write(site.path(folder).join(name), WSGI).expect("the site is ours");
        }
    }
    fs::write(site.path("shop.env"), "FROM_FILE=1\n").expect("the site is ours");
    let (first, second) = (app.target().to_string(), free_address().to_string());
    let unix = format!("unix:{}", site.path("shop.sock").display());
    let mut env = parsed(&app.text())["env"].as_table().expect("it has an environment").clone();
    env.insert("WORD".to_owned(), "one".into());
    let mut rows = Vec::new();
    if others_can_be_users(app) {
        // Before the log file, which then belongs to one of them.
        rows.extend([row("user", "daemon"), row("group", "nogroup")]);
    }
    rows.extend([
        row("workers", 3),
        row("workers", 2),
        row("backlog", 100),
        row("umask", "027"),
        row("no_new_privileges", false),
        row("preload", true),
        row("preload", false),
        row("log_file", shown(&site.path("logs/shop.log"))),
        row("env", env),
        row("env_files", vec![shown(&site.path("shop.env"))]),
        row("processes", parsed("beat.command = [\"sleep\", \"1000\"]")),
        row("image", "registry.example.com/shop:43"),
        row("optional", true),
        row("min_ready", 1),
        row("static", parsed("\"/static/\" = \"/srv/shop/static\"")),
        row("listen", vec![first, second.clone(), unix]),
        row("socket_mode", "600"),
        row("listen", vec![second]),
        row("args", ["-k", "gthread", "--threads", "2"].map(Value::from).to_vec()),
        row("app", "other:application"),
        row("directory", shown(&site.path("releases/next"))),
        row("python", shown(&Gunicorn::V23.python())),
    ]);
    rows
}

fn of_sections() -> Vec<Row> {
    vec![
        row("probe.enabled", false),
        row("probe.enabled", true),
        row("probe.path", "/env"),
        row("probe.host", "shop.example.com"),
        row("probe.scheme", "https"),
        row("probe.timeout", "7s"),
        row("rollout.max_surge", 2),
        row("rollout.boot_timeout", "50s"),
        row("rollout.max_boot_failures", 3),
        row("rollout.settle", "150ms"),
        row("limits.max_rss", "900MiB"),
        row("limits.max_requests", 100_000),
        row("limits.max_requests_jitter", 5),
        row("limits.max_age", "20h"),
        row("limits.request_timeout", "50s"),
        row("limits.timeout", "50s"),
        row("limits.graceful_timeout", "20s"),
        row("limits.restarts_per_minute", 70),
        row("limits.nofile", 512),
        row("limits.oom_score_adjust", 300),
        row("limits.memory_high", "900MiB"),
        row("limits.memory_max", "950MiB"),
        row("limits.cpu_weight", 50),
        row("limits.tasks_max", 500),
        // The next migration goes by them; no worker does.
        row("migrate.enabled", false),
        row("migrate.open_timeout", "50s"),
        row("migrate.lock_timeout", "2s"),
        row("migrate.tries", 3),
        row("migrate.lock_wait", "50s"),
        row("migrate.harm", "2s"),
        row("migrate.timeout", "4m"),
        row("migrate.timeout_total", "14m"),
        row("migrate.stall", "100s"),
        row("migrate.marker", false),
        row("migrate.breaking", "warn"),
        row("migrate.database", vec!["default", "other"]),
        row("migrate.override", parsed("[\"shop.0001_initial\"]\ntimeout = \"9m\"")),
        row("migrate.post_deploy", Value::from(vec![Value::from(vec!["true"])])),
        row("migrate.command", vec!["true"]),
        row("migrate.database_url", "sqlite:////tmp/no-such-database"),
    ]
}

/// Of Django's migrations alone: beside a command of one's own they make no sense.
const OF_DJANGO: [&str; 3] = ["database", "override", "breaking"];

/// Of the main file.
fn of_the_machine(site: &Site) -> Vec<Row> {
    fs::write(site.path("token"), "0123456789abcdef0123456789abcdef\n").expect("the site is ours");
    let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI).text();
    let apps = Table::from_iter([("blog".to_owned(), Value::from(parsed(&blog)))]);
    vec![
        row("edge.preset", "nginx"),
        row("edge.delay", "10ms"),
        row("apps", apps),
        row("health.listen", vec![free_address().to_string()]),
        row("health.agent", free_address().to_string()),
        row("health.track_file", shown(&site.path("track"))),
        row("health.token_file", shown(&site.path("token"))),
        row("health.saturation", "fail"),
    ]
}

fn rows(site: &Site, app: &AppFile) -> Vec<Row> {
    of_sections().into_iter().chain(of_the_app(site, app)).chain(of_the_machine(site)).collect()
}

/// Whether the tests may start programs as another user than their usual one.
fn others_can_be_users(app: &AppFile) -> bool {
    app.text().contains("user = \"nobody\"")
}

fn parsed(text: &str) -> Table {
    text.parse().expect("the tests write TOML")
}

/// The files while rows change them.
struct Files {
    main: Table,
    app: Table,
}

impl Files {
    fn set(&mut self, row: &Row) {
        let main = ["apps", "edge", "health"].contains(&row.key.split('.').next().expect("it has a name"));
        let file = if main { &mut self.main } else { &mut self.app };
        let (table, key) = match row.key.split_once('.') {
            None => (file, row.key),
            Some((section, key)) => {
                let table = file.entry(section).or_insert_with(|| Table::new().into());
                let table = table.as_table_mut().expect("a section is a table");
                if row.key == "migrate.command" {
                    OF_DJANGO.into_iter().for_each(|key| drop(table.remove(key)));
                }
                (table, key)
            }
        };
        table.insert(key.to_owned(), row.value.clone());
    }

    fn save(&self, site: &Site, app: &AppFile) {
        save(&site.config(), &self.main.to_string());
        save(&app.file, &self.app.to_string());
    }
}

#[track_caller]
fn causes_what_it_should(ostlerd: &Ostlerd<'_>, row: &Row, change: impl FnOnce()) {
    let before = ostlerd.serving("shop");
    change();
    ostlerd.ostler(&["reload"]).exits(0);
    let after = ostlerd.serving("shop");
    let (old, new) = (pids(&before), pids(&after));
    let stayed = |pid: &i32| new.contains(pid);
    let restart = ostlerd.status().config.needs_restart.iter().any(|key| key == row.key);
    let seen = match before.generation == after.generation {
        true if old == new && restart => Causes::Restart,
        true if old == new => Causes::Nothing,
        true if old.iter().filter(|pid| stayed(pid)).count() == old.len().min(new.len()) => Causes::Resize,
        _ => Causes::Rollout,
    };
    assert_eq!(seen, keys()[row.key], "{}: {before:#?} {after:#?}", row.key);
    if seen == Causes::Rollout {
        assert!(!old.iter().any(stayed), "{}: an old worker stayed: {before:#?} {after:#?}", row.key);
    }
}

#[test]
fn each_key_causes_the_least_that_does() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut files = Files { main: Table::new(), app: parsed(&app.text()) };
    for row in rows(&site, &app) {
        causes_what_it_should(&ostlerd, &row, || {
            files.set(&row);
            files.save(&site, &app);
        });
    }
    ostlerd.serving("blog");
}

#[test]
fn every_key_has_a_row() {
    let site = Site::new();
    let app = shop(&site).write();
    let with_rows: BTreeSet<&str> = rows(&site, &app).iter().map(|row| row.key).collect();
    let mut known = keys();
    if !others_can_be_users(&app) {
        known.retain(|key, _| key != "user" && key != "group");
    }
    assert_eq!(known.keys().map(String::as_str).collect::<BTreeSet<_>>(), with_rows);
}
