//! gunicorn's command line, and what it is wrapped in.

use super::{Overrides, Place, as_shop, has, keys, line, text};

#[test]
fn what_ostler_has_keys_for_leaves_the_arguments() {
    let text = text(line(
        "/v/bin/gunicorn -w4 -b :8000 --bind=unix:shop.sock -u www -g=web -m 022 -e A=b --env C=d=e --chdir /srv/blog \
         --timeout 60 -n shop --proxy-protocol --keep-alive 5 --access-logformat '%(h)s \"%(r)s\"' -DR shop.wsgi",
    ));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/blog\"",
            "python = \"/v/bin/python\"",
            "app = \"shop.wsgi\"",
            "listen = [\"0.0.0.0:8000\", \"unix:/srv/shop/shop.sock\"]",
            "user = \"shop\"",
            "group = \"web\"",
            "workers = 4",
            "args = [\"--timeout\", \"60\", \"-n\", \"shop\", \"--proxy-protocol\", \"--keep-alive\", \"5\", \
             \"--access-logformat\", \"%(h)s \\\"%(r)s\\\"\"]",
            "umask = 0o022",
            "[env]",
            "A = \"b\"",
            "C = \"d=e\"",
        ]
    );
    has(&text, &["--daemon:", "--enable-stdio-inheritance:"]);
}

#[test]
fn an_options_beginning_is_enough_as_for_gunicorn() {
    has(
        &text(line("gunicorn --worker-cl gthread --thr 2 shop.wsgi")),
        &["[\"-k\", \"gthread\", \"--threads\", \"2\"]"],
    );
}

#[test]
fn every_wrapper_comes_off_or_is_named() {
    for (command, parts) in [
        ("exec gunicorn shop.wsgi", &["app = \"shop.wsgi\""] as &[&str]),
        ("python -m gunicorn shop.wsgi", &["python = \"/srv/shop/venv/bin/python\""]),
        ("/v/bin/python3.11 -u -m gunicorn shop.wsgi", &["python = \"/v/bin/python3.11\""]),
        ("venv/bin/gunicorn shop.wsgi", &["python = \"/srv/shop/venv/bin/python\""]),
        ("python venv/bin/gunicorn shop.wsgi", &["app = \"shop.wsgi\""]),
        ("poetry run gunicorn shop.wsgi", &["python = \"/srv/shop/venv/bin/python\""]),
        ("pipenv run -- gunicorn shop.wsgi", &["app = \"shop.wsgi\""]),
        ("env A=b DJANGO_X=1 gunicorn shop.wsgi", &["A = \"b\"", "DJANGO_X = \"1\""]),
        ("A=b gunicorn shop.wsgi", &["A = \"b\""]),
        ("sh -c 'cd /srv/blog && exec /v/bin/gunicorn shop.wsgi'", &["directory = \"/srv/blog\""]),
        ("bash -lc \"exec gunicorn shop.wsgi -w 2\"", &["workers = 2"]),
        (
            "newrelic-admin run-program gunicorn shop.wsgi",
            &["# - newrelic-admin:", "newrelic.agent.initialize"],
        ),
        ("ddtrace-run gunicorn shop.wsgi", &["# - ddtrace-run:"]),
        ("dotenv -f .env run gunicorn shop.wsgi", &["# - dotenv:", "env_files"]),
        ("nice -n 5 gunicorn shop.wsgi", &["# - nice -n 5:"]),
        ("./wait-for-it.sh db:5432 -- gunicorn shop.wsgi", &["# - ./wait-for-it.sh db:5432 --:"]),
        (
            "python manage.py migrate && gunicorn shop.wsgi",
            &[
                "To do",
                "python manage.py migrate: ostlerd runs Django's migrations itself, before each rollout, if",
            ],
        ),
        ("python manage.py collectstatic; gunicorn shop.wsgi", &["To do", "python manage.py collectstatic:"]),
        ("gunicorn shop.wsgi >> /var/log/shop.log 2>&1", &["log_file = \"/var/log/shop.log\""]),
        ("gunicorn shop.wsgi | tee x.log", &["# - tee x.log:"]),
        ("source venv/bin/activate; gunicorn shop.wsgi", &["python = \"/srv/shop/venv/bin/python\""]),
        ("newrelic-admin run-program poetry run python -m gunicorn shop.wsgi", &["app = \"shop.wsgi\""]),
    ] {
        let text = text(line(command));
        assert_eq!(text.matches("app = \"shop.wsgi\"").count(), 1, "{command}\n{text}");
        has(&text, parts);
    }
}

#[test]
fn whoever_is_become_is_the_user() {
    for command in [
        "sudo -u shop -E gunicorn shop.wsgi",
        "gosu shop:www gunicorn shop.wsgi",
        "su - shop -c 'gunicorn shop.wsgi'",
        "su shop -s /bin/sh -c 'gunicorn shop.wsgi'",
        "runuser -u shop -- gunicorn shop.wsgi",
        "setuidgid shop gunicorn shop.wsgi",
    ] {
        let unit = format!("[Service]\nWorkingDirectory=/srv\nExecStart=/bin/sh -c \"{command}\"\n");
        let given = Overrides { python: Some("/v/bin/python".to_owned()), ..Overrides::default() };
        let text = text(Place::default().import("/etc/systemd/system/shop.service", &unit, &given));
        assert!(text.contains("user = \"shop\""), "{command}\n{text}");
    }
}

#[test]
fn a_variable_is_asked_for_unless_its_default_or_value_is_known() {
    let error = line("gunicorn shop.wsgi -b 0.0.0.0:$PORT -w $(nproc)").unwrap_err().to_string();
    has(&error, &["0.0.0.0:$PORT", "--set PORT=VALUE", "--set '(nproc)=VALUE'"]);
    has(&text(line("gunicorn shop.wsgi -b 0.0.0.0:${PORT:-8001}")), &["listen = \"0.0.0.0:8001\""]);
    has(&text(line("PORT=8002; gunicorn shop.wsgi -b 0.0.0.0:\"$PORT\"")), &["listen = \"0.0.0.0:8002\""]);
    let set = [("PORT", "8003"), ("(nproc)", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let given = Overrides { set: set.into(), python: Some("/v/bin/python".to_owned()), ..as_shop() };
    let procfile = "web: gunicorn shop.wsgi -b 0.0.0.0:$PORT -w `nproc`";
    let text = text(Place::default().import("/srv/shop/Procfile", procfile, &given));
    has(&text, &["listen = \"0.0.0.0:8003\"", "workers = 2"]);
}

#[test]
fn prefixes_of_systemds_are_no_part_of_the_program() {
    for (exec, part) in [
        ("-/v/bin/gunicorn shop.wsgi", "app = \"shop.wsgi\""),
        ("@/v/bin/gunicorn green-unicorn shop.wsgi", "app = \"shop.wsgi\""),
        ("+/v/bin/gunicorn shop.wsgi", "# - ExecStart=+:"),
        ("-!!/v/bin/gunicorn shop.wsgi", "# - ExecStart=!:"),
        (":/v/bin/gunicorn shop.wsgi -n $NAME", "\"$NAME\""),
        ("/v/bin/gunicorn shop.wsgi -n a\\x20b$$c", "\"a b$c\""),
        ("/v/bin/gunicorn shop.wsgi -n 'it\\'s %%'", "\"it's %\""),
        ("/v/bin/gunicorn shop.wsgi $OPTIONS", "workers = 2"),
    ] {
        let unit = format!(
            "[Service]\nUser=x\nWorkingDirectory=/srv\nEnvironment=\"OPTIONS=-w 2 -t 9\"\nExecStart={exec}\n"
        );
        let text =
            text(Place::default().import("/etc/systemd/system/shop.service", &unit, &Overrides::default()));
        assert!(text.contains(part), "{exec}\n{text}");
    }
}

#[test]
fn the_interpreter_is_the_one_that_gunicorns_script_names() {
    let unit = "[Service]\nUser=x\nWorkingDirectory=/srv\nExecStart=/usr/local/bin/gunicorn shop.wsgi\n";
    for (script, python) in [
        ("#!/opt/py/bin/python3.12\n", "/opt/py/bin/python3.12"),
        ("#!/bin/sh\n'''exec' /very/long/python", "/usr/bin/python3"),
        ("#!/usr/bin/env python3\n", "/usr/bin/python3"),
    ] {
        let place = Place::default().with("/usr/local/bin/gunicorn", script);
        let text = text(place.import("/etc/systemd/system/shop.service", unit, &Overrides::default()));
        assert!(text.contains(&format!("python = \"{python}\"")), "{script}\n{text}");
    }
}

#[test]
fn a_script_that_decides_for_itself_is_refused() {
    let error = line("if true; then gunicorn shop.wsgi; fi").unwrap_err().to_string();
    has(&error, &["decides for itself (`if`)"]);
    has(&line("(gunicorn shop.wsgi)").unwrap_err().to_string(), &["a subshell"]);
}

#[test]
fn addresses_that_gunicorn_takes_from_systemd_are_asked_for() {
    has(&line("gunicorn shop.wsgi -b fd://3").unwrap_err().to_string(), &["--listen", ".socket"]);
}

#[test]
fn nothing_that_is_said_breaks_out_of_a_comment() {
    let unit = "[Service]\nUser=x\nWorkingDirectory=/srv\nColour=\u{b}user = 1\u{2028}x\nExecStart=/v/bin/gunicorn \"shop.wsgi\" \"a\\nuser = 'root'\"\n";
    let text = text(Place::default().import("/etc/systemd/system/shop.service", unit, &Overrides::default()));
    assert_eq!(keys(&text).iter().filter(|line| line.starts_with("user")).count(), 1, "{text}");
}
