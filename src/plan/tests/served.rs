//! What an edge has to know of an app: from its file, its plan, and where it listens in fact.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{Address, Config, Edge, HEALTH_DEFAULT, HealthConfig, Preset};
use crate::plan::{SeenApp, Served, served};

fn config(more: &str) -> Config {
    let app = listening(more);
    Config {
        file: Path::new("/etc/ostler/ostler.toml").to_owned(),
        apps: [(app.name.clone(), app)].into(),
        edge: Edge { preset: Preset::Caddy, delay: None },
        health: HealthConfig::default(),
    }
}

fn seen(config: &Config, settings: Settings, listeners: &[&str]) -> Served {
    let app = config.apps.values().next().unwrap();
    let (plan, _) = planned(app, &facts(settings.clone()));
    let listeners = listeners.iter().map(|text| text.parse().unwrap()).collect();
    let seen = SeenApp { plan, settings: Some(settings), listeners };
    served(config, &config.health, &[(app.name.clone(), seen)].into())
}

#[test]
fn the_plan_and_the_sockets_count_before_the_file() {
    let config = config(
        "static = { \"/s/\" = \"static\", \"/m/\" = \"/srv/media\" }\n[probe]\npath = \"/\"\nhost = \"a.b\"",
    );
    let trusts = Some(vec!["10.0.0.9".to_owned()]);
    let settings = Settings { keepalive: 7.0, forwarded_allow_ips: trusts.clone(), ..defaults() };
    let served = seen(&config, settings, &["127.0.0.1:9999"]);
    assert_eq!((served.delay, served.health), (Duration::from_secs(35), vec![Address::Tcp(HEALTH_DEFAULT)]));
    let [app] = served.apps.as_slice() else { panic!("one app") };
    assert_eq!(
        (app.directory.as_path(), app.user.as_deref()),
        (Path::new("/srv/shop/current"), Some("shop"))
    );
    assert_eq!(app.listen, ["127.0.0.1:9999".parse().unwrap()]);
    assert_eq!((app.class, app.keepalive), (Some(WorkerClass::Sync), Some(Duration::from_secs(7))));
    assert_eq!((app.host.as_deref(), &app.trusts), (Some("a.b"), &trusts));
    let folders: Vec<_> = app.static_files.values().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(folders, ["/srv/media", "/srv/shop/current/static"]);
}

#[test]
fn a_static_folder_of_an_image_is_in_its_root_or_in_a_volume() {
    let config = config(
        "image = \"registry.example.com/shop\"\n\
         static = { \"/s/\" = \"/app/static\", \"/m/\" = \"/data/media/big\", \"/d/\" = \"/data/x\", \"/r/\" = \"extra\" }\n\
         volumes = { \"/data\" = \"/srv/data\", \"/data/media\" = \"/srv/media\" }",
    );
    let served = served(&config, &config.health, &BTreeMap::new());
    let folders = &served.apps[0].static_files;
    for (prefix, folder) in [
        ("/s/", "/srv/shop/current/rootfs/app/static"),
        ("/m/", "/srv/media/big"),
        ("/d/", "/srv/data/x"),
        ("/r/", "/srv/shop/current/extra"),
    ] {
        assert_eq!(folders[prefix], PathBuf::from(folder), "{prefix}");
    }
}

#[test]
fn what_ends_a_request_first_is_its_limit() {
    let limit = |class: &str, more: &str| {
        let settings = Settings { family: Some(class.to_owned()), gunicorn: "27.0.1".into(), ..defaults() };
        seen(&config(more), settings, &[]).apps[0].request_limit.map(|limit| limit.as_secs())
    };
    assert_eq!(limit("sync", ""), Some(30), "gunicorn's timeout ends a silent worker");
    assert_eq!(limit("sync", "[limits]\nrequest_timeout = 20"), Some(20));
    assert_eq!(limit("gthread", ""), None);
    assert_eq!(limit("gthread", "[limits]\nrequest_timeout = 20"), Some(20));
}

#[test]
fn without_a_look_at_the_app_its_file_says_what_it_can() {
    let config = config("[limits]\nrequest_timeout = 20");
    let served = served(&config, &config.health, &BTreeMap::new());
    let app = &served.apps[0];
    assert_eq!(app.listen, config.apps.values().next().unwrap().listen);
    assert_eq!((app.class, app.keepalive, &app.trusts), (None, None, &None));
    assert_eq!(app.request_limit, Some(Duration::from_secs(20)));
}
