//! ostler-edge(7) shows what works: its commands print something for the apps of a real ostlerd, its examples are in the help.

use crate::documents;
use crate::harness::{Site, WSGI};

#[test]
fn each_command_of_the_page_about_an_edge_prints_its_configuration() {
    let site = Site::new();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    let page = documents::page("ostler-edge.7");
    let section = page.below("Behind nginx, HAProxy, Traefik, Caddy").replace("\\\n", " ");
    let commands: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("ostler ")).collect();
    let help = ostlerd.ostler(&["edge", "--help"]).exits(0).out;
    let programs: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.contains("Possible values:"))
        .skip(1)
        .map_while(|line| line.trim().strip_prefix("- ")?.split(':').next())
        .collect();
    assert!(programs.len() >= 5, "{help}");
    for edge in programs {
        assert!(
            commands.iter().any(|line| line.starts_with(&format!("edge {edge}"))),
            "the page shows {edge}"
        );
    }
    let examples = help.lines().filter_map(|line| line.trim().strip_prefix("ostler "));
    for line in examples.chain(commands).filter(|line| !line.starts_with("edge PROGRAM")) {
        let line = line.split(['>', '|', '#']).next().unwrap_or_default();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if !["--host", "--main", "keepalived"].iter().any(|word| words.contains(word)) {
            words.extend(["--host", "shop.example.com"]);
        }
        let said = ostlerd.ostler(&words).exits(0);
        assert!(said.out.starts_with("# /etc/"), "{words:?}: {said}");
        assert!(said.out.contains("# Printed by `ostler edge"), "{words:?}: {said}");
    }
}

#[test]
fn what_cannot_be_printed_is_said_with_what_to_do_and_its_exit_status() {
    let site = Site::new();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    site.ostler(&["edge", "nginx"]).exits(69).says(&["not reachable", "--config FILE"]);
    let file = site.config().to_string_lossy().into_owned();
    let offline = site.ostler(&["edge", "nginx", "--config", &file, "--no-tls"]).exits(0);
    offline.says(&["its apps.d, without", "is not known without ostlerd"]);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let online = ostlerd.ostler(&["edge", "nginx", "--no-tls"]).exits(0);
    online.says(&["what ostlerd runs", "server_name _;", "class sync"]);
    ostlerd.ostler(&["edge", "nginx"]).exits(64).says(&["a certificate needs one", "--host"]);
    ostlerd.ostler(&["edge", "ngnix"]).exits(64).says(&["a similar value exists: 'nginx'"]);
    ostlerd.ostler(&["edge", "nginx", "shpo", "--no-tls"]).exits(64).says(&["did you mean `shop`?"]);
    ostlerd.ostler(&["edge", "nginx", "--peer", "a b"]).exits(64).says(&["HOST:PORT"]);
    ostlerd.ostler(&["edge", "nginx", "--no-tls", "--cert", "/x"]).exits(64).says(&["cannot be used with"]);
    let json = ostlerd.ostler(&["edge", "caddy", "--no-tls", "--peer", "10.9.9.9", "--json"]).exits(0);
    let value: serde_json::Value = serde_json::from_str(&json.out).expect("one line of JSON");
    assert_eq!(value["edge"], "caddy");
    assert!(value["configuration"].as_str().is_some_and(|text| text.contains("reverse_proxy")), "{json}");
    assert!(value["warnings"].as_array().is_some_and(|all| !all.is_empty()), "{json}");
    json.says(&["ostler: warning: "]);
}
