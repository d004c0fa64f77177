//! What is printed, line by line, for the forms that there are; `hostile`: names that want more than that.

mod hostile;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::all::ALL;
use super::fuzzing;
use super::*;
use crate::config::Address;
use crate::plan::{ServedApp, WorkerClass};

fn proxies() -> impl Iterator<Item = &'static Program> {
    ALL.iter().copied().filter(|program| program.proxy.is_some())
}

fn app(name: &str, listen: &[&str]) -> ServedApp {
    let [shop] = fuzzing::served().apps.try_into().unwrap();
    let listen = listen.iter().map(|text| text.parse().unwrap()).collect();
    ServedApp { name: name.parse().unwrap(), listen, static_files: BTreeMap::new(), ..shop }
}

fn served(apps: Vec<ServedApp>) -> Served {
    Served { apps, ..fuzzing::served() }
}

/// By one server alone.
fn wanted() -> Wanted {
    Wanted { own: None, peers: Vec::new(), hosts: Vec::new(), ..fuzzing::wanted() }
}

/// This server and another one.
fn two() -> Wanted {
    Wanted { own: Some(peer("10.0.0.1").unwrap()), peers: vec![peer("10.0.0.2").unwrap()], ..wanted() }
}

#[track_caller]
fn file(program: &'static Program, served: &Served, wanted: &Wanted) -> String {
    print(program, served, wanted).unwrap_or_else(|why| panic!("{program:?}: {why}")).configuration
}

/// The lines that the program reads.
fn code(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing from:\n{text}");
    }
}

#[test]
fn two_servers_are_asked_for_their_health_at_the_address_of_each_by_who_can_ask() {
    let shop = served(vec![app("shop", &["0.0.0.0:8000", "unix:/run/ostler/shop.sock"])]);
    has(
        &file(&haproxy::PROGRAM, &shop, &two()),
        &[
            "option httpchk GET /readyz/shop",
            "default-server check port 9180 inter 2s fall 3 rise 2",
            "server app1 10.0.0.1:8000",
            "server app2 10.0.0.2:8000",
        ],
    );
    has(
        &file(&caddy::PROGRAM, &shop, &two()),
        &["10.0.0.1:8000 10.0.0.2:8000 {", "health_port 9180", "/readyz/shop"],
    );
    has(
        &file(&traefik::PROGRAM, &shop, &two()),
        &["\"http://10.0.0.2:8000\"", "port: 9180", "interval: 30s"],
    );
    let nginx = file(&nginx::PROGRAM, &shop, &two());
    has(&nginx, &["server 10.0.0.2:8000 max_fails=1 fail_timeout=5s;", "proxy_next_upstream error timeout"]);
}

#[test]
fn one_server_is_not_checked_and_is_reached_by_its_unix_socket() {
    let shop = served(vec![app("shop", &["0.0.0.0:8000", "unix:/run/ostler/shop.sock"])]);
    for (program, socket) in [
        (&nginx::PROGRAM, "server unix:/run/ostler/shop.sock;"),
        (&haproxy::PROGRAM, "server app1 unix@/run/ostler/shop.sock"),
        (&caddy::PROGRAM, "reverse_proxy unix//run/ostler/shop.sock {"),
        (&traefik::PROGRAM, "\"http://10.0.0.1:8000\""),
    ] {
        let text = file(program, &shop, &wanted());
        has(&text, &[socket]);
        assert!(!code(&text).iter().any(|line| line.contains("readyz")), "{text}");
    }
}

#[test]
fn connections_are_kept_two_seconds_less_than_by_the_worker_or_not_at_all() {
    for (class, keepalive, nginx, caddy) in [
        (WorkerClass::Gthread, 75, "keepalive_timeout 60s;", "keepalive 73s"),
        (WorkerClass::Uvicorn, 10, "keepalive_timeout 8s;", "keepalive 8s"),
        (WorkerClass::Gthread, 4, "keepalive_timeout 2s;", "keepalive 2s"),
        (WorkerClass::Gthread, 2, "Connection close;", "keepalive off"),
        (WorkerClass::Sync, 75, "Connection close;", "keepalive off"),
        (WorkerClass::Tornado, 2, "keepalive_timeout 60s;", "keepalive 2m"),
    ] {
        let keepalive = Some(Duration::from_secs(keepalive));
        let shop =
            served(vec![ServedApp { class: Some(class), keepalive, ..app("shop", &["127.0.0.1:8000"]) }]);
        has(&file(&nginx::PROGRAM, &shop, &wanted()), &[nginx]);
        has(&file(&caddy::PROGRAM, &shop, &wanted()), &[caddy]);
    }
}

#[test]
fn who_is_not_believed_is_warned_of() {
    let with = |class, trusts: &[&str], listen: &str| {
        let trusts = Some(trusts.iter().map(|text| (*text).to_owned()).collect());
        served(vec![ServedApp { class: Some(class), trusts, ..app("shop", &[listen]) }])
    };
    let unix = "unix:/run/ostler/shop.sock";
    for (class, trusts, listen, warned) in [
        (WorkerClass::Gthread, &["127.0.0.1"][..], "127.0.0.1:8000", None),
        (WorkerClass::Gthread, &["10.9.9.9"], "127.0.0.1:8000", Some("\"127.0.0.1\" to args")),
        (WorkerClass::Gthread, &["127.0.0.1"], "10.0.0.1:8000", Some("\"10.0.0.1\" to args")),
        (WorkerClass::Gthread, &["10.0.0.0/8"], "10.0.0.1:8000", None),
        (WorkerClass::Asgi, &["fd00::/8"], "[fd00::1]:8000", None),
        (WorkerClass::Gthread, &["*"], "10.0.0.1:8000", None),
        (WorkerClass::Sync, &["10.9.9.9"], unix, None),
        (WorkerClass::Uvicorn, &["127.0.0.1"], unix, Some("\"*\" to args")),
        (WorkerClass::Uvicorn, &["*"], unix, None),
        (WorkerClass::Tornado, &[], "127.0.0.1:8000", None),
    ] {
        let printed = print(&nginx::PROGRAM, &with(class, trusts, listen), &wanted()).unwrap();
        let warnings = printed.warnings.join("\n");
        match warned {
            Some(part) => has(&warnings, &[part]),
            None => assert_eq!(warnings, "", "{class} {trusts:?} {listen}"),
        }
    }
}

#[test]
fn a_machine_that_others_cannot_ask_or_that_stops_too_early_is_warned_of() {
    let shop = served(vec![app("shop", &["0.0.0.0:8000"])]);
    let warnings = |served: &Served| print(&caddy::PROGRAM, served, &two()).unwrap().warnings.join("\n");
    assert_eq!(warnings(&shop), "");
    let health = vec!["127.0.0.1:9180".parse().unwrap()];
    has(&warnings(&Served { health, ..shop.clone() }), &["where no other machine can ask", "[health]"]);
    has(&warnings(&Served { health: Vec::new(), ..shop.clone() }), &["answered on no TCP port"]);
    has(&warnings(&Served { delay: Duration::ZERO, ..shop }), &["preset = \"caddy\""]);
}

#[test]
fn what_cannot_be_is_said_in_a_sentence() {
    let shop = || app("shop", &["127.0.0.1:8000"]);
    let blog = || ServedApp { host: None, ..app("blog", &["127.0.0.1:8001"]) };
    let one = served(vec![shop()]);
    let both = served(vec![shop(), blog()]);
    let nameless = served(vec![blog()]);
    let unix = served(vec![app("shop", &["unix:/run/s.sock"])]);
    let named = |text: &str| vec![host(text).unwrap()];
    let at = |text: &str| vec![peer(text).unwrap()];
    let mut no_vip = two();
    no_vip.special.keepalived.vips.clear();
    for (program, served, wanted, parts) in [
        (&nginx::PROGRAM, &served(vec![]), wanted(), &["no app is served here"][..]),
        (&nginx::PROGRAM, &one, Wanted { app: Some("shpo".into()), ..wanted() }, &["did you mean `shop`?"]),
        (&nginx::PROGRAM, &both, wanted(), &["blog: no name of the site", "--host blog=blog.example.com"]),
        (&nginx::PROGRAM, &both, Wanted { hosts: named("a.example.com"), ..wanted() }, &["is of which app?"]),
        (
            &nginx::PROGRAM,
            &both,
            Wanted { hosts: named("blog=shop.example.com"), ..wanted() },
            &["two sites"],
        ),
        (
            &caddy::PROGRAM,
            &nameless,
            Wanted { tls: Tls::Automatic, ..wanted() },
            &["a certificate needs one"],
        ),
        (&nginx::PROGRAM, &both, Wanted { peers: at("10.0.0.2:9000"), ..wanted() }, &["is of which app?"]),
        (
            &nginx::PROGRAM,
            &one,
            Wanted { peers: at("127.0.0.1"), ..wanted() },
            &["127.0.0.1:8000 is this server, or named twice"],
        ),
        (
            &nginx::PROGRAM,
            &served(vec![app("shop", &["10.0.0.2:8000", "unix:/run/s.sock"])]),
            Wanted { own: None, ..two() },
            &["10.0.0.2:8000 is this server"],
        ),
        (
            &caddy::PROGRAM,
            &served(vec![app("shop", &["systemd:shop"])]),
            wanted(),
            &["a running ostlerd alone knows"],
        ),
        (&nginx::PROGRAM, &unix, two(), &["listens on no TCP port", "HOST:PORT"]),
        (&traefik::PROGRAM, &unix, wanted(), &["which Traefik cannot reach"]),
        (&keepalived::PROGRAM, &one, no_vip, &["--vip 10.0.0.10/24"]),
        (&keepalived::PROGRAM, &one, wanted(), &["--self ADDRESS"]),
        (&keepalived::PROGRAM, &one, Wanted { peers: vec![], ..two() }, &["--peer ADDRESS"]),
        (&keepalived::PROGRAM, &one, Wanted { peers: at("app2:80"), ..two() }, &["without a port"]),
        (&keepalived::PROGRAM, &one, Wanted { peers: at("fd00::2"), ..two() }, &["all by IPv4"]),
    ] {
        let why = print(program, served, &wanted).expect_err("printed");
        assert!(!why.contains('\n'), "{why}");
        has(&why, parts);
    }
}

#[test]
fn a_peer_a_host_and_an_address_are_what_they_look_like() {
    use special::{interface, vip};
    for (text, host, port) in [
        ("10.0.0.2", "10.0.0.2", None),
        ("10.0.0.2:8000", "10.0.0.2", Some(8000)),
        ("fd00::2", "fd00::2", None),
        ("[fd00::2]:80", "fd00::2", Some(80)),
        ("App2.internal:1", "app2.internal", Some(1)),
    ] {
        assert_eq!(peer(text), Ok(Peer { host: host.into(), port }), "{text}");
    }
    for text in
        ["", ":80", "a b", "a:0", "a:65536", "a:x", "[a]:80", "http://a", "a;b", "a/b", "-a", "a\nb", "{a}"]
    {
        assert!(peer(text).is_err(), "{text}");
        assert!(host(text).is_err(), "{text}");
    }
    assert!(host("*.example.com").is_ok() && host("shop=a.b").is_ok() && host("sh op=a.b").is_err());
    assert!(vip("10.0.0.1/33").is_err() && vip("10.0.0.1").is_err() && vip("fd00::1/64").is_ok());
    assert!(interface("eth0;").is_err() && interface("").is_err() && interface("br-lan.5").is_ok());
    assert!(email("a b@c").is_err() && email("a@b\n").is_err() && email("o.p+s@example.com").is_ok());
}

#[test]
fn ipv6_stands_in_brackets_wherever_a_port_follows() {
    let shop = Served {
        health: vec!["[fd00::1]:9180".parse::<Address>().unwrap()],
        ..served(vec![app("shop", &["[fd00::1]:8000"])])
    };
    let two = Wanted {
        peers: vec![peer("fd00::2").unwrap()],
        listen: Some("fd00::9".parse().unwrap()),
        ..wanted()
    };
    for program in proxies() {
        has(&file(program, &shop, &two), &["[fd00::1]:8000", "[fd00::2]:8000"]);
    }
    has(&file(&nginx::PROGRAM, &shop, &two), &["listen [fd00::9]:80;"]);
}

#[test]
fn another_machine_serves_no_files_of_this_one() {
    let static_files: BTreeMap<String, PathBuf> = [("/static/".to_owned(), PathBuf::from("/srv/x"))].into();
    let shop = served(vec![ServedApp { static_files, ..app("shop", &["10.0.0.1:8000"]) }]);
    for program in proxies() {
        let text = file(program, &shop, &two());
        assert!(!code(&text).iter().any(|line| line.contains("/srv/x")), "{text}");
        has(&text, &["WhiteNoise"]);
    }
}

#[test]
fn a_server_is_asked_where_its_health_listens() {
    let with = |listen: &str, health: &[&str]| Served {
        health: health.iter().map(|text| text.parse().unwrap()).collect(),
        ..served(vec![app("shop", &[listen])])
    };
    let here = Wanted { peers: vec![peer("10.0.0.2").unwrap()], ..wanted() };
    for (listen, health, at, warned) in [
        ("127.0.0.1:8000", &["10.0.0.1:9180", "127.0.0.1:9180"][..], "127.0.0.1:8000", false),
        ("127.0.0.1:8000", &["0.0.0.0:9180"], "127.0.0.1:8000", false),
        ("0.0.0.0:8000", &["10.0.0.1:9180"], "10.0.0.1:8000", false),
        ("0.0.0.0:8000", &["0.0.0.0:9180"], "127.0.0.1:8000", false),
        ("127.0.0.1:8000", &["10.0.0.1:9180"], "127.0.0.1:8000", true),
    ] {
        let printed = print(&caddy::PROGRAM, &with(listen, health), &here).unwrap();
        has(&printed.configuration, &[at, "health_port 9180"]);
        assert_eq!(
            printed.warnings.join("").contains("where health does not listen"),
            warned,
            "{listen} {health:?}"
        );
        let haproxy = file(&haproxy::PROGRAM, &with(listen, health), &here);
        assert_eq!(haproxy.contains(&format!("{at} addr 10.0.0.1 port 9180")), warned, "{haproxy}");
    }
}
