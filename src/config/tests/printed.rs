use super::*;

#[test]
fn a_mistyped_key_is_shown_with_the_one_that_was_meant() {
    same(
        &refused("worker = 4"),
        r"
error: unknown key `worker`
 --> /etc/ostler/apps.d/shop.toml:7:1
  |
7 | worker = 4
  | ^^^^^^
  = help: did you mean `workers`?

1 problem in 1 file
",
    );
}

#[test]
fn a_wrong_type_is_shown_with_a_good_value() {
    same(
        &refused_instead("python", "python = 3"),
        r#"
error: `python` is an integer
 --> /etc/ostler/apps.d/shop.toml:3:10
  |
3 | python = 3
  |          ^ must be a string in quotes
  = help: write for example python = "/srv/shop/venv/bin/python"

1 problem in 1 file
"#,
    );
}

#[test]
fn a_relative_path_is_refused_because_a_daemon_has_no_working_directory() {
    same(
        &refused_instead("directory", "directory = \"shop/current\""),
        r#"
error: `directory` is "shop/current"
 --> /etc/ostler/apps.d/shop.toml:2:13
  |
2 | directory = "shop/current"
  |             ^^^^^^^^^^^^^^ must be absolute: a daemon has no working directory
  = help: write the whole path, beginning with /

1 problem in 1 file
"#,
    );
    says(&refused_instead("python", "python = \"~/venv/bin/python\""), &["write the home directory out"]);
}

#[test]
fn root_workers_must_be_asked_for_in_so_many_words() {
    same(
        &refused_instead("user", ""),
        r#"
error: `user` is missing
 --> /etc/ostler/apps.d/shop.toml
  = rule: ostlerd runs as root, and only an explicit user = "root" makes root workers
  = help: name the user that the workers become, for example user = "shop"

1 problem in 1 file
"#,
    );
}

#[test]
fn no_worker_at_all_is_not_a_number_of_workers() {
    same(
        &refused("workers = 0"),
        r"
error: `workers` is 0
 --> /etc/ostler/apps.d/shop.toml:7:11
  |
7 | workers = 0
  |           ^ must be a whole number from 1 to 1000
  = help: to run no worker use `ostler stop NAME`, or take the app's file away

1 problem in 1 file
",
    );
}

#[test]
fn a_key_from_elsewhere_is_sent_home() {
    says(&refused("bind = \"x\""), &["unknown key `bind`", "the key is `listen`"]);
    says(&refused("threads = 4"), &["args = [\"--threads\", \"4\"]"]);
    says(&refused("max-memory = 4"), &["the key is `max_rss` for one worker"]);
    says(&refused("[limits]\nMemoryMax = \"1G\""), &["the key is `memory_max`, in [limits]"]);
    says(&refused("Workers = 4"), &["did you mean `workers`?"]);
    says(&refused("zzz = 4"), &["the keys here are directory, python, app"]);
}

#[test]
fn every_problem_is_shown_at_once() {
    let text = "app = \"shop/wsgi.py\"\nuser = \"shop\"\nlisten = [\"localhost:80\", 1]\n[limits]\nmax_rs = 5\nnofile = 1\n";
    let problems = parse(text).unwrap_err();
    let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "`directory` is missing",
            "`python` is missing",
            "`app` is \"shop/wsgi.py\"",
            "`listen` is \"localhost:80\"",
            "`listen` is \"1\"",
            "unknown key `max_rs` in [limits]",
            "`nofile` is 1"
        ]
    );
    says(&problems.to_string(), &["did you mean \"shop.wsgi:application\"?", "\n7 problems in 1 file\n"]);
    assert_eq!(
        problems.summary(),
        "/etc/ostler/apps.d/shop.toml: `directory` is missing (and 6 more problems)"
    );
}

#[test]
fn every_slip_of_syntax_is_shown_at_once() {
    same(
        &parse("directory = /srv/shop\nuser = \"shop\"\nuser = \"shop\"\n").unwrap_err().to_string(),
        r#"
error: not TOML: string values must be quoted, expected literal string
 --> /etc/ostler/apps.d/shop.toml:1:13
  |
1 | directory = /srv/shop
  |             ^^^^^^^^^
  = help: put the text in quotes: key = "text"

error: not TOML: duplicate key
 --> /etc/ostler/apps.d/shop.toml:3:1
  |
3 | user = "shop"
  | ^^^^
  = help: keep one of the two

2 problems in 1 file
"#,
    );
}

#[test]
fn an_address_that_cannot_be_is_shown_with_one_that_can() {
    let listen = |address: &str| refused_instead("listen", &format!("listen = {address:?}"));
    same(
        &listen(":8000"),
        r#"
error: `listen` is ":8000"
 --> /etc/ostler/apps.d/shop.toml:5:10
  |
5 | listen = ":8000"
  |          ^^^^^^^ an IP address with a port, unix:/absolute/path or systemd:NAME
  = help: write 127.0.0.1:8000 for this machine alone, 0.0.0.0:8000 for every IPv4 address of it

1 problem in 1 file
"#,
    );
    says(&listen("localhost:8000"), &["write 127.0.0.1:8000"]);
    says(&listen("*:8000"), &["write 127.0.0.1:8000 for this machine alone"]);
    says(&listen("8000"), &["write 127.0.0.1:8000 for this machine alone"]);
    says(&listen("shop.example.com:80"), &["names are not looked up"]);
    says(&listen("127.0.0.1"), &["add the port: 127.0.0.1:8000"]);
    says(&listen("::1"), &["add the port: [::1]:8000"]);
    says(&listen("::1:8000"), &["[::1]:8000"]);
    says(&listen("127.0.0.1:70000"), &["a port is a number from 1 to 65535"]);
    says(&listen("127.0.0.1:0"), &["port 0 is another port at every start"]);
    says(&listen("http://127.0.0.1:80/"), &["leave out the scheme: 127.0.0.1:80"]);
    says(&listen("fd://3"), &["systemd:NAME"]);
    says(&listen("/run/shop.sock"), &["did you mean unix:/run/shop.sock?"]);
    says(&listen("unix:shop.sock"), &["must be absolute", "unix:/run/ostler/shop.sock"]);
    says(&listen("unix:@shop"), &["abstract sockets"]);
    says(&listen("unix:/run/"), &["must name a file"]);
    says(&listen("unix:/run/a\nb.sock"), &["control characters"]);
    says(&listen("systemd:a:b"), &["FileDescriptorName="]);
    says(&listen(&format!("unix:/{}", "x".repeat(107))), &["at most 107 bytes, this one has 108"]);
    says(&refused_instead("listen", "listen = []"), &["`listen` is an empty list", "leave the key out"]);
    says(&refused_instead("listen", "listen = 8000"), &["`listen` is \"8000\"", "write 127.0.0.1:8000"]);
}

#[test]
fn an_entry_that_is_no_entry_is_shown_with_the_one_that_was_meant() {
    let entry = |entry: &str| refused_instead("app", &format!("app = {entry:?}"));
    says(&entry("shop/wsgi.py"), &["did you mean \"shop.wsgi:application\"?"]);
    says(&entry("shop/wsgi.py:app"), &["did you mean \"shop.wsgi:app\"?"]);
    says(&entry("shop.wsgi:application.x"), &["must be module:attribute"]);
    says(&entry("shop:create("), &["must be module:attribute", "did you mean \"shop:application\"?"]);
    says(&entry("--version"), &["shop:create_app()"]);
}

#[test]
fn a_long_line_is_shown_around_its_problem() {
    let many: Vec<String> = (1..=40).map(|n| format!("\"--option-{n}\"")).collect();
    let printed = refused(&format!("args = [{}, \"-D\", {}]", many.join(", "), many.join(", ")));
    let line = printed.lines().find(|line| line.starts_with("7 | ")).unwrap();
    let marks = printed.lines().find(|line| line.contains('^')).unwrap();
    let at = marks.chars().position(|c| c == '^').unwrap();
    assert_eq!(line.chars().skip(at).take(4).collect::<String>(), "\"-D\"");
    assert!(line.chars().count() < 130, "{line}");
}

#[test]
fn programs_get_the_same_as_json() {
    let problems = parse(&format!("{ENOUGH}workers = 0\n")).unwrap_err();
    assert_eq!(
        serde_json::to_value(&problems).unwrap(),
        serde_json::json!([{
            "file": SHOP, "line": 7, "column": 11,
            "message": "`workers` is 0",
            "rule": "must be a whole number from 1 to 1000",
            "help": "to run no worker use `ostler stop NAME`, or take the app's file away",
        }])
    );
}

#[test]
fn a_file_of_environment_never_shows_its_secrets() {
    let text = "SECRET=hunter2\nSECRET hunter2\nA='hunter2\nA=\"hunter2\" hunter2\nA B=hunter2\nLISTEN_FDS=hunter2\nA =hunter2\n";
    let printed = parse_env_file(text, Path::new("/etc/ostler/shop.env")).unwrap_err().to_string();
    assert!(!printed.contains("hunter2"), "{printed}");
    says(
        &printed,
        &[
            "error: a line without `=`\n --> /etc/ostler/shop.env:2:1\n",
            "write NAME=value",
            "error: a quote that is not closed on its line\n --> /etc/ostler/shop.env:3:1\n",
            "error: text after the closing quote",
            "error: what stands before the `=` is no name",
            "error: a name that systemd reserves",
            "error: a space before the `=`",
            "6 problems in 1 file",
        ],
    );
}

#[test]
fn what_ostlerd_cannot_run_is_known_before_anything_is_started() {
    let told = |app: AppConfig| crate::config::cannot_run(&app).unwrap_or_default();
    says(&told(accepted("args = [\"-k\", \"eventlet\"]")), &["the worker class \"eventlet\"", "use gevent"]);
    assert_eq!(told(accepted("args = [\"-k\", \"gthread\"]")), "");
    let with = |python: &str| AppConfig { python: Some(python.into()), ..accepted("") };
    says(&told(with("/v/bin/pulpcore-api")), &["for example /v/bin/python", "pulpcore.app.wsgi:application"]);
    says(&told(with("/v/bin/gunicorn")), &["for example /v/bin/python", "`args`"]);
}
