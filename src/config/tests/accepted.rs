use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

#[test]
fn what_must_be_said_is_enough() {
    let app = accepted("");
    assert_eq!(app.name.as_str(), "shop");
    assert_eq!(app.file, Path::new(SHOP));
    assert_eq!(app.directory, Path::new("/srv/shop/current"));
    assert_eq!(app.entry, "shop.wsgi:application");
    assert_eq!(app.listen, [Address::Tcp("127.0.0.1:8000".parse().unwrap())]);
    assert_eq!(app.user.as_deref(), Some("shop"));
    assert_eq!(app.workers, None);
    assert_eq!(app.limits, Limits::default());
    assert_eq!(app.rollout, RolloutPolicy::default());
    assert!(
        app.probe == ProbeConfig::default()
            && app.args.is_empty()
            && app.env.is_empty()
            && app.env_files.is_empty()
    );
}

#[test]
fn every_key_means_what_it_says() {
    let app = accepted(
        r#"
        group = "www-data"
        socket_mode = "0660"
        backlog = 100
        workers = 4
        args = ["-k", "gthread", "--threads", "4", "--worker-class=gthread", "-c", "gunicorn.conf.py"]
        env = { DJANGO_SETTINGS_MODULE = "shop.settings", EMPTY = "" }
        env_files = ["/etc/ostler/shop.env", "/srv/shop/current/.env"]
        umask = 0o027
        log_file = "/var/log/shop.log"
        probe = { path = "/healthz?deep=1", host = "shop.example.com:443", scheme = "https", timeout = 2.5 }
        [rollout]
        max_surge = "50%"
        boot_timeout = "1m30s"
        max_boot_failures = 3
        settle = 0
        [processes.queue]
        command = ["celery", "-A", "shop", "worker"]
        [limits]
        max_rss = "512MiB"
        max_requests = 10_000
        max_requests_jitter = 0
        max_age = "12h"
        request_timeout = "500ms"
        timeout = 0
        graceful_timeout = "30"
        restarts_per_minute = 100
        nofile = 0x1000
        "#,
    );
    assert_eq!(app.group.as_deref(), Some("www-data"));
    assert_eq!((app.socket_mode, app.umask), (Some(0o660), Some(0o027)));
    assert_eq!((app.backlog, app.workers), (Some(100), Some(Workers::Count(4))));
    assert_eq!(app.args.len(), 7);
    assert_eq!(app.processes["queue"].command, ["celery", "-A", "shop", "worker"]);
    assert_eq!(app.env["DJANGO_SETTINGS_MODULE"], "shop.settings");
    assert_eq!(app.env["EMPTY"], "");
    assert_eq!(app.env_files[1], Path::new("/srv/shop/current/.env"));
    let probe = app.probe;
    assert_eq!((probe.path.as_deref(), probe.enabled), (Some("/healthz?deep=1"), true));
    assert_eq!((probe.scheme.as_str(), probe.timeout), ("https", Duration::from_millis(2500)));
    assert_eq!(app.rollout.max_surge, Surge::Percent(50));
    assert_eq!(app.rollout.boot_timeout, Duration::from_secs(90));
    assert_eq!(app.rollout.settle, Duration::ZERO);
    assert_eq!(app.limits.max_rss, Some(512 << 20));
    assert_eq!(app.limits.max_requests, Some(10_000));
    assert_eq!(app.limits.max_age, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(app.limits.timeout, Some(Duration::ZERO));
    assert_eq!(app.limits.graceful_timeout, Some(Duration::from_secs(30)));
    assert_eq!(app.limits.process.nofile, Some(4096));
}

#[test]
fn every_shape_of_address_is_understood() {
    let shapes = [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("unix:/run/ostler/shop.sock", "unix:/run/ostler/shop.sock"),
        ("unix:///run/ostler/shop.sock", "unix:/run/ostler/shop.sock"),
        ("systemd:shop-web", "systemd:shop-web"),
    ];
    for (text, shown) in shapes {
        assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(shown.to_owned()));
    }
    let longest = format!("unix:/{}", "x".repeat(106));
    assert_eq!(longest.parse(), Ok(Address::Unix(PathBuf::from(&longest[5..]))));
}

#[test]
fn every_shape_of_entry_is_understood() {
    for entry in
        ["shop", "shop.wsgi", "shop.wsgi:application", "shop:create_app()", "shop:make('a', x=1)", "größe:ä"]
    {
        let text = ENOUGH.replace("shop.wsgi:application", entry);
        assert_eq!(parse(&text).unwrap_or_else(|problems| panic!("{problems}")).entry, entry);
    }
}

#[test]
fn only_root_must_name_a_user() {
    let text = ENOUGH.replace("user = \"shop\"", "");
    assert!(parse_app(&"shop".parse().unwrap(), &text, Path::new(SHOP), false).is_ok());
    let root = ENOUGH.replace("\"shop\"", "\"root\"");
    assert_eq!(parse(&root).unwrap().user.as_deref(), Some("root"));
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_do_no_harm() {
    let text = format!("\u{feff}{}", ENOUGH.trim_start().replace('\n', "\r\n"));
    assert_eq!(parse(&text).unwrap(), accepted(""));
}

#[test]
fn environment_files_are_read_as_shells_write_them() {
    let text = "\u{feff}# comment\n\nA=1\nexport B=two words \r\nC='a # b $X \\n'\nD=\"x\\\"y\\n\\$z \\d\" # why\nE=\nF=a#b # c\n  G= 'q'\nexport=1\nH=a=b\n";
    let read = parse_env_file(text, Path::new("/etc/shop.env")).unwrap();
    let expected = [
        ("A", "1"),
        ("B", "two words"),
        ("C", "a # b $X \\n"),
        ("D", "x\"y\n$z \\d"),
        ("E", ""),
        ("F", "a#b"),
        ("G", "q"),
        ("export", "1"),
        ("H", "a=b"),
    ];
    let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(read, expected);
}
