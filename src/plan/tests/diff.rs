//! What a change of each kind causes, and how it is told.

use super::*;

fn plan(app: &AppConfig, facts: &Facts) -> Plan {
    Plan { apps: BTreeMap::from([(app.name.clone(), Ok(planned(app, facts).0))]), ..Plan::default() }
}

#[track_caller]
fn change(before: &str, after: &str) -> AppChange {
    let facts = facts(defaults());
    let changes = diff(&plan(&listening(before), &facts), &plan(&listening(after), &facts));
    let [change] = changes.try_into().expect("one app");
    change
}

fn names(change: &AppChange) -> Vec<&str> {
    change.keys.iter().map(|key| key.key.as_str()).collect()
}

#[test]
fn a_change_is_told_by_its_key() {
    for (text, key) in [
        ("workers = 7", "workers"),
        ("workers = { min = 2, max = 7 }", "workers"),
        ("backlog = 7", "backlog of 127.0.0.1:8000"),
        ("socket_mode = 0o600", "socket_mode of unix:/run/ostler/shop.sock"),
        ("env = { WORD = \"1\" }", "env.WORD"),
        ("[probe]\npath = \"/healthz\"", "probe.path"),
        ("[limits]\nnofile = 512", "limits.nofile"),
        ("[limits]\nmemory_max = \"900MiB\"", "limits.memory_max"),
        ("[limits]\nmax_age = \"9h\"", "limits.max_age"),
        ("[rollout]\nmax_surge = 3", "rollout.max_surge"),
    ] {
        let change = change("", text);
        assert!(names(&change).contains(&key), "{text}: {change:?}");
    }
}

#[test]
fn what_is_written_otherwise_and_means_the_same_changes_nothing() {
    assert_eq!(change("workers = 4", "workers = 4").effect, Effect::Nothing);
    let range = "workers = { min = 2, max = 7 }";
    assert_eq!(change(range, range).effect, Effect::Nothing);
    assert_eq!(change(range, "workers = { min = 2, max = 8 }").effect, Effect::Resize);
    assert_eq!(change(range, "workers = { min = 2, max = 7, idle = \"1m\" }").effect, Effect::InPlace);
}

/// The change of a Django project's migrations, as keys with both values.
#[track_caller]
fn told(before: &str, after: &str) -> (Effect, Vec<String>) {
    let facts = Facts { manage_py: true, ..facts(defaults()) };
    let text =
        |text: &str| listening(&format!("env = {{ URL = \"mysql://u:geheim@h/{}\" }}\n{text}", text.len()));
    let same = |app: &AppConfig| {
        let mut app = planned(app, &facts).0;
        let mut blueprint = (*app.blueprint).clone();
        blueprint.env.clear();
        app.blueprint = std::sync::Arc::new(blueprint);
        Plan { apps: BTreeMap::from([("shop".parse().unwrap(), Ok(app))]), ..Plan::default() }
    };
    let changes = diff(&same(&text(before)), &same(&text(after)));
    assert!(!format!("{changes:?}").contains("geheim"));
    let shown = |value: &Option<String>| value.clone().unwrap_or("-".into());
    let keys =
        changes[0].keys.iter().map(|it| format!("{}: {} -> {}", it.key, shown(&it.old), shown(&it.new)));
    (changes[0].effect, keys.collect())
}

#[test]
fn a_change_of_migrations_is_in_place_and_told_without_secrets() {
    let alembic = "[migrate]\ncommand = [\"alembic\", \"upgrade\"]\n";
    let with = |url: &str| format!("{alembic}database_url = \"{url}\"");
    for (before, after, key) in [
        ("", "[migrate]\ntimeout = \"10m\"", "migrate.timeout: 5m -> 10m"),
        ("", "[migrate]\nlock_timeout = 2", "migrate.lock_timeout: - -> 2s"),
        ("", "[migrate]\ntries = 2", "migrate.tries: 10 -> 2"),
        ("", "[migrate]\nlock_wait = 2", "migrate.lock_wait: 1m -> 2s"),
        ("", "[migrate]\nharm = 2", "migrate.harm: 3s -> 2s"),
        ("", "[migrate]\ntimeout_total = \"1h\"", "migrate.timeout_total: 15m -> 1h"),
        ("", "[migrate]\nstall = 9", "migrate.stall: 2m -> 9s"),
        ("", "[migrate]\ndatabase = [\"a\", \"b\"]", "migrate.database: default -> a, b"),
        ("", "[migrate]\npost_deploy = [[\"a\", \"b\"]]", "migrate.post_deploy 1: - -> a b"),
        (
            "[migrate.override.\"shop.0007\"]\nharm = 9",
            "[migrate.override.\"shop.0007\"]\nharm = 8",
            "migrate.override.\"shop.0007\".harm: 9s -> 8s",
        ),
        (alembic, &with("postgresql://u:geheim@h/a"), "migrate.database_url: - -> (hidden)"),
        (
            &with("postgresql://u:geheim@h/a"),
            &with("postgresql://u:geheim@h/b"),
            "migrate.database_url: (hidden) -> (hidden)",
        ),
        (&with("env:URL"), &with("mysql://u:geheim@h/b"), "migrate.database_url: (hidden) -> (hidden)"),
    ] {
        assert_eq!(told(before, after), (Effect::InPlace, vec![key.to_owned()]), "{before} {after}");
    }
    let (effect, keys) = told("", alembic);
    assert_eq!(effect, Effect::InPlace);
    assert!(keys.contains(&"migrate.command: Django's migrate -> alembic upgrade".to_owned()), "{keys:?}");
    let (effect, keys) = told("", "[migrate]\nenabled = false");
    assert_eq!((effect, keys.iter().all(|key| key.ends_with(" -> -"))), (Effect::InPlace, true), "{keys:?}");
}

#[test]
fn a_rollout_says_whether_migrations_run_first() {
    let facts = Facts { manage_py: true, ..facts(defaults()) };
    let migrates = |before: &str, after: &str| {
        diff(&plan(&listening(before), &facts), &plan(&listening(after), &facts))[0].migrates
    };
    assert!(migrates("", "umask = 0o077"));
    assert!(!migrates("", "umask = 0o077\n[migrate]\nenabled = false"));
    assert!(diff(&Plan::default(), &plan(&listening(""), &facts))[0].migrates, "a new app begins with them");
    assert!(!diff(&plan(&listening(""), &facts), &Plan::default())[0].migrates);
    assert!(!migrates("", "workers = 9"));
    assert!(!migrates("", "[migrate]\ntries = 9"));
}

#[test]
fn of_the_environment_names_are_told_and_no_values() {
    let change = change("env = { A = \"secret\", B = \"same\" }", "env = { A = \"hidden?\", B = \"same\" }");
    assert_eq!(names(&change), ["env.A"]);
    assert!(!format!("{change:?}").contains("secret"));
    assert_eq!(change.keys[0].old.as_deref(), Some("(hidden)"));
}

#[test]
fn apps_come_and_go() {
    let facts = facts(defaults());
    let one = plan(&listening(""), &facts);
    let effects = |old: &Plan, new: &Plan| diff(old, new).iter().map(|it| it.effect).collect::<Vec<_>>();
    assert_eq!(effects(&Plan::default(), &one), [Effect::Add]);
    assert_eq!(effects(&one, &Plan::default()), [Effect::Remove]);
    assert_eq!(effects(&one, &one), [Effect::Nothing]);
}

#[test]
fn whatever_differs_is_told_by_name() {
    // What causes something has keys to show for it: a home directory alone is the one exception, in the environment.
    let facts = facts(defaults());
    let old = planned(&listening(""), &facts).0;
    let mut other = facts.clone();
    other.release = Fingerprint { files: 9, newest: 9_000_000_000 };
    let new = planned(&listening(""), &other).0;
    assert_eq!(effect(&old, &new), Effect::Rollout);
    let changes = diff(&plan(&listening(""), &facts), &plan(&listening(""), &other));
    assert_eq!(names(&changes[0]), ["release"]);
}
