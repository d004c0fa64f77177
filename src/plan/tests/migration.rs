//! What is run before a rollout.

use std::sync::Arc;
use std::time::Duration;

use super::*;

fn decided(more: &str, manage_py: bool) -> (Option<Arc<Migrate>>, Vec<String>) {
    let (plan, notes) = planned(&listening(more), &Facts { manage_py, ..facts(defaults()) });
    (plan.migrate, notes)
}

fn some(more: &str) -> Arc<Migrate> {
    decided(more, true).0.unwrap()
}

#[test]
fn a_django_project_migrates_unless_it_says_otherwise() {
    let django = some("");
    assert_eq!(django.command, MigrateCommand::Django);
    assert_eq!(django.databases, [Database::Alias("default".into())]);
    assert_eq!(django.budgets, Budgets::default());
    assert!(decided("[migrate]\nenabled = false\ntries = 5", true).0.is_none());
    assert_eq!(some("[migrate]\ndatabase = [\"a\", \"b\"]").databases.len(), 2);
}

/// Without a manage.py, in an interpreter that says this of Django.
fn found(more: &str, settings: Option<&str>, loads: bool) -> AppPlan {
    let django = DjangoFound { settings: settings.map(str::to_owned), loads };
    let settings = Settings { django: Some(django), ..defaults() };
    planned(&listening(more), &facts(settings)).0
}

#[test]
fn what_is_no_django_project_migrates_only_if_it_says_so() {
    assert_eq!(decided("", false), (None, vec![]));
    assert_eq!(decided("[migrate]\nenabled = false\nharm = 9", false), (None, vec![]));
    assert!(decided("[migrate]\nenabled = true", false).0.is_some());
    assert!(decided("[migrate]\ncommand = [\"alembic\"]", false).0.is_some());
    let (none, notes) = decided("[migrate]\nharm = 9", false);
    assert!(none.is_none());
    says(
        &notes[0],
        &[
            "shop: [migrate] has no effect",
            "/srv/shop/releases/42 has no manage.py",
            "no Django",
            "enabled = true",
        ],
    );
}

#[test]
fn without_a_manage_py_it_is_the_app_that_says_whether_it_is_djangos() {
    let app = |certain, settings: Option<&str>| {
        Some(MigrateCommand::DjangoApp { certain, settings: settings.map(str::to_owned) })
    };
    let command = |plan: AppPlan| plan.migrate.map(|it| it.command.clone());
    assert_eq!(command(found("", Some("shop.settings"), true)), app(false, Some("shop.settings")));
    assert_eq!(command(found("", None, true)), app(false, None));
    assert_eq!(command(found("", None, false)), None, "it is only installed");
    assert_eq!(command(found("[migrate]\nenabled = true", None, false)), app(true, None));
    assert_eq!(command(found("[migrate]\nenabled = false", Some("shop.settings"), true)), None);
    let long = "x".repeat(10_000);
    let Some(MigrateCommand::DjangoApp { settings: Some(kept), .. }) = command(found("", Some(&long), true))
    else {
        panic!("it is Django's")
    };
    assert!(kept.len() < 300, "{}", kept.len());
}

#[test]
fn which_migrations_run_is_said_or_why_none() {
    let of = |plan: AppPlan| plan.migrations();
    let with =
        |more: &str, manage_py| of(planned(&listening(more), &Facts { manage_py, ..facts(defaults()) }).0);
    assert_eq!(with("", true), "Django's migrate, database default");
    assert_eq!(with("[migrate]\ndatabase = [\"a\", \"b\"]", true), "Django's migrate, databases a, b");
    assert_eq!(with("[migrate]\ncommand = [\"alembic\", \"upgrade\"]", false), "`alembic upgrade`");
    assert_eq!(with("[migrate]\nenabled = false", true), "off ([migrate] enabled = false)");
    says(&with("", false), &["none: the app's interpreter has no Django"]);
    says(&of(found("", None, false)), &["none: django is installed, but nothing in the app's files says"]);
    says(
        &of(found("", Some("shop.settings"), true)),
        &["Django's migrate with settings shop.settings, database default, if the app sets Django up"],
    );
    let certain = of(found("[migrate]\nenabled = true", Some("shop.settings"), true));
    assert_eq!(certain, "Django's migrate with settings shop.settings, database default");
}

#[test]
fn another_tool_has_a_database_only_where_it_is_named() {
    let alembic = "env = { A = \"mariadb://u:geheim@h/db\" }\n[migrate]\ncommand = [\"alembic\", \"x\"]\n";
    assert_eq!(some(alembic).command, MigrateCommand::Other(vec!["alembic".into(), "x".into()]));
    assert_eq!(some(alembic).databases, []);
    for (text, url) in [
        ("postgres://h/db", "postgres://h/db"),
        ("postgresql+psycopg2://h/db", "postgresql+psycopg2://h/db"),
        ("env:A", "mariadb://u:geheim@h/db"),
    ] {
        let migrate = some(&format!("{alembic}database_url = {text:?}"));
        assert_eq!(migrate.databases, [Database::Url(url.into())]);
        assert!(!format!("{migrate:?}").contains("//"), "{migrate:?}");
    }
}

#[test]
fn a_url_that_is_not_in_the_environment_is_refused_without_being_told() {
    let with = |env: &str, name: &str| {
        format!("env = {{ {env} }}\n[migrate]\ncommand = [\"x\"]\ndatabase_url = \"env:{name}\"")
    };
    let refused = |text: &str| reason(&listening(text), &facts(defaults()));
    says(
        &refused(&with("A = \"x\"", "B")),
        &["shop: `database_url` of", "names B", "not set", "`env_files`"],
    );
    says(&refused(&with("A = \"\"", "A")), &["names A", "not set"]);
    let words = refused(&with("A = \"oracle://u:geheim@h\"", "A"));
    says(&words, &["names A", "no URL that ostlerd knows", "postgresql://"]);
    assert!(!words.contains("geheim"));
}

#[test]
fn who_lets_one_take_longer_lets_all_take_as_long() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let totals = |more: &str| some(more).budgets.timeout_total;
    assert_eq!(totals("[migrate]\ntimeout = \"10m\""), minutes(15));
    assert_eq!(totals("[migrate]\ntimeout = \"1h\""), minutes(60));
    assert_eq!(totals("[migrate.override.\"shop.0007\"]\ntimeout = \"2h\""), minutes(120));
    let migrate = some("[migrate.override.\"shop.0007\"]\ntimeout = \"2h\"");
    assert_eq!(migrate.budgets_of("shop.0007").timeout, minutes(120));
    assert_eq!(migrate.budgets_of("shop.0008").timeout, minutes(5));
}
