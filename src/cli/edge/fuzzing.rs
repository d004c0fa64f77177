//! No name that is served or typed makes a line of its own in what the edge reads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::all::ALL;
use super::special::{Keepalived, Special, Traefik, vip};
use super::{Tls, Wanted, host, peer, print};
use crate::config::Preset;
use crate::config::fuzzing::is_harmless;
use crate::plan::{Served, ServedApp, WorkerClass};

/// The first byte is which program it is for, the second where the text stands, the rest is the text.
pub(in crate::cli) fn hostile(bytes: &[u8]) {
    let &[program, place, ref text @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(text).into_owned();
    let program = ALL[usize::from(program) % ALL.len()];
    for typed in [host(&text).is_ok(), peer(&text).is_ok(), vip(&text).is_ok()] {
        assert!(!typed || !text.contains([' ', '\n', ';', '{', '"', '\'', '$', '#', '\\']), "{text:?}");
    }
    let (mut served, mut wanted) = (served(), wanted());
    let Ok(calm) = print(program, &served, &wanted) else { panic!("plain names are refused") };
    let shop = &mut served.apps[0];
    match place % 6 {
        0 => shop.trusts = Some(vec![text, "127.0.0.1".into(), "10.0.0.1".into()]),
        1 => shop.host = Some(text),
        2 => shop.static_files = BTreeMap::from([("/static/".to_owned(), PathBuf::from(format!("/{text}")))]),
        3 => shop.gunicorn = Some(text),
        4 => wanted.source = text,
        _ => served.track_file = Some(PathBuf::from(format!("/{text}"))),
    }
    match print(program, &served, &wanted) {
        Ok(printed) => {
            assert_eq!(shape(&printed.configuration), shape(&calm.configuration), "{program:?} {served:?}");
            assert!(printed.warnings.iter().all(|it| is_harmless(it) && !it.contains('\n')), "{printed:?}");
        }
        Err(why) => assert!(is_harmless(&why) && !why.contains('\n'), "{why:?}"),
    }
}

/// The lines that are read, each as its first word, and how deep it stands.
fn shape(text: &str) -> Vec<String> {
    assert!(is_harmless(text), "{text:?}");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    let shown = |line: &str| {
        let depth = line.len() - line.trim_start().len();
        format!("{depth} {}", line.split_whitespace().next().unwrap_or_default())
    };
    lines.map(shown).collect()
}

/// What one machine serves, with plain names.
pub(super) fn served() -> Served {
    let shop = ServedApp {
        image_writable: false,
        name: "shop".parse().expect("it is a name"),
        directory: PathBuf::from("/srv/shop/current"),
        user: Some("shop".into()),
        listen: vec!["0.0.0.0:8000".parse().expect("it is an address")],
        class: Some(WorkerClass::Gthread),
        gunicorn: Some("27.0.1".into()),
        keepalive: Some(Duration::from_secs(75)),
        request_limit: None,
        trusts: Some(vec!["127.0.0.1".into(), "::1".into()]),
        host: Some("shop.example.com".into()),
        static_files: BTreeMap::from([("/static/".to_owned(), PathBuf::from("/srv/x"))]),
    };
    Served {
        apps: vec![shop],
        health: vec!["10.0.0.1:9180".parse().expect("it is an address")],
        agent: None,
        track_file: Some(PathBuf::from("/run/ostler/keepalived")),
        preset: Preset::None,
        delay: Duration::from_secs(35),
    }
}

/// What is asked for on one machine of two.
pub(super) fn wanted() -> Wanted {
    Wanted {
        source: "from a test".into(),
        app: None,
        own: peer("10.0.0.1").ok(),
        peers: peer("10.0.0.2").into_iter().collect(),
        hosts: host("shop.example.com").into_iter().collect(),
        tls: Tls::Off,
        email: None,
        cdn: None,
        max_body: 10 << 20,
        listen: None,
        http_port: 80,
        https_port: 443,
        check_every: None,
        special: Special {
            traefik: Traefik { main: false, folder: PathBuf::from("/etc/traefik") },
            keepalived: Keepalived {
                vips: vip("10.0.0.10/24").into_iter().collect(),
                interface: "eth0".into(),
                priority: 100,
                router_id: 51,
            },
        },
    }
}
