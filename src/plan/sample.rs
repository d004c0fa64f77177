//! A plan as an app's file makes it, for the tests of whoever is handed plans.

use std::path::{Path, PathBuf};

use crate::config::{AppConfig, parse_app};
use crate::worker::Settings;

use super::{Account, AppPlan, Facts, Fingerprint, ReleasePaths, prepare};

const FILE: &str = "/etc/ostler/apps.d/shop.toml";

/// A plan of an app that says what it must, and `more`; for the tests of those who are handed plans.
pub fn sample(more: &str) -> AppPlan {
    planned(&listening(more), &facts(defaults())).0
}

/// An app that says what it must, and `more`.
pub(super) fn app(more: &str) -> AppConfig {
    let text = format!(
        "directory = \"/srv/shop/current\"\npython = \"/srv/shop/current/venv/bin/python\"\n\
         app = \"shop.wsgi:application\"\nuser = \"shop\"\n{more}"
    );
    parse_app(&"shop".parse().expect("it is a name"), &text, Path::new(FILE), true)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// The same, listening.
pub(super) fn listening(more: &str) -> AppConfig {
    app(&format!("listen = [\"127.0.0.1:8000\", \"unix:/run/ostler/shop.sock\"]\n{more}"))
}

pub(super) fn account(name: &str, uid: u32) -> Account {
    Account {
        name: name.to_owned(),
        uid,
        gid: uid,
        groups: vec![uid],
        home: PathBuf::from("/home").join(name),
    }
}

/// gunicorn without any configuration.
pub(super) fn defaults() -> Settings {
    Settings {
        gunicorn: "23.0.0".to_owned(),
        python: "3.11.2".to_owned(),
        class_name: "sync".to_owned(),
        family: Some("sync".to_owned()),
        workers: 1,
        bind: vec!["127.0.0.1:8000".to_owned()],
        bind_set: false,
        workers_set: false,
        backlog: 2048,
        timeout: 30.0,
        graceful_timeout: 30.0,
        keepalive: 2.0,
        threads: 1,
        max_requests: 0,
        max_requests_jitter: 0,
        umask: 0,
        umask_set: false,
        uid: 1001,
        gid: 1001,
        user_set: false,
        chdir: None,
        preload_app: false,
        conf: None,
        ignored: Vec::new(),
        master_hooks: Vec::new(),
        django: None,
        forwarded_allow_ips: None,
    }
}

pub(super) fn facts(settings: Settings) -> Facts {
    Facts {
        settings,
        paths: ReleasePaths {
            directory: PathBuf::from("/srv/shop/releases/42"),
            python: PathBuf::from("/srv/shop/releases/42/venv/bin/python"),
            env_files: Vec::new(),
            log_file: None,
            image: None,
        },
        account: Some(account("shop", 1001)),
        own: account("root", 0),
        cpus: 4,
        env_files: Vec::new(),
        release: Fingerprint { files: 3, newest: 5 },
        unprivileged_port: 1024,
        manage_py: false,
    }
}

#[track_caller]
pub(super) fn planned(app: &AppConfig, facts: &Facts) -> (AppPlan, Vec<String>) {
    let (prepared, notes) = prepare(app, facts);
    (prepared.unwrap_or_else(|refusal| panic!("{refusal}")), notes)
}
