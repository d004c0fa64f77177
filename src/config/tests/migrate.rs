//! `[migrate]` of an app.

use std::time::Duration;

use super::*;

fn good(text: &str) -> MigrateConfig {
    accepted(text).migrate
}

#[test]
fn a_file_without_it_leaves_every_default() {
    assert_eq!(good(""), MigrateConfig::default());
    assert_eq!(good("[migrate]"), MigrateConfig::default());
}

#[test]
fn every_key_means_what_it_says() {
    let seconds = Duration::from_secs;
    let config = good(
        r#"
        [migrate]
        enabled = true
        database = ["default", "reports"]
        lock_timeout = "500ms"
        tries = 3
        lock_wait = "90s"
        harm = "1s"
        timeout = "10m"
        timeout_total = "1h"
        stall = "5m"
        post_deploy = [["python", "manage.py", "clearcache"], ["true"]]
        [migrate.override."shop.0007_price"]
        lock_timeout = "5s"
        lock_wait = "5m"
        harm = "10s"
        timeout = "30m"
        stall = "10m"
        [migrate.override.0008_index]
        timeout = "1h"
        "#,
    );
    let budgets = config.budgets;
    assert_eq!((config.enabled, budgets.tries), (Some(true), 3));
    assert_eq!(config.database, ["default", "reports"]);
    assert_eq!(budgets.lock_timeout, Some(Duration::from_millis(500)));
    assert_eq!((budgets.lock_wait, budgets.harm), (seconds(90), seconds(1)));
    assert_eq!(
        (budgets.timeout, budgets.timeout_total, budgets.stall),
        (seconds(600), seconds(3600), seconds(300))
    );
    assert_eq!(config.post_deploy, [vec!["python", "manage.py", "clearcache"], vec!["true"]]);
    let price = config.overrides["shop.0007_price"];
    let [five, ten] = [5, 10].map(|number| Some(seconds(number)));
    assert_eq!((price.lock_timeout, price.lock_wait, price.harm), (five, Some(seconds(300)), ten));
    assert_eq!((price.timeout, price.stall), (Some(seconds(1800)), Some(seconds(600))));
    assert_eq!(
        config.overrides["0008_index"],
        Override { timeout: Some(seconds(3600)), ..Default::default() }
    );
    assert_eq!(good("[migrate]\ndatabase = \"reports\"").database, ["reports"]);
}

#[test]
fn another_tool_may_name_its_database() {
    let alembic = "[migrate]\ncommand = [\"alembic\", \"upgrade\", \"head\"]\n";
    let url = |text: &str| good(&format!("{alembic}database_url = {text:?}")).database_url.unwrap();
    assert_eq!(good(alembic).command.unwrap(), ["alembic", "upgrade", "head"]);
    assert_eq!(url("env:DATABASE_URL"), DatabaseUrl::Env("DATABASE_URL".into()));
    for text in [
        "postgresql://u:p@h/db",
        "postgres:///db",
        "postgresql+psycopg2://h/db",
        "mysql://h/db",
        "sqlite:////db",
    ] {
        assert_eq!(url(text), DatabaseUrl::Text(text.into()));
        assert!(!format!("{:?}", url(text)).contains("db"));
    }
}

#[test]
fn what_is_unusual_and_good_is_accepted() {
    for more in [
        "harm = 0.5",
        "timeout = \"20m\"\ntimeout_total = \"20m\"",
        "post_deploy = []",
        "enabled = false\nlock_timeout = \"5s\"\ndatabase = \"other\"\ntries = 2",
        "command = [\"python\", \"manage.py\", \"migrate\", \"--fake-initial\"]",
        "command = [\"python\", \"netbox/manage.py\", \"migrate\", \"--noinput\"]",
        "command = [\"flask\", \"db\", \"upgrade\", \"\"]",
    ] {
        accepted(&format!("[migrate]\n{more}"));
    }
}

/// A bad line of `[migrate]`, and what is printed for it.
const BAD: &[(&str, &str)] = &[
    ("lock_timeout = \"9ms\"", "`lock_timeout` is \"9ms\"|from 10ms to 1h"),
    ("tries = \"10\"", "`tries` is a string|leave out the quotes"),
    ("timeout = \"8d\"", "`timeout` is \"8d\"|from 1s to 7d"),
    ("timeout = \"soon\"", "`timeout` is \"soon\"|\"1h30m\""),
    ("timeout_total = false", "`timeout_total` is a boolean"),
    ("enabled = \"yes\"", "`enabled` is a string|must be true or false, without quotes"),
    ("database = []", "`database` is an empty list|enabled = false"),
    ("database = [\"a\", \"a\"]", "`database` has \"a\" twice"),
    ("database = \"postgresql://u:geheim@h/db\"", "`database` is a URL|write database_url"),
    ("database = \"a b\"", "`database` is \"a b\"|Django's DATABASES"),
    ("database = 5", "`database` is an integer|must be a string in quotes"),
    (
        "command = \"alembic upgrade head\"",
        "`command` is a string|one by one|write command = [\"alembic\", \"upgrade\", \"head\"]",
    ),
    ("command = []", "`command` is an empty list|1 to 256"),
    ("command = [\"\"]", "`command` is empty"),
    ("command = [\"a\", 1]", "`command` is an integer"),
    ("command = 1", "`command` is an integer|must be a list"),
    ("command = [\"python\", \"manage.py\", \"migrate\"]", "is Django's own migrate|leave `command` out"),
    ("command = [\"./manage.py\", \"migrate\"]", "is Django's own migrate|leave `command` out"),
    ("command = [\"/v/bin/django-admin\", \"migrate\"]", "is Django's own migrate|leave `command` out"),
    ("command = [\"/v/bin/python3\", \"manage.py\", \"migrate\", \"--noinput\"]", "leave `command` out"),
    (
        "database_url = \"oracle://u:geheim@h/db\"",
        "`database_url` is no URL that ostlerd knows|watched alone",
    ),
    ("database_url = \"u:geheim@h/db\"", "`database_url` is no URL that ostlerd knows"),
    ("database_url = \"postgresql://u:geheim @h/db\"", "`database_url` is no URL|%20"),
    ("database_url = \"env:A B\"", "`database_url` names the variable \"A B\"|environment variable"),
    ("database_url = 5", "`database_url` is an integer"),
    ("post_deploy = \"python x\"", "`post_deploy` is a string|a list of commands"),
    (
        "post_deploy = [\"python\", \"x\"]",
        "`post_deploy` is one command|write post_deploy = [[\"python\", \"x\"]]",
    ),
    ("post_deploy = [[\"a\"], \"b c\"]", "`post_deploy` is a string|write post_deploy = [[\"b\", \"c\"]]"),
    ("post_deploy = [[]]", "`post_deploy` is an empty list"),
    ("post_deploy = [[\"a\", true]]", "`post_deploy` is a boolean"),
    ("override = 5", "`override` is an integer|must be a table"),
    ("override = { \"shop.0007\" = 5 }", "`override.shop.0007` is an integer|must be a table"),
    ("override = { \"a b\" = {} }", "`override.a b` is no name of a migration"),
    ("override = { x = { tries = 5 } }", "`tries` belongs under [migrate], not under [migrate.override]"),
    ("override = { x = { timeout = 0 } }", "`timeout` is 0|from 1s to 7d"),
    (
        "[migrate.override.shop.0007_price]\ntimeout = \"1h\"",
        "`override.shop` is split at its dot|quote the name: [migrate.override.\"shop.0007_price\"]",
    ),
    ("retries = 5", "unknown key `retries` in [migrate]|did you mean `tries`?"),
    ("lock-timeout = 5", "did you mean `lock_timeout`?"),
    ("overrides = {}", "[migrate.override.\"shop.0007_price\"]"),
    ("boot_timeout = 5", "`boot_timeout` belongs under [rollout]"),
    ("user = \"shop\"", "`user` belongs above the first [section], not under [migrate]"),
    // Good by themselves.
    ("command = [\"x\"]\ndatabase = \"default\"", "`database` makes no sense beside `command`|database_url"),
    ("command = [\"x\"]\n[migrate.override.a]", "`override` makes no sense beside `command`"),
    ("database_url = \"env:X\"", "`database_url` makes no sense without `command`|`database`"),
    (
        "timeout = \"20m\"\ntimeout_total = \"19m\"",
        "`timeout_total` is shorter than a `timeout` of 20m|leave it out",
    ),
    (
        "timeout_total = \"19m\"\n[migrate.override.a]\ntimeout = \"20m\"",
        "`timeout_total` is shorter than a `timeout` of 20m",
    ),
];

#[test]
fn whatever_is_bad_is_one_problem_with_rule_and_remedy() {
    for (more, expected) in BAD {
        let printed = refused(&format!("[migrate]\n{more}"));
        says(&printed, &expected.split('|').collect::<Vec<_>>());
        says(&printed, &[" = help: "]);
    }
    says(&refused("migrate = true"), &["`migrate` is a boolean", "must be a table"]);
    says(&refused("post_deploy = []"), &["`post_deploy` belongs under [migrate]"]);
    says(&refused("[migration]"), &["the section is [migrate]"]);
}

#[test]
fn what_may_be_a_password_is_never_printed() {
    for more in [
        "[migrate]\ndatabase_url = \"oracle://shop:geheim@db/shop\"",
        "[migrate]\ndatabase_url = \"shop:geheim@db/shop\"",
        "[migrate]\ndatabase_url = 'shop:geheim@db/shop'",
        "migrate = { database_url = \"postgresql://shop:geheim@db/shop\", tries = 0 }",
        "migrate = { command = [\"x\"], database_url = \"geheim\" }",
        "[migrate]\ndatabase = \"postgresql:///shop?password=geheim\"",
        "[migrate]\ncommand = [\"x\"]\ndatabase_url = \"\"\"\npostgresql://shop:geheim@db/shop\"\"\"\ntries = 0",
        "env = { DATABASE_URL = \"postgresql://shop:geheim@db/shop\", A = 1 }",
        "[migrate]\ndatabase_url = \"postgresql://shop:geheim@db/shop",
        "[migrate]\ndatabase_url = postgresql://shop:geheim@db/shop",
    ] {
        let printed = parse(&format!("{ENOUGH}{more}")).unwrap_err();
        assert!(!printed.to_string().contains("geheim"), "{printed}");
        assert!(!serde_json::to_string(&printed).unwrap().contains("geheim"), "{printed}");
    }
    same(
        &refused("migrate = { command = [\"x\"], database_url = \"postgresql://u:p@h/d\", tries = 0 }"),
        r#"
error: `tries` is 0
 --> /etc/ostler/apps.d/shop.toml:7:77
  |
7 | migrate = { command = ["x"], database_url = "********************", tries = 0 }
  |                                                                             ^
  = rule: must be a whole number from 1 to 100
  = help: write for example tries = 10

1 problem in 1 file
"#,
    );
}
