//! What a change of each key causes, by its row.

use std::collections::BTreeSet;

use crate::config::tests::keys::{Read, bounds, keys, read};
use crate::config::{Change, Key, Shape};

use super::*;

/// The facts of a machine that has all that the app names.
fn facts_of(app: &AppConfig) -> Facts {
    let path = PathBuf::clone;
    let (user, group) = (app.user.as_deref().unwrap_or("root"), app.group.as_deref());
    let number = |name: &str| name.bytes().map(u32::from).sum();
    let account = Account { gid: group.map_or(7, number), ..account(user, number(user)) };
    Facts {
        paths: ReleasePaths {
            directory: path(&app.directory),
            python: path(app.python.as_ref().expect("the keys name one")),
            env_files: app.env_files.clone(),
            log_file: app.log_file.clone(),
            image: (app.image_writable || !app.volumes.is_empty()).then(ReleaseImage::default),
        },
        account: Some(account),
        env_files: app.env_files.iter().map(|file| (path(file), vec![("A".into(), "1".into())])).collect(),
        manage_py: true,
        ..facts(defaults())
    }
}

/// Another good value of a key than its example, if its bounds are none.
fn another(shape: &Shape, key: &Key) -> Option<&'static str> {
    Some(match (shape.title, key.name) {
        ("", "directory" | "python" | "log_file") => "\"/srv/other\"",
        ("", "app") => "\"other\"",
        ("", "listen") => "[\"127.0.0.1:8001\"]",
        ("", "user") => "\"other\"",
        ("", "preload" | "no_new_privileges" | "optional") | ("migrate", "marker" | "enabled") => "true",
        ("health", "saturation") => "\"fail\"",
        ("processes.name", "command") => "[\"true\"]",
        _ => return None,
    })
}

fn plan_of(app: &AppConfig) -> Plan {
    let mut app = app.clone();
    // The mode of Unix sockets is told of those that there are.
    app.listen.push("unix:/run/ostler/shop.sock".parse().unwrap());
    app.env.insert("DATABASE_URL".to_owned(), "sqlite:////srv/shop/db".to_owned());
    let prepared = planned(&app, &facts_of(&app)).0;
    Plan { apps: BTreeMap::from([(app.name.clone(), Ok(prepared))]), ..Plan::default() }
}

/// What a change from one of the files to the other causes.
fn change(old: &Read, new: &Read) -> Change {
    match (old, new) {
        (Read::App(old), Read::App(new)) => {
            let [change] = diff(&plan_of(old), &plan_of(new)).try_into().expect("one app");
            assert_eq!(change.effect == Effect::Nothing, change.keys.is_empty(), "{change:?}");
            match change.effect {
                Effect::Nothing => Change::Nothing,
                Effect::InPlace => Change::InPlace,
                Effect::Resize => Change::Resize,
                Effect::Rollout => Change::Rollout,
                other => panic!("{other}"),
            }
        }
        (Read::Machine(edge, health), Read::Machine(new_edge, new_health)) => {
            match (machine(edge) == machine(new_edge), needs_restart(health, new_health).len()) {
                (true, 0) => Change::Nothing,
                (false, 0) => Change::InPlace,
                _ => Change::Restart,
            }
        }
        _ => panic!("a key stands in one kind of file"),
    }
}

#[test]
fn a_change_of_each_key_causes_what_its_row_says() {
    for (shape, key) in keys() {
        let bounds = bounds(shape, key).map(|(within, _)| within.to_vec()).unwrap_or_default();
        let values =
            [key.example].into_iter().chain(another(shape, key)).chain(bounds.iter().map(String::as_str));
        let read = |value| read(shape, key.name, value).ok();
        let files: Vec<Read> = values.map(Some).chain([None]).filter_map(read).collect();
        let mut seen = BTreeSet::new();
        for (at, new) in files.iter().enumerate() {
            seen.extend(files[..at].iter().map(|old| format!("{:?}", change(old, new))));
        }
        let expected = [format!("{:?}", key.change)].into_iter().filter(|it| it != "Nothing");
        seen.remove("Nothing");
        assert_eq!(seen, expected.collect(), "[{}] {}", shape.title, key.name);
    }
}
