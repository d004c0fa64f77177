use super::*;

fn env_of(app: &AppConfig, files: &[EnvFile]) -> Result<BTreeMap<String, String>, Refusal> {
    environment(app, &facts(defaults()).paths, &account("shop", 1001), files)
}

fn file(pairs: &[(&str, &str)]) -> EnvFile {
    (PathBuf::from("/etc/ostler/shop.env"), map(pairs).into_iter().collect())
}

#[test]
fn the_environment_is_made_from_nothing() {
    let expected = map(&[
        ("PATH", "/srv/shop/releases/42/venv/bin:/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/home/shop"),
        ("USER", "shop"),
        ("LOGNAME", "shop"),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
    ]);
    assert_eq!(env_of(&listening(""), &[]), Ok(expected.clone()));
    assert_eq!(planned(&listening(""), &facts(defaults())).0.blueprint.env, expected);
}

#[test]
fn the_later_word_wins() {
    let app = listening("env = { A = \"toml\", LANG = \"de_DE.UTF-8\" }");
    let files = [file(&[("A", "1"), ("B", "1"), ("C", "1")]), file(&[("A", "2"), ("B", "2")])];
    let env = env_of(&app, &files).unwrap();
    assert_eq!([&env["A"], &env["B"], &env["C"], &env["LANG"]], ["toml", "2", "1", "de_DE.UTF-8"]);
}

#[test]
fn the_system_s_own_interpreter_adds_nothing_to_the_path() {
    let paths = ReleasePaths { python: "/usr/bin/python3".into(), ..facts(defaults()).paths };
    let env = environment(&listening(""), &paths, &account("shop", 1), &[]).unwrap();
    assert_eq!(env["PATH"], "/usr/local/bin:/usr/bin:/bin");
}

#[test]
fn an_ostlerd_that_is_not_root_gives_its_own_home() {
    let facts = Facts { account: None, own: account("dev", 1000), ..facts(defaults()) };
    let (plan, _) = planned(&listening(""), &facts);
    assert_eq!((plan.blueprint.account.clone(), plan.blueprint.env["HOME"].as_str()), (None, "/home/dev"));
}

#[test]
fn what_the_kernel_would_not_take_is_refused_by_name_and_without_its_value() {
    let long = "s3cret".repeat(30_000);
    let reason = env_of(&listening(""), &[file(&[("TOKEN", &long)])]).unwrap_err().reason;
    says(&reason, &["shop: the environment variable TOKEN is 180007 bytes long; the kernel takes 131072"]);
    assert!(!reason.contains("s3cret"));

    let many: Vec<(String, String)> = (0..20).map(|n| (format!("V{n}"), "x".repeat(100_000))).collect();
    let reason = env_of(&listening(""), &[(PathBuf::from("/x"), many)]).unwrap_err().reason;
    says(&reason, &["the environment is 2000", "bytes long in all; 1048576 is the most"]);

    let reason = env_of(&listening(""), &[file(&[("NOTIFY_SOCKET", "x")])]).unwrap_err().reason;
    says(&reason, &["\"NOTIFY_SOCKET\" is reserved", "leave it out"]);
}
