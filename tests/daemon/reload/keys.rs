//! Every key of the configuration, and what a change of it causes: seen by the workers' process numbers.

use std::collections::BTreeSet;
use std::fs;

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

/// A key with its section, the value that it is set to, and what that causes. Each row changes what the rows before
/// it have left.
struct Row {
    key: &'static str,
    value: Value,
    causes: Causes,
}

fn row(key: &'static str, value: impl Into<Value>, causes: Causes) -> Row {
    Row { key, value: value.into(), causes }
}

fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// The keys of an app that make another process of it, or another number of processes.
fn of_the_app(site: &Site, app: &AppFile) -> Vec<Row> {
    use Causes::{Nothing, Resize, Rollout};
    for folder in ["releases/shop", "releases/next"] {
        fs::create_dir_all(site.path(folder)).expect("the site is ours");
        for name in ["app.py", "other.py"] {
            fs::write(site.path(folder).join(name), WSGI).expect("the site is ours");
        }
    }
    fs::write(site.path("shop.env"), "FROM_FILE=1\n").expect("the site is ours");
    let (first, second) = (app.target().to_string(), free_address().to_string());
    let mut env = parsed(&app.text())["env"].as_table().expect("it has an environment").clone();
    env.insert("WORD".to_owned(), "one".into());
    let mut rows = Vec::new();
    if others_can_be_users(app) {
        // Before the log file, which then belongs to one of them.
        rows.extend([row("user", "daemon", Rollout), row("group", "nogroup", Rollout)]);
    }
    rows.extend([
        row("workers", 3, Resize),
        row("workers", 2, Resize),
        row("backlog", 100, Rollout),
        row("socket_mode", "600", Nothing),
        row("umask", "027", Rollout),
        row("no_new_privileges", false, Rollout),
        row("preload", true, Rollout),
        row("preload", false, Rollout),
        row("log_file", shown(&site.path("logs/shop.log")), Rollout),
        row("env", env, Rollout),
        row("env_files", vec![shown(&site.path("shop.env"))], Rollout),
        row("optional", true, Nothing),
        row("min_ready", 1, Nothing),
        row("static", parsed("\"/static/\" = \"/srv/shop/static\""), Nothing),
        row("listen", vec![first, second.clone()], Rollout),
        row("listen", vec![second], Rollout),
        row("args", ["-k", "gthread", "--threads", "2"].map(Value::from).to_vec(), Rollout),
        row("app", "other:application", Rollout),
        row("directory", shown(&site.path("releases/next")), Rollout),
        row("python", shown(&Gunicorn::V23.python()), Rollout),
    ]);
    rows
}

fn of_sections() -> Vec<Row> {
    use Causes::{Nothing, Rollout};
    vec![
        row("probe.enabled", false, Rollout),
        row("probe.enabled", true, Rollout),
        row("probe.path", "/env", Rollout),
        row("probe.host", "shop.example.com", Rollout),
        row("probe.scheme", "https", Rollout),
        row("probe.timeout", "7s", Rollout),
        row("rollout.max_surge", 2, Nothing),
        row("rollout.boot_timeout", "50s", Nothing),
        row("rollout.max_boot_failures", 3, Nothing),
        row("rollout.settle", "150ms", Nothing),
        row("limits.max_rss", "900MiB", Nothing),
        row("limits.max_requests", 100_000, Nothing),
        row("limits.max_requests_jitter", 5, Nothing),
        row("limits.max_age", "20h", Nothing),
        row("limits.request_timeout", "50s", Nothing),
        row("limits.timeout", "50s", Nothing),
        row("limits.graceful_timeout", "20s", Nothing),
        row("limits.restarts_per_minute", 70, Nothing),
        row("limits.nofile", 512, Rollout),
        row("limits.memory_high", "900MiB", Nothing),
        row("limits.memory_max", "950MiB", Nothing),
        row("limits.cpu_weight", 50, Nothing),
        row("limits.tasks_max", 500, Nothing),
        // The next migration goes by them; no worker does.
        row("migrate.enabled", false, Nothing),
        row("migrate.open_timeout", "50s", Nothing),
        row("migrate.lock_timeout", "2s", Nothing),
        row("migrate.tries", 3, Nothing),
        row("migrate.lock_wait", "50s", Nothing),
        row("migrate.harm", "2s", Nothing),
        row("migrate.timeout", "4m", Nothing),
        row("migrate.timeout_total", "14m", Nothing),
        row("migrate.stall", "100s", Nothing),
        row("migrate.marker", false, Nothing),
        row("migrate.breaking", "warn", Nothing),
        row("migrate.database", vec!["default", "other"], Nothing),
        row("migrate.override", parsed("[\"shop.0001_initial\"]\ntimeout = \"9m\""), Nothing),
        row("migrate.post_deploy", Value::from(vec![Value::from(vec!["true"])]), Nothing),
        row("migrate.command", vec!["true"], Nothing),
        row("migrate.database_url", "sqlite:////tmp/no-such-database", Nothing),
    ]
}

/// Of Django's migrations alone: beside a command of one's own they make no sense.
const OF_DJANGO: [&str; 3] = ["database", "override", "breaking"];

/// Of the main file.
fn of_the_machine(site: &Site) -> Vec<Row> {
    use Causes::{Nothing, Restart};
    fs::write(site.path("token"), "0123456789abcdef0123456789abcdef\n").expect("the site is ours");
    let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI).text();
    let apps = Table::from_iter([("blog".to_owned(), Value::from(parsed(&blog)))]);
    vec![
        row("edge.preset", "nginx", Nothing),
        row("edge.delay", "10ms", Nothing),
        row("apps", apps, Nothing),
        row("health.listen", vec![free_address().to_string()], Restart),
        row("health.agent", free_address().to_string(), Restart),
        row("health.track_file", shown(&site.path("track")), Restart),
        row("health.token_file", shown(&site.path("token")), Restart),
        row("health.saturation", "fail", Restart),
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
    assert_eq!(seen, row.causes, "{}: {before:#?} {after:#?}", row.key);
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

/// Asked for a key that nobody knows, the check names those of the section.
#[test]
fn every_key_has_a_row() {
    let site = Site::new();
    let app = shop(&site).write();
    let rows = rows(&site, &app);
    let with_rows: BTreeSet<&str> = rows.iter().map(|row| row.key).collect();
    let sections: BTreeSet<&str> =
        with_rows.iter().filter_map(|key| key.split_once('.').map(|(section, _)| section)).collect();

    let mut files = Files { main: Table::new(), app: parsed(&app.text()) };
    for row in &rows {
        files.set(row);
    }
    let unknown = |table: &mut Table| drop(table.insert("qqqqqqqqqqqqqqqq".to_owned(), 1.into()));
    for file in [&mut files.main, &mut files.app] {
        unknown(file);
        for (_, table) in file.iter_mut().filter(|(name, _)| sections.contains(name.as_str())) {
            unknown(table.as_table_mut().expect("a section is a table"));
        }
    }
    files.save(&site, &app);
    let said = site.ostler_check().exits(78).all();
    let mut known = BTreeSet::new();
    let mut prefix = String::new();
    for line in said.lines() {
        if let Some((_, place)) = line.split_once("unknown key `qqqqqqqqqqqqqqqq`") {
            let section = place.trim().strip_prefix("in [").and_then(|place| place.strip_suffix("]"));
            prefix = section.map(|section| format!("{section}.")).unwrap_or_default();
        }
        if let Some((_, keys)) = line.split_once("the keys here are ") {
            known.extend(keys.split(", ").map(|key| format!("{prefix}{key}")));
        }
    }
    known.retain(|key| !sections.contains(key.as_str()));
    if !others_can_be_users(&app) {
        known.retain(|key| key != "user" && key != "group");
    }
    let with_rows: BTreeSet<String> = with_rows.into_iter().map(str::to_owned).collect();
    assert_eq!(known, with_rows, "the left are the keys that there are: {said}");
}
